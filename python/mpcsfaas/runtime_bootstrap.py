"""Makes the process a runtime: descriptors out of the way, tied to its supervisor's life, a clean `__main__` and path."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import resource
import signal
import sys
from dataclasses import dataclass
from typing import Final

from .runtime_channel import EXIT_WIRE_LOST, Channel, duplicate_from, leave

READ_FD: Final = 3
WRITE_FD: Final = 4
PAGE_FD: Final = 5
PAGE_BYTES: Final = 4096

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_HIGH_FD: Final = 900
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_KEPT_MEMORY_BYTES: Final = 32 << 20
_MAPPED_FROM_BYTES: Final = 16 << 20


@dataclass
class Settings:
    """What the pool hands over in the environment, `MPCSFAAS_*`; taken out of it before any function runs."""

    cwd: str
    python_path: list[str]
    max_output_bytes: int
    max_result_bytes: int
    max_memory_bytes: int
    """Address space, 0 for no limit."""


def take_settings() -> Settings:
    """Read the settings and remove them from the environment."""
    take = os.environ.pop
    return Settings(
        cwd=take("MPCSFAAS_CWD", os.getcwd()),
        python_path=[entry for entry in take("MPCSFAAS_PYTHONPATH", "").split(os.pathsep) if entry],
        max_output_bytes=int(take("MPCSFAAS_MAX_OUTPUT_BYTES", str(1 << 20))),
        max_result_bytes=int(take("MPCSFAAS_MAX_RESULT_BYTES", str(64 << 20))),
        max_memory_bytes=int(take("MPCSFAAS_MAX_MEMORY_BYTES", "0")),
    )


def set_import_path(settings: Settings) -> None:
    """Let functions import from the worker's directory and the given ones, as a script started there would.

    The process starts in the folder of this package, so that a user's `queue.py` cannot stand in for the one that the
    runtime needs; that folder leaves the path here, and the user's take its place.
    """
    os.chdir(settings.cwd)
    cwd = os.getcwd()
    given = [os.path.join(cwd, entry) for entry in settings.python_path]
    sys.path[:1] = [cwd, *given]
    sys.argv[:] = [""]


def keep_freed_memory() -> None:
    """Have glibc keep up to 32 MiB of freed memory for the next task.

    By default it gives a freed MiB back to the kernel at once, which has to clear every page of it for the next task: 0.7 ms
    per MiB and copy (measured). Elsewhere than on glibc nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_MEMORY_BYTES)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its supervisor ends. Elsewhere than on Linux the end of input does it."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Orphans of a task come to this process rather than to init, so that they can be noticed.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # The supervisor may have ended before the call above.
    if os.getppid() != parent_pid:
        leave(EXIT_WIRE_LOST)


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def write_c_output_at_once() -> None:
    """Take the buffer from C's `stdout`: what a library prints must not come out during a later task."""
    libc = ctypes.CDLL(None)
    unbuffered = 2
    # Where the C library calls it otherwise, its output is only late.
    with contextlib.suppress(ValueError, AttributeError):
        libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, unbuffered, ctypes.c_size_t(0))


def die_with_runtime() -> None:
    """In a forked child. The kernel watches the forking thread, so this is only right below the main one."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def high_fd() -> int:
    """Return where private descriptors go: above all that a function opens, and below the process's limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _HIGH_FD if soft == resource.RLIM_INFINITY or soft > _HIGH_FD + 100 else max(16, soft - 32)


def open_channel(token: int) -> Channel:
    """Move the wire to high close-on-exec descriptors, free the low ones and return the channel."""
    return Channel(_move_high(READ_FD), _move_high(WRITE_FD), token)


def _move_high(fd: int) -> int:
    moved = keep_high(fd)
    os.close(fd)
    return moved


def keep_high(fd: int) -> int:
    """Duplicate a descriptor to where no function looks and no subprocess inherits it."""
    return duplicate_from(fd, high_fd())


def open_page() -> memoryview:
    """Map the shared page as u32 words, leaving no descriptor of it."""
    # mmap keeps a duplicate, which a function that writes to every descriptor would reach. It is the lowest free number,
    # and the mapping outlives it.
    duplicate = os.dup(PAGE_FD)
    os.close(duplicate)
    mapped = mmap.mmap(PAGE_FD, PAGE_BYTES)
    os.close(PAGE_FD)
    if os.path.exists(f"/proc/self/fd/{duplicate}"):
        os.close(duplicate)
    return memoryview(mapped).cast("I")
