"""Options of a task."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

_WIRE_NAMES = {
    "timeout": "timeout_s",
    "max_attempts": "max_attempts",
    "priority": "priority",
    "delay": "delay_s",
    "result_ttl": "result_ttl_s",
    "isolation": "isolation",
}


@dataclasses.dataclass(frozen=True)
class Retry:
    """Try a task again when its function raised; apart from `max_attempts`, which counts lost workers and crashes.

    Before the n-th retry it waits `backoff * backoff_factor ** (n - 1)` seconds, at most `max_backoff`, of which the share
    `jitter` (0 to 1) is random. `on` are exception classes, or their names, that are tried again, with all that derive from
    them; None: any Exception.
    """

    max_retries: int = 3
    backoff: float = 1.0
    backoff_factor: float = 2.0
    max_backoff: float = 300.0
    jitter: float = 0.5
    on: Sequence[str | type[BaseException]] | None = None

    def fields(self) -> dict[str, Any]:
        """Return it in the words of the API."""
        fields: dict[str, Any] = {
            "max_retries": self.max_retries,
            "backoff_s": self.backoff,
            "backoff_factor": self.backoff_factor,
            "max_backoff_s": self.max_backoff,
            "jitter": self.jitter,
        }
        if self.on is not None:
            fields["on"] = [_name(kind) for kind in self.on]
        return fields


def _name(kind: str | type[BaseException]) -> str:
    if isinstance(kind, str):
        return kind
    # Classes of a script have another module where they run, and builtins go by their bare names.
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


@dataclasses.dataclass(frozen=True)
class TaskOptions:
    """What can be asked for with a task; None leaves it to the platform.

    timeout: longest run time, s. max_attempts: starts until a lost worker or crashed process is the end (platform: 3).
    retry: a number of retries, or a `Retry`, for exceptions the function raises. priority: "high", "normal" or "low".
    delay: seconds until it may start. labels: only workers started with all of them get it.
    result_ttl: how long the ended task is kept, s (platform: a day). isolation: "fresh" for a process that runs no other task.
    """

    timeout: float | None = None
    max_attempts: int | None = None
    retry: Retry | int | None = None
    priority: str | None = None
    delay: float | None = None
    labels: Sequence[str] | None = None
    result_ttl: float | None = None
    isolation: str | None = None

    def replaced(self, **changes: Any) -> TaskOptions:
        """Return these options with some changed; raises TypeError for one that does not exist."""
        if changes.get("labels") is not None:
            changes["labels"] = _labels(changes["labels"])
        return dataclasses.replace(self, **changes)

    def fields(self) -> dict[str, Any]:
        """Return those that are set, in the words of the API."""
        fields = {
            wire: getattr(self, name) for name, wire in _WIRE_NAMES.items() if getattr(self, name) is not None
        }
        if self.retry is not None:
            retry = Retry(max_retries=self.retry) if isinstance(self.retry, int) else self.retry
            fields["retry"] = retry.fields()
        if self.labels is not None:
            fields["labels"] = list(self.labels)
        return fields


def _labels(labels: str | Iterable[str]) -> tuple[str, ...]:
    return (labels,) if isinstance(labels, str) else tuple(labels)


NO_OPTIONS = TaskOptions()
