"""What the client has put into a function's pickle and the worker calls: small, and importable wherever a runtime is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def traceparent() -> str | None:
    """Return the W3C trace context of the running task, for a function's own spans; None when it is not traced."""
    return os.environ.get("TRACEPARENT")


def enter_main(names: Mapping[str, Any], value: Any) -> Any:
    """Put what a function of a script, or its arguments, need from its `__main__` into the worker's; return the value."""
    vars(sys.modules["__main__"]).update(names)
    return value


def make_enum(base: type, name: str, members: Mapping[str, Any], extras: Mapping[str, Any]) -> type:
    """Build an Enum of a script anew; a plain copy of its class cannot be."""
    made: Any = base(name, dict(members), module="__main__")
    for key, value in extras.items():
        setattr(made, key, value)
    found: type = made
    return found


class Chunk:
    """Calls a function many times in one task: what `map` sends with a `chunksize`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Return what the function returned for each tuple of arguments."""
        return [self.function(*args) for args in calls]


class Initialized:
    """Calls an executor's `initializer` once in each process, before the function's first call there."""

    def __init__(
        self, function: Callable[..., Any], initializer: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        self.function = function
        self.initializer: Callable[..., Any] | None = initializer
        self.args = args

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; an initializer that raised is tried again by the next task."""
        if self.initializer is not None:
            self.initializer(*self.args)
            self.initializer = None
        return self.function(*args, **kwargs)


class LocalFunction:
    """What a function decorated with `@function` is inside a task: itself, to be called there."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.local = function
        self.__wrapped__ = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it here."""
        return self.local(*args, **kwargs)

    def remote(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse: a task has no connection to the platform."""
        raise RuntimeError("a task cannot submit tasks: call the function itself, or submit from the client")

    map = remote
