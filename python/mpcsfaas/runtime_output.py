"""What a task prints, from Python and from below it.

`sys.stdout` and `sys.stderr` send OUTPUT frames, by lines. Descriptors 1 and 2 are anonymous files in append mode, emptied
after each task, so that C code and subprocesses reach the task as well and can never block on a full pipe. Before a line of
Python's is sent, what lies in the files is: so the order is kept, but for the two files among themselves.

State: `sequence` is the task that output belongs to, 0 between tasks (then it is dropped). `dirty` says that anything was
written since the task began, so that a silent task costs one test. `eager` says that the task may run for long, so that
its lines leave as they come. `strangers` are threads that earlier tasks left running: nobody wants what they print.
"""

from __future__ import annotations

import _thread
import fcntl
import io
import os
import sys
import tempfile
import threading
import time
from time import time as _wall_clock
from typing import Any, Final

from .runtime_channel import EXIT_SPOILT, Channel, duplicate_from, leave
from .runtime_protocol import CUT, ENTRY, OUTPUT, PAGE_DRAINED, STDERR, STDOUT, frame

# The least time between two writes of a short task's lines, s.
FLUSH_INTERVAL_S: Final = 0.001
PARTIAL_LINE_BYTES: Final = 8192
# Where the offset of the files behind 1 and 2 stands when nothing was written. Any odd number would do.
_UNTOUCHED: Final = 0x5EED5


class TaskOutput:
    """Output of the running task, bounded."""

    def __init__(self, channel: Channel, page: memoryview, limit_bytes: int, high_fd: int) -> None:
        self.sequence = 0
        self.dirty = False
        self.cut = False
        self.eager = True
        self._channel = channel
        self._page = page
        self._limit_bytes = limit_bytes
        self._room_bytes = limit_bytes
        self._collecting = threading.Lock()
        self.strangers: frozenset[threading.Thread | int] = frozenset()
        # In the order of their numbers: what the pool is told of them is their position.
        self._sinks = (_Sink(1, STDOUT, high_fd), _Sink(2, STDERR, high_fd))
        self._null = _raise_fd(os.open(os.devnull, os.O_RDWR), high_fd)
        self._null_identity = _identity(self._null)
        self.mend_descriptors()
        self.out = _writer(self, STDOUT)
        self.err = _writer(self, STDERR)
        self.mend_streams()

    @property
    def sink_fds(self) -> list[int]:
        """Descriptors of the files behind 1 and 2: the pool reads what a process that died has left in them."""
        return [sink.file for sink in self._sinks]

    def emit(self, stream: int, data: bytes, sequence: int) -> None:
        """Send bytes as the output of a task, which the caller has seen running; later ones than the files hold."""
        if data and sequence:
            self.collect()
            self._append(stream, data, sequence)

    def _append(self, stream: int, data: bytes, sequence: int) -> None:
        if sequence != self.sequence or self.cut:
            return
        now_ms = _wall_clock() * 1000.0
        entry = b""
        self._room_bytes -= ENTRY.size + len(data)
        if self._room_bytes < 0:
            self.cut = True
            data = data[: self._room_bytes] if len(data) + self._room_bytes > 0 else b""
            entry = ENTRY.pack(CUT, now_ms, 0)
        if data:
            entry = ENTRY.pack(stream, now_ms, len(data)) + data + entry
        channel = self._channel
        channel.append(frame(channel.token, OUTPUT, sequence, entry))
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

    def tell(self) -> None:
        """Send what there is while the task runs: unfinished lines, and what lies in the files."""
        for stream in (self.out, self.err):
            if not stream.closed:
                stream.buffer.send_unfinished()
        self.collect()

    def collect(self) -> None:
        """Send what was written to descriptors 1 and 2 since the last time. Also runs while the task does."""
        # A signal handler or another thread that comes in between leaves it to who is at it.
        if not self._collecting.acquire(blocking=False):
            return
        try:
            for sink in self._sinks:
                # One byte more than fits shows that something is lost.
                data = sink.take(self._room_bytes + 1)
                if data:
                    self.dirty = True
                    self._append(sink.stream, data, self.sequence)
                    self._page[PAGE_DRAINED + sink.fd - 1] = sink.drained_bytes
            if self.cut:
                # Nothing more will be sent, so a task that prints for ever does not fill the memory with it.
                self._forget_collected()
        except OSError:
            return
        finally:
            self._collecting.release()

    def _forget_collected(self) -> None:
        for sink in self._sinks:
            if sink.drained_bytes:
                sink.clear()
                self._page[PAGE_DRAINED + sink.fd - 1] = 0
            os.lseek(sink.file, _UNTOUCHED, os.SEEK_SET)

    def note_strangers(self) -> None:
        """Remember the threads that the task which has just ended leaves running."""
        if not _thread._count():
            self.strangers = frozenset()
            return
        # A number is used again when its thread is gone, so threads that Python knows are told by their objects.
        known = {ident: thread for ident, thread in threading._active.items()}  # type: ignore[attr-defined]
        main = threading.main_thread()
        self.strangers = frozenset(
            known.get(ident, ident) for ident in sys._current_frames() if known.get(ident) is not main
        )

    def is_stranger(self) -> bool:
        """Tell whether the calling thread belongs to an earlier task."""
        strangers = self.strangers
        if not strangers:
            return False
        ident = threading.get_ident()
        thread = threading._active.get(ident)  # type: ignore[attr-defined]
        if thread is None or isinstance(thread, threading._DummyThread):
            return ident in strangers or thread in strangers
        return thread in strangers

    def were_descriptors_touched(self) -> bool:
        """Tell, at the cost of four cheap calls, whether 0, 1 or 2 was written to, closed or replaced.

        All duplicates of a file share one offset, appending moves it, and no other file's stands where ours do. Ends the
        process when a private duplicate is gone: then the wire, which lies beside it, is gone as well, and a task that
        runs on would do so in vain.
        """
        seek = os.lseek
        try:
            seek(self._sinks[0].file, 0, 1)
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
        if _identity(0) != self._null_identity:
            os.dup2(self._null, 0, inheritable=True)
        for sink in self._sinks:
            if _identity(sink.file) != sink.identity:
                leave(EXIT_SPOILT)
            if _identity(sink.fd) != sink.identity:
                os.dup2(sink.file, sink.fd, inheritable=True)
            os.lseek(sink.file, _UNTOUCHED, os.SEEK_SET)

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


