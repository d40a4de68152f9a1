"""A group of tasks, found by its id from any process: how far it has come, and its results."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import TaskCancelled
from .outcomes import outcome
from .packing import Result
from .stream import GroupStream
from .transport import Transport, path


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """How a task ended. `index` is its place in the group; `status` COMPLETED, FAILED, CANCELLED or UNKNOWN."""

    index: int
    task_id: str
    status: str
    value: Any
    error: BaseException | None

    def result(self) -> Any:
        """Return what the function returned, or raise what stands in its place."""
        if self.error is not None:
            raise self.error
        return self.value


class Group:
    """Tasks that were submitted together. Iterating reads the results as the tasks end, each once."""

    def __init__(self, transport: Transport, group_id: str) -> None:
        self.group_id = group_id
        self._transport = transport

    def progress(self) -> Mapping[str, Any]:
        """Return how many tasks there are: total, queued, running, completed, failed, cancelled, unknown; and closed."""
        told: Mapping[str, Any] = self._transport.call("GET", path("groups", self.group_id))
        return told

    def results(self, timeout: float | None = None, *, follow: bool = False) -> Iterator[TaskResult]:
        """Yield every result, those that are there first, then as tasks end.

        Ends when all tasks have; with `follow` only when the group is closed as well, which shutting an executor down does.
        Raises TimeoutError when that has not come after `timeout` seconds, NotFound, PlatformUnreachable.
        """
        stream = GroupStream(self._transport, self.group_id, follow=follow)
        for batch in stream.batches(timeout):
            for one in batch:
                yield task_result(one, self._transport)
        if stream.end == "wait":
            raise TimeoutError(f"not all tasks of group {self.group_id} have ended within {timeout:g} s")

    def __iter__(self) -> Iterator[TaskResult]:
        return self.results()

    def values(self, timeout: float | None = None) -> list[Any]:
        """Return what all tasks returned, in the order of their submission; raises the first error that comes."""
        found = {one.index: one.result() for one in self.results(timeout)}
        return [found[index] for index in sorted(found)]

    def cancel(self) -> int:
        """Cancel all tasks that have not ended, also while they run; return how many that were."""
        return int(self._transport.call("POST", path("groups", self.group_id, "cancel"))["cancelled"])

    def close(self) -> None:
        """Say that nothing will be added any more."""
        self._transport.call("POST", path("groups", self.group_id, "close"))

    def __repr__(self) -> str:
        return f"Group({self.group_id!r})"


def task_result(one: Result, transport: Transport) -> TaskResult:
    """Return a result with its value loaded."""

    def story(task_id: str) -> Mapping[str, Any]:
        told: Mapping[str, Any] = transport.call("GET", f"/tasks/{task_id}")
        return told

    if one.status == "CANCELLED":
        error: BaseException | None = TaskCancelled("the task was cancelled", task_id=one.task_id)
        return TaskResult(one.place, one.task_id, one.status, None, error)
    value, error = outcome(one.status, one.payload, one.failure, one.task_id, story)
    return TaskResult(one.place, one.task_id, one.status, value, error)
