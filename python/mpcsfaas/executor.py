"""A `concurrent.futures.Executor` whose functions run on the platform."""

from __future__ import annotations

import concurrent.futures
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from .core import Core
from .futures import TaskFuture
from .on_worker import Initialized
from .options import NO_OPTIONS
from .outbox import Outgoing
from .progress import progress_bar
from .transport import Transport

if TYPE_CHECKING:
    import sys

    if sys.version_info >= (3, 10):
        from typing import ParamSpec
    else:
        from typing_extensions import ParamSpec

    P = ParamSpec("P")

T = TypeVar("T")


class _Shared:
    """What an executor and its views have in common. When the last is forgotten, the threads end with their work."""

    def __init__(self, core: Core) -> None:
        self.core = core
        weakref.finalize(self, core.outbox.close).atexit = False


class Executor(concurrent.futures.Executor):
    """Runs functions on the platform, with the standard interface: `submit`, `map`, `shutdown`, `with`.

    Parameters of `ProcessPoolExecutor` are taken, so that a program changes by one import line: `initializer` runs in each
    process before an executor's function runs there for the first time; `max_workers`, `mp_context` and `max_tasks_per_child`
    are without meaning here, because the platform has its workers.

    url: of the API (default: the variable MPCSFAAS_URL, or http://127.0.0.1:8000). timeout: for how many seconds a platform
    that does not answer is borne; then futures fail with `PlatformUnreachable`. api_key: where the platform asks for one (default:
    the variable MPCSFAAS_API_KEY).
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: Any = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        url: str | None = None,
        timeout: float = 60.0,
        api_key: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")

        def initialized(function: Callable[..., Any]) -> Callable[..., Any]:
            return Initialized(function, initializer, initargs) if initializer is not None else function

        core = Core(
            transport or Transport(url, timeout, api_key), initialized if initializer is not None else None
        )
        self._shared = _Shared(core)
        self._core = core
        self._options = NO_OPTIONS

    @property
    def group_id(self) -> str:
        """Id of the group that tasks are added to: `Client().group(id)` reads its results, from any process."""
        return self._core.group_ids[-1]

    @property
    def group_ids(self) -> list[str]:
        """Ids of all groups so far; a new one begins every 50,000 tasks."""
        return list(self._core.group_ids)

    def options(self, **options: Any) -> Executor:
        """Return this executor with options for its tasks: see `TaskOptions`. `executor.options(timeout=5).submit(f)`."""
        view = object.__new__(type(self))
        view._shared = self._shared
        view._core = self._core
        view._options = self._options.replaced(**options)
        return view

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[T]:
        """Run `fn(*args, **kwargs)` on the platform and return its future.

        Futures among the arguments stand for their values: the task starts after theirs, and the values never pass
        through this process. What cannot be pickled fails the future, not this call. Waits while very much is unsent.
        """
        return self.submit_call(fn, args, kwargs)

    def submit_call(
        self,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        chunked: bool = False,
        waits: bool = True,
    ) -> TaskFuture[T]:
        """Do as `submit`. chunked: the only argument is a list of argument tuples. waits: for room, when much is unsent."""
        core = self._core
        if core.outbox.closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: TaskFuture[T] = TaskFuture(core)
        try:
            card, payload = core.registry.call(fn, args, kwargs, chunked)
        except Exception as error:
            future.settle(None, error)
            return future
        # Arguments with futures among them are pickled when the ids of those are known.
        call = (args, kwargs) if payload is None else None
        core.submit(Outgoing(future, card, self._options, payload or b"", call), waits)
        return future

    def wait_for_room(self) -> None:
        """Wait until `submit` would not wait."""
        self._core.outbox.wait_for_room()

    @property
    def has_room(self) -> bool:
        """Tell whether `submit` would not wait."""
        return self._core.outbox.has_room()

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        progress: bool | None = None,
    ) -> Iterator[T]:
        """Return the results of `fn` for the items of the iterables, in their order.

        timeout: seconds from now until a result that is asked for must be there, else TimeoutError. chunksize: calls in one
        task. buffersize: tasks that may be under way; None: all at once. progress: show a bar; None: where somebody
        looks, a terminal or notebook, if tqdm is installed.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        calls: Iterator[tuple[Any, ...]] = zip(*iterables)
        if chunksize > 1:
            chunks = _chunks(calls, chunksize)
            submitted = (self.submit_call(fn, (chunk,), {}, chunked=True) for chunk in chunks)
        else:
            submitted = (self.submit_call(fn, args, {}) for args in calls)
        ends_at = None if timeout is None else time.monotonic() + timeout
        futures: deque[TaskFuture[Any]] = deque()
        if buffersize is None:
            futures.extend(submitted)
            submitted = iter(())  # type: ignore[assignment]
        else:
            for future in submitted:
                futures.append(future)
                if len(futures) == buffersize:
                    break
        total = len(futures) if buffersize is None else None
        results = _in_order(futures, submitted, ends_at, progress_bar(progress, total, _label(fn)))
        return _flat(results) if chunksize > 1 else results

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; with `wait`, return when all have ended. `cancel_futures`: cancel what does not run yet."""
        self._core.outbox.close()
        if cancel_futures:
            self._core.cancel_waiting()
        self._core.shutdown(wait)

    def __reduce__(self) -> Any:
        raise TypeError(
            "an Executor cannot be sent to a worker; make one there, or keep it out of the function"
        )


def _label(fn: Any) -> str:
    return str(getattr(fn, "__name__", "tasks"))


def _chunks(calls: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    chunk: list[tuple[Any, ...]] = []
    for args in calls:
        chunk.append(args)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _in_order(
    futures: deque[TaskFuture[Any]], more: Iterator[TaskFuture[Any]], ends_at: float | None, bar: Any
) -> Iterator[Any]:
    """Yield results; when nobody wants the rest, or one fails, cancel the rest."""
    try:
        if bar is not None:
            for future in futures:
                future.add_done_callback(lambda _: bar.update())
        while futures:
            future = futures.popleft()
            for fresh in more:
                futures.append(fresh)
                break
            left = None if ends_at is None else ends_at - time.monotonic()
            try:
                value = future.result(left)
            except BaseException:
                future.cancel()
                raise
            # A result that was handed on is not kept here.
            del future
            yield value
    finally:
        for future in futures:
            future.cancel()
        if bar is not None:
            bar.close()


def _flat(chunks: Iterator[list[Any]]) -> Iterator[Any]:
    for chunk in chunks:
        chunk.reverse()
        while chunk:
            yield chunk.pop()
