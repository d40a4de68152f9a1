"""What a task's end means in Python: a value, the function's own exception, or a `TaskFailure`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import errors, pickling


def outcome(
    status: str,
    payload: bytes,
    failure: Any,
    task_id: str,
    story: Callable[[str], Mapping[str, Any]],
) -> tuple[Any, BaseException | None]:
    """Return value and error of a task that has ended, one of which is None."""
    if status == "COMPLETED":
        try:
            return pickling.loads(payload), None
        except BaseException as error:
            return None, _not_loaded("the result", task_id, error)
    if status == "UNKNOWN":
        text = "nothing is known of the task any more; results are kept for a day unless told otherwise"
        return None, errors.TaskUnknown(text, task_id=task_id)
    if status == "CANCELLED":
        return None, errors.TaskCancelled("the task was cancelled", task_id=task_id)
    return None, _error(payload, failure, task_id, story)


def _error(
    payload: bytes, failure: Any, task_id: str, story: Callable[[str], Mapping[str, Any]]
) -> BaseException:
    told: Mapping[str, Any] = failure or {}
    raised: BaseException | None = None
    try:
        loaded = pickling.loads(payload)
        if isinstance(loaded, BaseException):
            raised = loaded
    except BaseException as error:
        if told.get("type") == "UserException":
            made = _not_loaded(
                f"the exception {told.get('exception')}: {told.get('message')}", task_id, error
            )
            made.remote_traceback = told.get("traceback")
            return made
    if raised is not None and told.get("type", "UserException") == "UserException":
        # SystemExit and KeyboardInterrupt of a task must not end the program that asks for its result.
        if isinstance(raised, Exception):
            return raised
        made = errors.TaskFailure(f"the function raised {type(raised).__name__}: {raised}", task_id=task_id)
        made.__cause__ = raised
        return made
    return errors.task_failure(told, task_id, raised, lambda: story(task_id))


def _not_loaded(what: str, task_id: str, error: BaseException) -> errors.TaskFailure:
    made = errors.ResultLoadError(
        f"{what} cannot be loaded here: {type(error).__name__}: {error}", task_id=task_id
    )
    made.__cause__ = error
    return made