class _Sink:
    """The anonymous file behind descriptor 1 or 2."""

    def __init__(self, fd: int, stream: int, high_fd: int) -> None:
        self.fd = fd
        self.stream = stream
        self.file = _anonymous_file(high_fd)
        self.identity = _identity(self.file)
        self.drained_bytes = 0

    def take(self, limit_bytes: int) -> bytes:
        """Return what was written since the last time, and skip what exceeds the limit."""
        size = os.fstat(self.file).st_size
        drained = self.drained_bytes
        if size <= drained:
            return b""
        self.drained_bytes = size
        return os.pread(self.file, min(size - drained, max(limit_bytes, 1)), drained)

    def clear(self) -> None:
        """Empty the file."""
        self.drained_bytes = 0
        os.ftruncate(self.file, 0)


class _Stream(io.RawIOBase):
    """What lies under `sys.stdout`: gathers bytes up to a line's end."""

    def __init__(self, output: TaskOutput, stream: int) -> None:
        self._output = output
        self._stream = stream
        self._partial = bytearray()
        # Threads of a task print at the same time; re-entrant, since a signal handler may print inside a print.
        self._lock = threading.RLock()
        self._busy = False

    def fileno(self) -> int:
        return self._stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        output = self._output
        if output.in_child:
            return os.write(self._stream, chunk)
        sequence = output.sequence
        if not sequence or output.is_stranger():
            return len(chunk)
        output.dirty = True
        with self._lock:
            # While this thread waited the task may have ended, and another one begun.
            if sequence != output.sequence:
                return len(chunk)
            self._busy = True
            partial = self._partial
            partial += chunk
            end = partial.rfind(b"\n") + 1
            if not end and len(partial) > PARTIAL_LINE_BYTES:
                end = len(partial)
            if end:
                line = bytes(partial[:end])
                del partial[:end]
                output.emit(self._stream, line, sequence)
            self._busy = False
        return len(chunk)

    def send_rest(self) -> None:
        """Send a last line that has no end."""
        with self._lock:
            self._send_partial()

    def send_unfinished(self) -> None:
        """Send the beginning of a line, unless a write is under way that this call interrupts or would wait for."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if not self._busy:
                self._send_partial()
        finally:
            self._lock.release()

    def _send_partial(self) -> None:
        rest = bytes(self._partial)
        self._partial.clear()
        self._output.emit(self._stream, rest, self._output.sequence)


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
    raised = duplicate_from(fd, high_fd)
    os.close(fd)
    return raised


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
