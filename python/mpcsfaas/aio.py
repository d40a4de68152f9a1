"""The asyncio twin of the executor: the same, awaited.

A coroutine that is cancelled while it awaits a task cancels the task, also while it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from .executor import Executor
from .futures import TaskFuture
from .pickling import TaskReference

if TYPE_CHECKING:
    from .executor import P

    _AsyncioFuture = asyncio.Future[Any]
else:
    _AsyncioFuture = asyncio.Future

T = TypeVar("T")

_MAP_BUFFER = 1_000


class _Bridge:
    """Brings ends of tasks from their threads into an event loop: all that came since the loop last looked, in one call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ended: deque[AsyncTask] = deque()
        self._called = False
        self._lock = threading.Lock()

    def ended(self, task: AsyncTask) -> None:
        """Note an end; any thread."""
        with self._lock:
            self._ended.append(task)
            if self._called:
                return
            self._called = True
        # When the loop is closed nobody waits.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            ended, self._ended = self._ended, deque()
            self._called = False
        for task in ended:
            task.take_over()


class AsyncTask(_AsyncioFuture, TaskReference):
    """A task to be awaited. `future` is the one of `concurrent.futures` behind it."""

    def __init__(self, future: TaskFuture[Any], bridge: _Bridge, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.future = future
        future.add_done_callback(lambda _: bridge.ended(self))

    @property
    def task_id(self) -> str | None:  # type: ignore[override]
        """None until the platform has accepted the task."""
        return self.future.task_id

    def reference_id(self) -> str:
        """Return the task's id, waiting until it has one."""
        return self.future.reference_id()

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the task, also while it runs."""
        if not super().cancel():
            return False
        self.future.cancel()
        return True

    def take_over(self) -> None:
        """Take the end of the future behind; in the loop."""
        if self.done():
            return
        if self.future.cancelled():
            super().cancel()
            return
        error = self.future.exception()
        if error is None:
            self.set_result(self.future.result())
        elif isinstance(error, StopIteration):
            # asyncio has no room for it.
            self.set_exception(RuntimeError(f"the function raised StopIteration: {error}"))
        else:
            self.set_exception(error)


class AsyncExecutor:
    """An `Executor` for coroutines; parameters as there, or an executor to share."""

    def __init__(self, executor: Executor | None = None, **parameters: Any) -> None:
        self.executor = executor or Executor(**parameters)
        self._bridges: dict[asyncio.AbstractEventLoop, _Bridge] = {}

    @property
    def group_id(self) -> str:
        """Id of the group that tasks are added to."""
        return self.executor.group_id

    def options(self, **options: Any) -> AsyncExecutor:
        """Return this executor with options for its tasks: see `TaskOptions`."""
        return AsyncExecutor(self.executor.options(**options))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Run `fn` on the platform; returns at once what is to be awaited. Await `drain` when submitting very many."""
        loop = asyncio.get_running_loop()
        bridge = self._bridges.get(loop)
        if bridge is None:
            bridge = self._bridges[loop] = _Bridge(loop)
        return AsyncTask(self.executor.submit_call(fn, args, kwargs, waits=False), bridge, loop)

    async def drain(self) -> None:
        """Wait while very much is unsent."""
        if not self.executor.has_room:
            await asyncio.to_thread(self.executor.wait_for_room)

    async def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], buffersize: int = _MAP_BUFFER
    ) -> AsyncIterator[T]:
        """Yield results in the order of the items, with so many tasks under way."""
        calls = zip(*iterables)
        under_way: deque[asyncio.Future[T]] = deque()
        try:
            for args in calls:
                await self.drain()
                under_way.append(self.submit(fn, *args))
                if len(under_way) >= buffersize:
                    yield await under_way.popleft()
            while under_way:
                yield await under_way.popleft()
        finally:
            for task in under_way:
                task.cancel()

    async def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; with `wait`, return when all have ended."""
        await asyncio.to_thread(
            functools.partial(self.executor.shutdown, wait=wait, cancel_futures=cancel_futures)
        )

    async def __aenter__(self) -> AsyncExecutor:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.shutdown()
