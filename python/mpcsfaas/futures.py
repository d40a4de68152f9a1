"""The future of a task: one of `concurrent.futures`, so that everything that takes those takes it."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Mapping
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .errors import DependencyFailed
from .pickling import TaskReference

T = TypeVar("T")


class TaskOwner(Protocol):
    """Who has submitted a future's task, and can speak of it to the platform."""

    def cancel(self, future: TaskFuture[Any]) -> None:
        """Have the platform stop the task, soon; does not wait."""

    def status(self, task_id: str) -> str:
        """Return the task's status."""

    def task(self, task_id: str) -> Mapping[str, Any]:
        """Return the task's story."""

    def wait_for_id(self, future: TaskFuture[Any]) -> str | None:
        """Wait until the task has an id; None when it will never have one."""


if TYPE_CHECKING:
    _Base = concurrent.futures.Future[T]
else:
    _Base = concurrent.futures.Future


class TaskFuture(_Base[T], TaskReference):
    """The future of a task. Given to another task as an argument, or inside one, it stands for the value.

    `task_id` is None until the platform has accepted the task.
    """

    def __init__(self, owner: TaskOwner) -> None:
        super().__init__()
        self._owner = owner

    def cancel(self) -> bool:
        """Cancel the task, also while it runs: its process is ended.

        True unless it has ended here before. Does not wait: the platform is told in the background.
        """
        with self._condition:
            if self._state == FINISHED:
                return False
            if self._state in (CANCELLED, CANCELLED_AND_NOTIFIED):
                return True
            self._state = CANCELLED
            self._condition.notify_all()
        self.set_running_or_notify_cancel()
        self._invoke_callbacks()  # type: ignore[attr-defined]
        self._owner.cancel(self)
        return True

    def running(self) -> bool:
        """Tell whether the task runs now; asks the platform."""
        task_id = self.task_id
        return not self.done() and task_id is not None and self._owner.status(task_id) == "RUNNING"

    def story(self) -> Mapping[str, Any]:
        """Return all that the platform knows of the task: attempts, worker, times, failure, history."""
        return self._owner.task(self.reference_id())

    def reference_id(self) -> str:
        """Return the task's id, waiting until it has one. Raises DependencyFailed when it was never submitted."""
        task_id = self.task_id or self._owner.wait_for_id(self)
        if task_id is None:
            raise DependencyFailed("the task of this future was never submitted, or cancelled before")
        return task_id

    def __reduce__(self) -> Any:
        raise TypeError(
            "a future can be pickled only as an argument of a task; keep its task_id to find it again"
        )

    def cancelled_elsewhere(self) -> None:
        """Note that somebody else has cancelled the task."""
        with self._condition:
            if self._state in (CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED):
                return
            self._state = CANCELLED
            self._condition.notify_all()
        self.set_running_or_notify_cancel()
        self._invoke_callbacks()  # type: ignore[attr-defined]

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Give it the value or the error, unless it was cancelled."""
        try:
            if error is None:
                self.set_result(value)
            else:
                self.set_exception(error)
        except concurrent.futures.InvalidStateError:
            pass


def is_current(thread: threading.Thread | None) -> bool:
    """Tell whether the caller runs in that thread."""
    return thread is threading.current_thread()
