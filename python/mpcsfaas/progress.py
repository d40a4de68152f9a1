"""A bar that shows how far a `map` has come, drawn by tqdm where that is installed (`pip install mpcsfaas[progress]`)."""

from __future__ import annotations

import sys
import threading
from typing import Any, Protocol


class Bar(Protocol):
    """What is used of a bar; any thread may call it."""

    def update(self) -> None:
        """Count one more."""

    def close(self) -> None:
        """Draw it for the last time."""


class _TqdmBar:
    def __init__(self, bar: Any) -> None:
        self._bar = bar
        # tqdm counts without a lock.
        self._lock = threading.Lock()

    def update(self) -> None:
        with self._lock:
            self._bar.update(1)

    def close(self) -> None:
        with self._lock:
            self._bar.close()


def progress_bar(wanted: bool | None, total: int | None, label: str) -> Bar | None:
    """Return a bar, or None: when none is wanted, or nobody would see it, or it was not asked for and tqdm is missing."""
    if wanted is False or (wanted is None and not _is_watched()):
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if wanted:
            raise ImportError(
                "progress=True needs tqdm: pip install mpcsfaas[progress], or pip install tqdm"
            ) from None
        return None
    # A map that is over at once needs no bar.
    return _TqdmBar(tqdm(total=total, desc=label, unit="task", delay=0 if wanted else 0.5))


def _is_watched() -> bool:
    return sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)
