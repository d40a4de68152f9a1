"""Puts the process back as it was after each task: directory, environment, signals, timers, import path, limits.

Two tiers, since a no-op must stay within a few microseconds. `restore` runs after every task and looks at what a short
task can change, by calls that cost 0.05 to 0.7 us each. `restore_thoroughly` runs after tasks longer than
`THOROUGH_AFTER_S`, after a fork and after an exception; a process or file cannot be created in less time than that.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import gc
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Callable, Final, Union

THOROUGH_AFTER_S: Final = 0.0001

Handler = Union[Callable[[int, Union[FrameType, None]], Any], int, None]

# Those that functions and libraries do set; the others are compared by the thorough tier.
_COMMON_SIGNALS: Final = tuple(
    int(number)
    for number in (
        signal.SIGALRM,
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGCHLD,
        signal.SIGPIPE,
        signal.SIGHUP,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGURG,
    )
)


class _WatchedEnvironment(dict):  # type: ignore[type-arg]
    """The dictionary inside `os.environ`; every way to change the environment by Python passes through it."""

    dirty = False

    def __setitem__(self, key: Any, value: Any) -> None:
        self.dirty = True
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        self.dirty = True
        super().__delitem__(key)


class Hygiene:
    """What the process looked like before the first task."""

    def __init__(self) -> None:
        self.forked = False
        self._cwd = os.getcwd()
        self._umask = os.umask(0o022)
        os.umask(self._umask)
        self._path = list(sys.path)
        self._path_object = sys.path
        self._recursion_limit = sys.getrecursionlimit()
        self._handlers: dict[int, Handler] = {}
        for number in signal.valid_signals():
            self._handlers[int(number)] = _signal.getsignal(number)
        self._common = tuple((number, self._handlers[number]) for number in _COMMON_SIGNALS)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._environ = os.environ
        watched = _WatchedEnvironment(os.environ._data)  # type: ignore[attr-defined]
        os.environ._data = os.environb._data = watched  # type: ignore[attr-defined]
        self._watched = watched
        self._environment = dict(watched)
        os.register_at_fork(before=self._fork_begins)

    def _fork_begins(self) -> None:
        self.forked = True

    def restore(self) -> None:
        """Undo what a short task can have changed."""
        # First of all: a handler that fires between tasks would raise inside the runtime.
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        getsignal = _signal.getsignal
        for number, handler in self._common:
            if getsignal(number) is not handler:
                self._restore_signals()
                break
        if self._watched.dirty or os.environ is not self._environ:
            self._restore_environment()
        try:
            moved = os.getcwd() != self._cwd
        except OSError:
            moved = True
        if moved:
            self._restore_cwd()
        os.umask(self._umask)
        if sys.path != self._path or sys.path is not self._path_object:
            sys.path = self._path_object
            sys.path[:] = self._path
        if sys.getrecursionlimit() != self._recursion_limit:
            sys.setrecursionlimit(self._recursion_limit)
        if not gc.isenabled():
            gc.enable()
        if sys.gettrace() is not None:
            sys.settrace(None)
        if sys.getprofile() is not None:
            sys.setprofile(None)

    def calm(self) -> None:
        """Switch off the task's alarms and handlers, however often they strike meanwhile."""
        while True:
            try:
                for timer in (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF):
                    _signal.setitimer(timer, 0)
                self._restore_signals()
                return
            except BaseException:
                continue

    def restore_thoroughly(self) -> None:
        """Undo everything that this module knows about."""
        self.calm()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        self.restore()

    def _restore_signals(self) -> None:
        for number, handler in self._handlers.items():
            # None is a handler that was not installed from Python: it can be neither changed from here nor put back.
            if handler is not None and _signal.getsignal(number) is not handler:
                _signal.signal(number, handler)

    def _restore_environment(self) -> None:
        os.environ = self._environ  # noqa: B003
        watched = self._watched
        if getattr(os.environ, "_data", None) is not watched:
            os.environ._data = os.environb._data = watched  # type: ignore[attr-defined]
        for key in [key for key in watched if key not in self._environment]:
            del os.environb[key]
        for key, value in self._environment.items():
            if watched.get(key) != value:
                os.environb[key] = value
        watched.dirty = False

    def _restore_cwd(self) -> None:
        try:
            os.chdir(self._cwd)
        except OSError:
            # The directory is gone; then there is nothing to return to.
            self._cwd = os.getcwd()

    def threads_left(self) -> bool:
        """Tell whether a non-daemon thread is still running. Daemon threads are a library's helpers and may stay."""
        if not _thread._count():
            return False
        main = threading.main_thread()
        return any(not t.daemon and t is not main and t.is_alive() for t in threading.enumerate())

    def children_left(self) -> bool:
        """Tell whether a child process is still running; forgets those that have ended."""
        try:
            while True:
                ended, _ = os.waitpid(-1, os.WNOHANG)
                if not ended:
                    return True
        except ChildProcessError:
            return False
