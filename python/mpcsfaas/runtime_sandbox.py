"""What the process does to its own rights before the first function: descriptors, user, limits; and between functions: /tmp, CPU time.

The pool (workers/sandbox/) has done the rest before the process began. Nothing is there to do without a sandbox.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import shutil
import stat
import time
from dataclasses import dataclass, field
from typing import Final

_LAST_PROTOCOL_FD: Final = 5
_PR_SET_DUMPABLE: Final = 4


@dataclass
class Sandbox:
    """`RuntimeSandbox` in workers/sandbox/runtimeLaunch.ts; 0 is no limit."""

    close: bool = False
    user: tuple[int, int] | None = None
    open_files: int = 0
    file_bytes: int = 0
    processes: int = 0
    cpu_s: int = 0
    clean: list[str] = field(default_factory=list)


def take() -> Sandbox:
    """Read what the pool says, and remove it from the environment."""
    return Sandbox(**json.loads(os.environ.pop("MPCSFAAS_SANDBOX", "{}")))


def enter(sandbox: Sandbox) -> None:
    """Close what the worker has leaked and become the functions' user. To be called before anything is opened."""
    if sandbox.close:
        _close_strangers()
    if sandbox.user is not None:
        uid, gid = sandbox.user
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        # The kernel hides a process that has changed its user even from itself: /dev/stdout could not be opened.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def _close_strangers() -> None:
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        # Elsewhere than on Linux.
        os.closerange(_LAST_PROTOCOL_FD + 1, 4096)
        return
    for name in names:
        if int(name) > _LAST_PROTOCOL_FD:
            # The descriptor of the listing itself is among them, and closed.
            with contextlib.suppress(OSError):
                os.close(int(name))


def limit(sandbox: Sandbox, memory_bytes: int) -> None:
    """Set the limits that hold for this process and each that it starts; they cannot be raised again."""
    _set(resource.RLIMIT_CORE, 0)
    for which, value in (
        (resource.RLIMIT_NOFILE, sandbox.open_files),
        (resource.RLIMIT_FSIZE, sandbox.file_bytes),
        (resource.RLIMIT_NPROC, sandbox.processes),
        # Allocations beyond it raise MemoryError instead of waking the kernel's killer.
        (resource.RLIMIT_AS, memory_bytes),
    ):
        if value:
            _set(which, value)


def _set(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    # The machine may allow less.
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def allow_cpu_time(seconds: int) -> None:
    """Give the task that is about to begin its CPU time; SIGXCPU ends the process of one that takes more."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + seconds, hard))


class Folders:
    """Folders in memory that are emptied after each task, but for what is in them at the start."""

    def __init__(self, paths: list[str]) -> None:
        self._kept = {path: frozenset(os.listdir(path)) for path in paths}
        # A tmpfs counts the entries of a directory in its size, and no function can change that.
        self._sizes = [(path, os.stat(path).st_size) for path in paths]

    def are_clean(self) -> bool:
        """Tell whether nothing was added, at the price of one call for each."""
        return all(os.stat(path).st_size == size for path, size in self._sizes)

    def clean(self) -> bool:
        """Remove what was added; tell whether that succeeded."""
        for folder, kept in self._kept.items():
            for name in os.listdir(folder):
                if name in kept:
                    continue
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    if stat.S_ISDIR(os.lstat(path).st_mode):
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        os.unlink(path)
        return self.are_clean()
