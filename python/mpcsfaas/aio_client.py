"""The asyncio twin of the client: the same calls, awaited; what is iterated there is iterated here with `async for`."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .aio import AsyncExecutor
from .client import Client, LogLine, Story
from .group import Group, TaskResult

if TYPE_CHECKING:
    from .executor import P

T = TypeVar("T")

_ITEMS_AHEAD = 1_000


class AsyncClient:
    """A `Client` for coroutines; parameters as there, or a client to share, which is `client`."""

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout: float = 60.0,
        api_key: str | None = None,
        client: Client | None = None,
    ) -> None:
        self.client = client or Client(url, timeout=timeout, api_key=api_key)
        self._executor: AsyncExecutor | None = None

    @property
    def url(self) -> str:
        """Where the API is."""
        return self.client.url

    # Running functions.

    def executor(self, **parameters: Any) -> AsyncExecutor:
        """Return a new `AsyncExecutor` on this platform."""
        return AsyncExecutor(self.client.executor(**parameters))

    def options(self, **options: Any) -> AsyncExecutor:
        """Return this client's executor with options for its tasks: `await client.options(timeout=5).submit(f)`."""
        return self._own().options(**options)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Run a function on the platform; returns at once what is to be awaited."""
        return self._own().submit(fn, *args, **kwargs)

    async def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function on the platform and return what it returns."""
        return await self.submit(fn, *args, **kwargs)

    def map(self, fn: Callable[..., T], *iterables: Iterable[Any], **kwargs: Any) -> AsyncIterator[T]:
        """Run a function for each item; see `AsyncExecutor.map`."""
        return self._own().map(fn, *iterables, **kwargs)

    async def register(self, fn: Callable[..., Any]) -> str:
        """Register a function; return its id."""
        return await asyncio.to_thread(self.client.register, fn)

    def _own(self) -> AsyncExecutor:
        if self._executor is None:
            self._executor = self.executor()
        return self._executor

    # Tasks by id.

    async def result(self, task_id: str, timeout: float | None = None) -> Any:
        """Wait for a task and return what it returned."""
        return await asyncio.to_thread(self.client.result, task_id, timeout)

    async def results(
        self, task_ids: Sequence[str], timeout: float | None = None, *, return_exceptions: bool = False
    ) -> list[Any]:
        """Wait for tasks and return their values in the same order."""
        ask = functools.partial(self.client.results, task_ids, timeout, return_exceptions=return_exceptions)
        return await asyncio.to_thread(ask)

    def as_completed(
        self, task_ids: Sequence[str], timeout: float | None = None
    ) -> AsyncIterator[TaskResult]:
        """Yield the results of tasks as they end."""
        return from_thread(lambda: self.client.as_completed(task_ids, timeout))

    def group(self, group_id: str) -> AsyncGroup:
        """Return a group: `executor.group_id` of this or another program, of now or of yesterday."""
        return AsyncGroup(self.client.group(group_id))

    async def status(self, task_id: str) -> str:
        """Return a task's status."""
        return await asyncio.to_thread(self.client.status, task_id)

    async def task(self, task_id: str) -> Story:
        """Return a task's whole story."""
        return await asyncio.to_thread(self.client.task, task_id)

    async def explain(self, task_id: str) -> str:
        """Return in words where a task stands."""
        return await asyncio.to_thread(self.client.explain, task_id)

    async def cancel(self, *task_ids: str) -> int:
        """Cancel tasks, also while they run; return how many had not ended."""
        return await asyncio.to_thread(self.client.cancel, *task_ids)

    async def run_again(self, task_id: str) -> str:
        """Run a task once more as a new one; return its id."""
        return await asyncio.to_thread(self.client.run_again, task_id)

    async def run_failed_again(
        self, *, failure: str | None = None, function: str | None = None, limit: int | None = None
    ) -> Mapping[str, Any]:
        """Run failed tasks again: see `Client.run_failed_again`."""
        ask = functools.partial(self.client.run_failed_again, failure=failure, function=function, limit=limit)
        return await asyncio.to_thread(ask)

    def logs(self, task_id: str, *, follow: bool = False) -> AsyncIterator[LogLine]:
        """Yield the lines a task has printed, with `follow` also those to come."""
        return from_thread(lambda: self.client.logs(task_id, follow=follow))

    async def printed(self, task_id: str) -> str:
        """Return what a task has printed so far, as one text."""
        return await asyncio.to_thread(self.client.printed, task_id)

    # Lists.

    def tasks(
        self,
        *,
        status: str | None = None,
        function: str | None = None,
        failure: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Story]:
        """Yield tasks, newest first: see `Client.tasks`."""
        return from_thread(
            lambda: self.client.tasks(status=status, function=function, failure=failure, limit=limit)
        )

    def functions(self, limit: int | None = None) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the registered functions."""
        return from_thread(lambda: self.client.functions(limit))

    async def function(self, function_id: str) -> Mapping[str, Any]:
        """Return what is known of a function."""
        return await asyncio.to_thread(self.client.function, function_id)

    async def workers(self) -> list[Mapping[str, Any]]:
        """Return the workers."""
        return await asyncio.to_thread(self.client.workers)

    async def dispatchers(self) -> list[Mapping[str, Any]]:
        """Return the dispatchers."""
        return await asyncio.to_thread(self.client.dispatchers)

    async def drain_worker(self, name: str) -> Mapping[str, Any]:
        """Have a worker finish what it runs and take nothing more."""
        return await asyncio.to_thread(self.client.drain_worker, name)

    async def drain_dispatcher(self, dispatcher_id: str) -> Mapping[str, Any]:
        """Have a dispatcher hand over what it has and take nothing more."""
        return await asyncio.to_thread(self.client.drain_dispatcher, dispatcher_id)

    # The end.

    async def close(self) -> None:
        """Wait for the tasks submitted through this client itself."""
        if self._executor is not None:
            await self._executor.shutdown()
        await asyncio.to_thread(self.client.close)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()


class AsyncGroup:
    """A `Group` for coroutines."""

    def __init__(self, group: Group) -> None:
        self.group = group

    @property
    def group_id(self) -> str:
        """Its id."""
        return self.group.group_id

    async def progress(self) -> Mapping[str, Any]:
        """Return how many tasks there are, by status."""
        return await asyncio.to_thread(self.group.progress)

    def results(self, timeout: float | None = None, *, follow: bool = False) -> AsyncIterator[TaskResult]:
        """Yield every result as it comes: see `Group.results`."""
        return from_thread(lambda: self.group.results(timeout, follow=follow))

    def __aiter__(self) -> AsyncIterator[TaskResult]:
        return self.results()

    async def values(self, timeout: float | None = None) -> list[Any]:
        """Return what all tasks returned, in the order of their submission."""
        return await asyncio.to_thread(self.group.values, timeout)

    async def cancel(self) -> int:
        """Cancel all tasks that have not ended; return how many that were."""
        return await asyncio.to_thread(self.group.cancel)

    async def close(self) -> None:
        """Say that nothing will be added any more."""
        await asyncio.to_thread(self.group.close)

    def __repr__(self) -> str:
        return f"AsyncGroup({self.group_id!r})"


async def from_thread(make: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    """Yield what an iterator that waits yields, from a thread of its own, which stops when nobody reads any more."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[bool, Any]] = asyncio.Queue()
    room = threading.Semaphore(_ITEMS_AHEAD)
    stopped = threading.Event()

    def put(more: bool, value: Any) -> None:
        try:
            if not stopped.is_set():
                loop.call_soon_threadsafe(queue.put_nowait, (more, value))
        except RuntimeError:
            # The loop is closed.
            stopped.set()

    def read() -> None:
        try:
            for value in make():
                room.acquire()
                if stopped.is_set():
                    return
                put(True, value)
            put(False, None)
        except BaseException as error:
            put(False, error)

    threading.Thread(target=read, name="mpcsfaas-read", daemon=True).start()
    try:
        while True:
            more, value = await queue.get()
            room.release()
            if more:
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        stopped.set()
        room.release()
