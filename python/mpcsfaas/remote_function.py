"""`@function`: a function that can be called here or on the platform."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from .executor import Executor
from .futures import TaskFuture
from .on_worker import LocalFunction

T = TypeVar("T")

if TYPE_CHECKING:
    from .executor import P
else:
    P = TypeVar("P")

_default: Executor | None = None
_default_lock = threading.Lock()


def default_executor() -> Executor:
    """Return the executor that decorated functions use where none was named; made at first use."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Executor()
        return _default


class RemoteFunction(Generic[P, T]):
    """A function with `.remote()`, `.map()` and `.local()`; calling it is calling it here."""

    def __init__(self, function: Callable[P, T], executor: Executor | None, options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._executor = executor
        self._options = options
        self._view: Executor | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it here."""
        return self._function(*args, **kwargs)

    def local(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it here."""
        return self._function(*args, **kwargs)

    def remote(self, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[T]:
        """Run it on the platform; returns the future at once."""
        return self._submitter().submit(self._function, *args, **kwargs)

    def map(self, *iterables: Iterable[Any], **kwargs: Any) -> Iterator[T]:
        """Run it on the platform for each item; see `Executor.map`."""
        return self._submitter().map(self._function, *iterables, **kwargs)

    def options(self, **options: Any) -> RemoteFunction[P, T]:
        """Return the same function with other options for its tasks: see `TaskOptions`."""
        return RemoteFunction(self._function, self._executor, {**self._options, **options})

    def _submitter(self) -> Executor:
        if self._view is None:
            self._view = (self._executor or default_executor()).options(**self._options)
        return self._view

    def __reduce__(self) -> Any:
        return LocalFunction, (self._function,)

    def __repr__(self) -> str:
        return f"<function {getattr(self._function, '__qualname__', self._function)} of mpcsfaas>"


@overload
def function(fn: Callable[P, T], /) -> RemoteFunction[P, T]: ...


@overload
def function(
    *, executor: Executor | None = None, **options: Any
) -> Callable[[Callable[P, T]], RemoteFunction[P, T]]: ...


def function(fn: Any = None, /, *, executor: Executor | None = None, **options: Any) -> Any:
    """Make a function of the platform of one of Python's: `@function`, or `@function(timeout=5, priority="high")`.

    The options are those of `TaskOptions`; `executor` names another one than the default.
    """
    if fn is not None:
        return RemoteFunction(fn, executor, options)

    def decorate(inner: Callable[P, T]) -> RemoteFunction[P, T]:
        return RemoteFunction(inner, executor, options)

    return decorate
