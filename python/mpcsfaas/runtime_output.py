"""What a task prints, from Python and from below it.

`sys.stdout` and `sys.stderr` send OUTPUT frames, by lines. Descriptors 1 and 2 are one anonymous file in append mode,
emptied after each task, so that C code and subprocesses reach the task as well and can never block on a full pipe.

State: `sequence` is the task that output belongs to, 0 between tasks (then it is dropped). `dirty` says that anything was
written since the task began, so that a silent task costs one test. `eager` says that the task may run for long, so that
its lines leave as they come.
"""

from __future__ import annotations

import fcntl
import io
import os
import sys
import tempfile
import threading
import time
from typing import Any, Final

from .runtime_channel import EXIT_SPOILT, Channel, leave
from .runtime_protocol import OUTPUT, STDERR, STDOUT, frame

# The least time between two writes of a short task's lines, s.
FLUSH_INTERVAL_S: Final = 0.001
PARTIAL_LINE_BYTES: Final = 8192
# Where the offset of the file behind 1 and 2 stands when nothing was written. Any odd number would do.
_UNTOUCHED: Final = 0x5EED5


class TaskOutput:
    """Output of the running task, bounded."""

    def __init__(self, channel: Channel, limit_bytes: int, high_fd: int) -> None:
        self.sequence = 0
        self.dirty = False
        self.cut = False
        self.eager = True
        self._channel = channel
        self._limit_bytes = limit_bytes
        self._room_bytes = limit_bytes
        self._drained_bytes = 0
        self._high_fd = high_fd
        self._sink = _anonymous_file(high_fd)
        self._null = _raise_fd(os.open(os.devnull, os.O_RDWR), high_fd)
        self._identity = _identity(self._sink)
        self._null_identity = _identity(self._null)
        self.mend_descriptors()
        self.out = _writer(self, STDOUT)
        self.err = _writer(self, STDERR)
        self.mend_streams()

    def emit(self, stream: int, data: bytes) -> None:
        """Send bytes as the task's output; cuts at the limit."""
        if not self.sequence or not data:
            return
        if len(data) > self._room_bytes:
            data = data[: self._room_bytes]
            self.cut = True
        self._room_bytes -= len(data)
        if data:
            channel = self._channel
            channel.append(frame(channel.token, OUTPUT, self.sequence, bytes((stream,)) + data))
            if self.eager or time.perf_counter() - channel.last_flush > FLUSH_INTERVAL_S:
                channel.flush_within()

    def finish(self) -> bool:
        """Send what is left of the task's output and make ready for the next; tell whether it was cut."""
        for stream in (self.out, self.err):
            if not stream.closed:
                stream.buffer.send_rest()
        self.collect()
        self._forget_collected()
        cut = self.cut
        self.cut = False
        self.dirty = False
        self._room_bytes = self._limit_bytes
        return cut

    def collect(self) -> None:
        """Send what was written to descriptors 1 and 2 since the last time. Also runs while the task does."""
        try:
            size = os.fstat(self._sink).st_size
            if size <= self._drained_bytes:
                return
            # One byte more than fits shows that something is lost.
            data = os.pread(
                self._sink, min(size - self._drained_bytes, self._room_bytes + 1), self._drained_bytes
            )
        except OSError:
            return
        self._drained_bytes = size
        self.dirty = True
        self.emit(STDOUT, data)
        if self.cut:
            # Nothing more will be sent, so a task that prints for ever does not fill the memory with it.
            self._forget_collected()

    def _forget_collected(self) -> None:
        if self._drained_bytes:
            self._drained_bytes = 0
            os.ftruncate(self._sink, 0)
        os.lseek(self._sink, _UNTOUCHED, os.SEEK_SET)

    def were_descriptors_touched(self) -> bool:
        """Tell, at the cost of four cheap calls, whether 0, 1 or 2 was written to, closed or replaced.

        All duplicates of the file share one offset, appending moves it, and no other file's stands where ours does. Ends
        the process when the private duplicate is gone: then the wire, which lies beside it, is gone as well, and a task
        that runs on would do so in vain.
        """
        seek = os.lseek
        try:
            seek(self._sink, 0, 1)
        except OSError:
            leave(EXIT_SPOILT)
        try:
            return seek(1, 0, 1) != _UNTOUCHED or seek(2, 0, 1) != _UNTOUCHED or seek(0, 0, 1) != 0
        except OSError:
            return True

    def are_streams_in_place(self) -> bool:
        """Tell whether `sys.stdout` and `sys.stderr` are ours and open."""
        out = self.out
        err = self.err
        return sys.stdout is out and sys.stderr is err and not out.closed and not err.closed

    def mend_descriptors(self) -> None:
        """Put 0, 1 and 2 back in place where the task closed or replaced them."""
        if _identity(self._sink) != self._identity:
            leave(EXIT_SPOILT)
        for fd, source, identity in (
            (0, self._null, self._null_identity),
            (1, self._sink, self._identity),
            (2, self._sink, self._identity),
        ):
            if _identity(fd) != identity:
                os.dup2(source, fd, inheritable=True)
        os.lseek(self._sink, _UNTOUCHED, os.SEEK_SET)

    def mend_streams(self) -> None:
        """Put `sys.stdout`, `sys.stderr` and `sys.stdin` back, as new ones where the task closed them."""
        if self.out.closed:
            self.out = _writer(self, STDOUT)
        if self.err.closed:
            self.err = _writer(self, STDERR)
        sys.stdout = sys.__stdout__ = self.out  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self.err  # type: ignore[misc]
        if sys.stdin is None or sys.stdin.closed:
            sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc] # noqa: SIM115

    @property
    def in_child(self) -> bool:
        """Tell whether this is a forked child, whose prints go to the descriptors it inherited."""
        return self._channel.closed


class _Stream(io.RawIOBase):
    """What lies under `sys.stdout`: gathers bytes up to a line's end."""

    def __init__(self, output: TaskOutput, stream: int) -> None:
        self._output = output
        self._stream = stream
        self._partial = bytearray()
        # Threads of a task print at the same time; re-entrant, since a signal handler may print inside a print.
        self._lock = threading.RLock()

    def fileno(self) -> int:
        return self._stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        if self._output.in_child:
            return os.write(self._stream, chunk)
        self._output.dirty = True
        with self._lock:
            partial = self._partial
            partial += chunk
            end = partial.rfind(b"\n") + 1
            if not end and len(partial) > PARTIAL_LINE_BYTES:
                end = len(partial)
            if end:
                line = bytes(partial[:end])
                del partial[:end]
                self._output.emit(self._stream, line)
        return len(chunk)

    def send_rest(self) -> None:
        """Send a last line that has no end."""
        with self._lock:
            rest = bytes(self._partial)
            self._partial.clear()
            self._output.emit(self._stream, rest)


def _writer(output: TaskOutput, stream: int) -> Any:
    return io.TextIOWrapper(
        _Stream(output, stream),
        encoding="utf-8",
        errors="backslashreplace",
        newline="\n",
        write_through=True,
    )


def _anonymous_file(high_fd: int) -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("mpcsfaas-output")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    return _raise_fd(fd, high_fd)


def _raise_fd(fd: int, high_fd: int) -> int:
    raised = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, high_fd)
    os.close(fd)
    return raised


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
