"""The runtime's end of the wire: big reads, joined writes.

State: `_parts` are finished frames not written yet, `gathered` their bytes, `_rest` the unread tail of the last read.
Only the main thread writes to the pipe; other threads only append frames. `_writing` keeps a signal handler that
interrupts a write from starting another one in the middle of a frame. A forked child has no channel: `closed` is set and
what it sends goes nowhere.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import contextlib
import fcntl
import os
import threading
import time
from typing import Final, NoReturn

from .runtime_protocol import HEADER

READ_BYTES: Final = 1 << 18
FLUSH_BYTES: Final = 32 * 1024
EXIT_WIRE_LOST: Final = 70
_ALL_SIGNALS: Final = _signal.valid_signals()
EXIT_WIRE_CORRUPT: Final = 71
EXIT_SPOILT: Final = 73


class Channel:
    """Frames to and from the pool, over two descriptors that nothing else knows."""

    def __init__(self, read_fd: int, write_fd: int, token: int) -> None:
        self.token = token
        self.closed = False
        self.gathered = 0
        self.last_flush = 0.0
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._rest = b""
        self._parts: list[bytes] = []
        self._writing = False
        self._main = threading.get_ident()

    def append(self, data: bytes) -> None:
        """Add one whole frame to what the next flush writes."""
        self._parts.append(data)
        self.gathered += len(data)

    def keep(self, rest: bytes) -> None:
        """Keep the incomplete frame at the end of a read for the next one."""
        self._rest = rest

    def receive(self) -> bytes:
        """Wait for input; return bytes that start with a frame. End of input ends the process."""
        rest = self._rest
        self._rest = b""
        if len(rest) >= HEADER.size:
            missing = HEADER.size + HEADER.unpack_from(rest)[1] - len(rest)
            if missing > READ_BYTES:
                return self._receive_large(rest, missing)
        chunk = self._read(READ_BYTES)
        return rest + chunk if rest else chunk

    def _receive_large(self, rest: bytes, missing: int) -> bytes:
        # Joining at every read would copy a large body hundreds of times.
        pieces = [rest]
        while missing > 0:
            piece = self._read(max(READ_BYTES, min(missing, 1 << 22)))
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _read(self, size: int) -> bytes:
        try:
            chunk = os.read(self._read_fd, size)
        except OSError:
            leave(EXIT_WIRE_LOST)
        if not chunk:
            leave(0)
        return chunk

    def flush(self) -> None:
        """Write everything gathered. The task that is running must not be able to throw into this: see `flush_within`."""
        if self._writing or not self._parts or self.closed:
            return
        self._writing = True
        parts = self._parts
        self._parts = []
        self.gathered = 0
        data = memoryview(parts[0] if len(parts) == 1 else b"".join(parts))
        try:
            while data:
                data = data[os.write(self._write_fd, data) :]
        except OSError:
            leave(EXIT_WIRE_LOST)
        self.last_flush = time.perf_counter()
        self._writing = False

    def flush_within(self) -> None:
        """Flush while a task is running: its signal handlers wait, since one that raises would tear a frame."""
        if threading.get_ident() != self._main or self.closed:
            return
        # Not by the module `signal`, which makes enumerations of 64 numbers each time: a fifth of a millisecond.
        before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _ALL_SIGNALS)
        try:
            self.flush()
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)

    def abandon(self) -> None:
        """In a forked child: let go of the wire, which belongs to the parent."""
        self.closed = True
        self._parts = []
        for fd in (self._read_fd, self._write_fd):
            with contextlib.suppress(OSError):
                os.close(fd)


def duplicate_from(fd: int, lowest: int) -> int:
    """Duplicate a descriptor to the first free number from `lowest` on; subprocesses do not inherit it."""
    # PyPy does not name it.
    if hasattr(fcntl, "F_DUPFD_CLOEXEC"):
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)
    duplicate = fcntl.fcntl(fd, fcntl.F_DUPFD, lowest)
    os.set_inheritable(duplicate, False)
    return duplicate


def leave(code: int) -> NoReturn:
    """End at once. Exit handlers of users' libraries could hang, and the pool has been told all there is to tell."""
    os._exit(code)
