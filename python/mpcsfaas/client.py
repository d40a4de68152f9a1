"""Everything that the platform offers, as calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from . import log_lines
from .core import CANCEL_BATCH
from .errors import TaskUnknown
from .executor import Executor
from .explanation import explanation
from .futures import TaskFuture
from .group import Group, TaskResult, task_result
from .log_lines import LogLine as LogLine
from .registry import Registry
from .stream import read_results
from .transport import Transport, path

if TYPE_CHECKING:
    from .executor import P

T = TypeVar("T")

Story = Mapping[str, Any]


class Client:
    """The platform at a URL (default: the variable MPCSFAAS_URL, or http://127.0.0.1:8000).

    `api_key`: where the platform asks for one (default: the variable MPCSFAAS_API_KEY).
    `timeout`: for how many seconds a platform that does not answer is asked again. Every method raises PlatformUnreachable
    then, NotFound for ids that are not known, InvalidRequest for what is not allowed, NotAuthorized where the key is
    missing or not good for it. Any thread may use it.
    """

    def __init__(self, url: str | None = None, *, timeout: float = 60.0, api_key: str | None = None) -> None:
        self._transport = Transport(url, timeout, api_key)
        self._registry = Registry()
        self._executor: Executor | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where the API is."""
        return self._transport.url

    # Running functions.

    def executor(self, **parameters: Any) -> Executor:
        """Return a new `Executor` on this platform; parameters as there."""
        return Executor(transport=self._transport, **parameters)

    def options(self, **options: Any) -> Executor:
        """Return this client's executor with options for its tasks: `client.options(timeout=5).submit(f)`."""
        return self._own().options(**options)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[T]:
        """Run a function on the platform; returns its future at once."""
        return self._own().submit(fn, *args, **kwargs)

    def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function on the platform and wait for what it returns."""
        return self._own().submit(fn, *args, **kwargs).result()

    def map(self, fn: Callable[..., T], *iterables: Iterable[Any], **kwargs: Any) -> Iterator[T]:
        """Run a function for each item; see `Executor.map`."""
        return self._own().map(fn, *iterables, **kwargs)

    def register(self, fn: Callable[..., Any]) -> str:
        """Register a function without running it; return its id, the same for the same bytes."""
        return self._registry.card(fn).register(self._transport)

    def _own(self) -> Executor:
        with self._lock:
            if self._executor is None:
                self._executor = self.executor()
            return self._executor

    # Tasks by id.

    def result(self, task_id: str, timeout: float | None = None) -> Any:
        """Wait for a task and return what it returned, or raise what it raised; TimeoutError after `timeout` seconds."""
        return self.results([task_id], timeout)[0]

    def results(
        self, task_ids: Sequence[str], timeout: float | None = None, *, return_exceptions: bool = False
    ) -> list[Any]:
        """Wait for many tasks and return their values in the same order.

        Raises the first error that comes, or puts errors among the values (`return_exceptions`).
        """
        values: list[Any] = [None] * len(task_ids)
        for one in self.as_completed(task_ids, timeout):
            values[one.index] = one.error if return_exceptions and one.error else one.result()
        return values

    def as_completed(self, task_ids: Sequence[str], timeout: float | None = None) -> Iterator[TaskResult]:
        """Yield the results of tasks as they end; `index` is the place among the ids."""
        for one in read_results(self._transport, task_ids, timeout):
            yield task_result(one, self._transport)

    def group(self, group_id: str) -> Group:
        """Return a group: `executor.group_id` of this or another program, of now or of yesterday."""
        return Group(self._transport, group_id)

    def status(self, task_id: str) -> str:
        """Return QUEUED, RUNNING, COMPLETED, FAILED or CANCELLED."""
        return str(self._transport.call("GET", path("status", task_id))["status"])

    def task(self, task_id: str) -> Story:
        """Return a task's whole story: state, attempts, worker, times, memory, failure, history, what it waits for."""
        told: Story = self._transport.call("GET", path("tasks", task_id))
        return told

    def explain(self, task_id: str) -> str:
        """Return in words where a task stands, and why."""
        return explanation(self.task(task_id))

    def cancel(self, *task_ids: str) -> int:
        """Cancel tasks, also while they run; return how many had not ended before. Raises TaskUnknown for a single one."""
        cancelled = 0
        for start in range(0, len(task_ids), CANCEL_BATCH):
            body = {"task_ids": list(task_ids[start : start + CANCEL_BATCH])}
            told = self._transport.call("POST", "/tasks/cancel", body)
            if len(task_ids) == 1 and told["unknown"]:
                raise TaskUnknown(f"there is no task {task_ids[0]}", task_id=task_ids[0])
            cancelled += int(told["cancelled"])
        return cancelled

    def run_again(self, task_id: str) -> str:
        """Run a task once more, with the same arguments, as a new task; return its id."""
        told = self._transport.call("POST", path("tasks", task_id, "run_again"), {}, repeat=False)
        return str(told["task_id"])

    def run_failed_again(
        self, *, failure: str | None = None, function: str | None = None, limit: int | None = None
    ) -> Mapping[str, Any]:
        """Run failed tasks again, the newest first: all, or those with a type of failure or of a function; at most `limit`.

        Those that were run again before are left out. Returns their `count`, the new `task_ids` and `group_ids`, and the
        `cursor` of the API, None when no more is left.
        """
        asked = {"failure": failure, "function": function, "cursor": None}
        task_ids: list[str] = []
        group_ids: list[str] = []
        while limit is None or len(task_ids) < limit:
            body = {key: value for key, value in asked.items() if value is not None}
            most = _RUN_AGAIN_AT_ONCE if limit is None else min(_RUN_AGAIN_AT_ONCE, limit - len(task_ids))
            told = self._transport.call("POST", "/tasks/run_again", {**body, "limit": most}, repeat=False)
            task_ids += told["task_ids"]
            if told["task_ids"]:
                group_ids.append(told["group_id"])
            asked["cursor"] = told["cursor"]
            if told["cursor"] is None:
                break
        return {
            "count": len(task_ids),
            "task_ids": task_ids,
            "group_ids": group_ids,
            "cursor": asked["cursor"],
        }

    def logs(self, task_id: str, *, follow: bool = False) -> Iterator[LogLine]:
        """Return the lines a task has printed so far, the first 100,000; with `follow` all, also those to come, until it ends.

        A task that is started again prints anew. A connection that breaks is made again, and each line comes once.
        """
        if follow:
            return log_lines.follow(self._transport, task_id)
        told = self._transport.call("GET", path("tasks", task_id, "logs"))
        return (log_lines.log_line(one) for one in told["lines"])

    def printed(self, task_id: str) -> str:
        """Return what a task has printed so far, as one text."""
        target = path("tasks", task_id, "logs") + "?format=text"
        return self._transport.send("GET", target, None, {"accept": "text/plain"}).decode("utf-8", "replace")

    # Lists.

    def tasks(
        self,
        *,
        status: str | None = None,
        function: str | None = None,
        failure: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Story]:
        """Yield tasks, newest first: of a status, a function (its id), a type of failure; at most `limit`."""
        asked = {"status": status, "function": function, "failure": failure}
        return self._pages("/tasks", "tasks", asked, limit)

    def functions(self, limit: int | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield the registered functions."""
        return self._pages("/functions", "functions", {}, limit)

    def function(self, function_id: str) -> Mapping[str, Any]:
        """Return what is known of a function."""
        told: Mapping[str, Any] = self._transport.call("GET", path("functions", function_id))
        return told

    def workers(self) -> list[Mapping[str, Any]]:
        """Return the workers: name, state, slots, what they run, their Python."""
        return list(self._transport.call("GET", "/workers")["workers"])

    def dispatchers(self) -> list[Mapping[str, Any]]:
        """Return the dispatchers."""
        return list(self._transport.call("GET", "/dispatchers")["dispatchers"])

    def drain_worker(self, name: str) -> Mapping[str, Any]:
        """Have a worker finish what it runs and take nothing more."""
        told: Mapping[str, Any] = self._transport.call("POST", path("workers", name, "drain"), {})
        return told

    def drain_dispatcher(self, dispatcher_id: str) -> Mapping[str, Any]:
        """Have a dispatcher hand over what it has and take nothing more."""
        told: Mapping[str, Any] = self._transport.call(
            "POST", path("dispatchers", dispatcher_id, "drain"), {}
        )
        return told

    def _pages(
        self, target: str, name: str, asked: Mapping[str, Any], limit: int | None
    ) -> Iterator[Mapping[str, Any]]:
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            page = _PAGE if left is None else min(left, _PAGE)
            told = self._transport.call("GET", target, query={**asked, "limit": page, "cursor": cursor})
            yield from told[name]
            if left is not None:
                left -= len(told[name])
            # A page can be empty and not be the last: the API looks only so far for tasks that match.
            cursor = told["cursor"]
            if cursor is None:
                return

    # The end.

    def close(self) -> None:
        """Wait for the tasks submitted through this client itself, and close its connections."""
        if self._executor is not None:
            self._executor.shutdown()
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


_PAGE = 100
# Of one request, so that its answer is not long in coming.
_RUN_AGAIN_AT_ONCE = 1_000
