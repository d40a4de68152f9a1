"""What can go wrong, each with a class of its own that is also the closest one of the standard library.

An exception that a function raises is raised as itself, its remote traceback as the cause. `TaskFailure` is for what was
not the function's doing. `PlatformError` is for requests that failed.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from typing import Any


class PlatformError(Exception):
    """The platform could not do what it was asked."""


class PlatformUnreachable(PlatformError, ConnectionError):
    """No API answered at the URL for as long as the client was told to bear it (`timeout`)."""


class RequestRefused(PlatformError):
    """The API refused a request: `status` of HTTP, `code` of its error catalogue, and what to do about it, `remedy`."""

    def __init__(self, status: int, code: str, detail: str, remedy: str = "") -> None:
        super().__init__(status, code, detail, remedy)
        self.status = status
        self.code = code
        self.detail = detail
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.detail} {self.remedy}".strip()


class NotFound(RequestRefused, LookupError):
    """There is no task, function, group or worker of that name."""


class InvalidRequest(RequestRefused, ValueError):
    """Something in the request is not allowed, such as an option out of its range."""


class NotAuthorized(RequestRefused, PermissionError):
    """The API wants a key, does not take this one, or it may not do what it was used for: `status` is 401 or 403."""


class NoSuitableWorker(RequestRefused, RuntimeError):
    """No connected worker can run the function, for example because all have another version of Python."""


class RemoteTraceback(Exception):
    """The traceback as Python printed it where the function ran; shown as the cause of what is raised here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class TaskFailure(Exception):
    """A task did not end by its function's own doing.

    `type` is the platform's name of the failure, `signal` and `exit_code` those of the Python process where it died.
    `attempts`, `worker` and `peak_memory_kib` are asked for when they are looked at, and None when they cannot be had.
    """

    type = "TaskFailure"

    def __init__(
        self,
        message: str,
        *,
        task_id: str | None = None,
        signal: str | None = None,
        exit_code: int | None = None,
        remote_traceback: str | None = None,
        story: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.task_id = task_id
        self.signal = signal
        self.exit_code = exit_code
        self.remote_traceback = remote_traceback
        self._ask = story
        self._story: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.message} (task {self.task_id})" if self.task_id else self.message

    def __reduce__(self) -> Any:
        state = {key: value for key, value in vars(self).items() if key != "_ask"}
        return type(self), (self.message,), {**state, "_ask": None}

    @property
    def attempts(self) -> int | None:
        """How often the task was started."""
        value: int | None = self._detail("attempts")
        return value

    @property
    def worker(self) -> str | None:
        """The last worker that ran it."""
        value: str | None = self._detail("worker")
        return value

    @property
    def peak_memory_kib(self) -> int | None:
        """Most memory that its process had, KiB."""
        value: int | None = self._detail("peak_memory_kib")
        return value

    def _detail(self, name: str) -> Any:
        if self._story is None and self._ask is not None:
            try:
                self._story = self._ask()
            except PlatformError:
                return None
        return (self._story or {}).get(name)


class TaskTimeout(TaskFailure, TimeoutError):
    """The task ran longer than its `timeout`."""

    type = "Timeout"


class TaskCancelled(TaskFailure, CancelledError):
    """The task was cancelled."""

    type = "Cancelled"


class ProcessCrashed(TaskFailure, BrokenProcessPool):
    """The Python process died while it ran the task: a signal, or an exit without words."""

    type = "ProcessCrashed"


class MemoryLimit(TaskFailure, MemoryError):
    """The task needed more memory than its process may have."""

    type = "MemoryLimit"


class WorkerFailure(TaskFailure, BrokenProcessPool):
    """The workers that ran the task were lost, as often as it may be tried."""

    type = "WorkerFailure"


class DeserializationError(TaskFailure, pickle.UnpicklingError):
    """The worker could not load the function or its arguments, mostly for want of a module; the cause says which."""

    type = "DeserializationError"


class ResultSerializationError(TaskFailure, pickle.PicklingError):
    """What the function returned cannot be pickled."""

    type = "ResultSerializationError"


class ResultTooLarge(TaskFailure, ValueError):
    """What the function returned is larger than the platform keeps (MAX_RESULT_BYTES)."""

    type = "ResultTooLarge"


class VersionMismatch(TaskFailure, RuntimeError):
    """The function was sent by another version of Python than the worker's, and cannot be loaded there."""

    type = "VersionMismatch"


class DependencyFailed(TaskFailure, RuntimeError):
    """A task whose value this one needs has failed or was cancelled."""

    type = "DependencyFailed"


class TaskUnknown(TaskFailure, LookupError):
    """Nothing is known of the task any more: its result has expired."""

    type = "Unknown"


class ResultLoadError(TaskFailure, pickle.UnpicklingError):
    """The task has ended, but what it returned or raised cannot be loaded here; the cause says why."""

    type = "ResultLoadError"


_CLASSES: Mapping[str, type[TaskFailure]] = {
    kind.type: kind
    for kind in (
        TaskTimeout,
        TaskCancelled,
        ProcessCrashed,
        MemoryLimit,
        WorkerFailure,
        DeserializationError,
        ResultSerializationError,
        ResultTooLarge,
        VersionMismatch,
        DependencyFailed,
        TaskUnknown,
    )
}


def task_failure(
    failure: Mapping[str, Any],
    task_id: str,
    raised: BaseException | None,
    story: Callable[[], Mapping[str, Any]] | None,
) -> TaskFailure:
    """Return the exception for a failure as the platform tells it; `raised` is what came along as its exception."""
    kind = _CLASSES.get(str(failure.get("type")), TaskFailure)
    text = failure.get("traceback")
    made = kind(
        str(failure.get("message") or kind.type),
        task_id=task_id,
        signal=failure.get("signal"),
        exit_code=failure.get("exitCode", failure.get("exit_code")),
        remote_traceback=text,
        story=story,
    )
    if raised is not None and text:
        made.__cause__ = raised
    elif text:
        made.__cause__ = RemoteTraceback(text)
    return made


def refusal(status: int, answer: Any) -> RequestRefused:
    """Return the exception for an answer that is an error of the API."""
    fields = answer if isinstance(answer, dict) else {"detail": str(answer)}
    code = str(fields.get("code", ""))
    kind = (
        NoSuitableWorker
        if "VERSION" in code or "PYTHON" in code or "WORKER" in code and status == 409
        else NotFound
        if status == 404
        else NotAuthorized
        if status in (401, 403)
        else InvalidRequest
        if status in (400, 413, 422)
        else RequestRefused
    )
    return kind(status, code, str(fields.get("detail", f"HTTP {status}")), str(fields.get("remedy", "")))
