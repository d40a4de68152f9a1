"""The runtime's loop: read what came, run the tasks in order, write what is finished.

State per process: the functions known by index, and the `__main__` in force. State per function: not loaded -> loaded at
first use, and `caution`, how many more calls are preceded by a flush. A finished result must not wait for a long task,
but a write per result costs more than a short task itself: so results gather only before calls of functions that have
been short lately.
"""

from __future__ import annotations

import _thread
import faulthandler
import gc
import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any, Final, NoReturn

import dill

from . import runtime_bootstrap as bootstrap
from . import runtime_failures as failures
from . import runtime_functions as functions
from . import runtime_pickling as pickling
from . import runtime_protocol as protocol
from . import runtime_sandbox
from .runtime_bytecode import BytecodeMismatch
from .runtime_channel import EXIT_WIRE_CORRUPT, FLUSH_BYTES, Channel, leave
from .runtime_failures import PlatformError
from .runtime_hygiene import THOROUGH_AFTER_S, Hygiene
from .runtime_output import TaskOutput
from .runtime_sandbox import Sandbox

SHORT_S: Final = 0.001
FLUSH_INTERVAL_S: Final = 0.001
# Short calls in a row until a function that took long is trusted again.
CAUTION: Final = 16
# Peak memory is read after tasks longer than this; in a shorter one it cannot grow by much.
MEASURE_AFTER_S: Final = 0.0005

# For so long a process that is not to be used again waits to be ended.
PATIENCE_S: Final = 2.0
# Sent by the pool when results or output may be waiting behind a long task. Ignored by default, unlike most.
POKE: Final = signal.SIGURG


class Function:
    """A registered function, loaded at its first call."""

    __slots__ = ("body", "call", "main", "caution")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.call: Callable[..., Any] | None = None
        self.main: ModuleType | None = None
        self.caution = 1


class Runtime:
    """Executes the tasks that come over the channel."""

    def __init__(
        self, channel: Channel, page: memoryview, settings: bootstrap.Settings, sandbox: Sandbox
    ) -> None:
        self._channel = channel
        self._cpu_s = sandbox.cpu_s
        self._folders = runtime_sandbox.Folders(sandbox.clean) if sandbox.clean else None
        self._page = page
        self._max_result_bytes = settings.max_result_bytes
        self._functions: dict[int, Function] = {}
        self._output = TaskOutput(channel, page, settings.max_output_bytes, bootstrap.high_fd())
        self._main = pickling.clean_main()
        pickling.enter_main(self._main)
        self._pid = os.getpid()
        self._peak_kib = 0
        self._to_epoch_s = 0.0
        signal.signal(POKE, self._poked)
        signal.siginterrupt(POKE, False)
        os.register_at_fork(after_in_child=self._in_child)
        # A crash in C code then says on descriptor 2 where in Python it happened.
        faulthandler.enable(2, all_threads=False)
        # After the handler above, so that it counts as part of the process as it should be.
        self._hygiene = Hygiene()
        gc.collect()
        # Other implementations have no such thing.
        if sys.implementation.name == "cpython":
            gc.freeze()

    def serve(self) -> NoReturn:
        """Run until the supervisor closes the wire or a task spoils the process."""
        channel = self._channel
        token = channel.token
        self._report_ready()
        unpack = protocol.HEADER.unpack_from
        header_bytes = protocol.HEADER.size
        while True:
            data = channel.receive()
            end = len(data)
            offset = 0
            # Once per read: near enough, and follows when the wall clock is set.
            self._to_epoch_s = time.time() - time.perf_counter()
            while end - offset >= header_bytes:
                seen, length, kind, sequence = unpack(data, offset)
                if seen != token:
                    leave(EXIT_WIRE_CORRUPT)
                start = offset + header_bytes
                offset_next = start + length
                if offset_next > end:
                    break
                if kind == protocol.TASK:
                    self._task(sequence, data[start:offset_next])
                elif kind == protocol.TASK_WITH_INPUTS:
                    self._task(sequence, *protocol.split_inputs(data[start:offset_next]))
                elif kind == protocol.FUNCTION:
                    self._functions[sequence] = Function(data[start:offset_next])
                elif kind == protocol.FORGET:
                    self._functions.pop(sequence, None)
                else:
                    leave(EXIT_WIRE_CORRUPT)
                offset = offset_next
            channel.keep(data[offset:] if offset else data)
            channel.flush()

    def _report_ready(self) -> None:
        ready = {
            "python_version": ".".join(str(part) for part in sys.version_info[:3]),
            "python_implementation": sys.implementation.name,
            "dill_version": dill.__version__,
            "pid": self._pid,
            "sinks": self._output.sink_fds,
        }
        self._channel.append(
            protocol.frame(self._channel.token, protocol.READY, 0, json.dumps(ready).encode())
        )
        self._channel.flush()

    def _task(self, sequence: int, body: bytes, inputs: dict[str, bytes] | None = None) -> None:
        channel = self._channel
        page = self._page
        # The order of these two is the protocol's: see there.
        page[protocol.PAGE_CURRENT] = sequence
        if page[protocol.PAGE_REVOKED_FROM] <= sequence < page[protocol.PAGE_REVOKED_TO]:
            channel.append(protocol.frame(channel.token, protocol.SKIPPED, sequence))
            return
        function = self._functions.get(int.from_bytes(body[:4], "little"))
        if function is None:
            leave(EXIT_WIRE_CORRUPT)
        if function.caution and channel.gathered:
            channel.flush()
        output = self._output
        output.sequence = sequence
        output.eager = function.caution > 0
        kind = protocol.COMPLETED
        if self._cpu_s:
            runtime_sandbox.allow_cpu_time(self._cpu_s)
        began = time.perf_counter()
        try:
            try:
                if function.call is None or function.main is not self._main:
                    self._enter(function)
                args, kwargs = _load_arguments(body[4:], self._main, inputs)
                began = time.perf_counter()
                value = function.call(*args, **kwargs)  # type: ignore[misc]
                ended = time.perf_counter()
                payload = self._dump_result(value)
                # Its destructor belongs to the task.
                value = args = kwargs = None
            except BaseException as error:
                ended = time.perf_counter()
                kind = protocol.FAILED
                payload = self._render(error, function, body)
            if os.getpid() != self._pid:
                # The function forked and both sides returned.
                leave(0)
            run_s = ended - began
            flags = self._clean(run_s > THOROUGH_AFTER_S or kind == protocol.FAILED)
        except BaseException as error:
            # An alarm that the task had set struck after its end.
            run_s = time.perf_counter() - began
            kind = protocol.FAILED
            payload = self._render(error, function, body)
            flags = self._clean(thoroughly=True)
        folders = self._folders
        if folders is not None and not folders.are_clean() and not folders.clean():
            flags |= protocol.FLAG_RECYCLE
        if output.dirty and output.finish():
            flags |= protocol.FLAG_OUTPUT_CUT
        output.sequence = 0
        if _thread._count() or output.strangers:
            output.note_strangers()
        if run_s > SHORT_S:
            function.caution = CAUTION
        elif function.caution:
            function.caution -= 1
        if run_s > MEASURE_AFTER_S or not self._peak_kib:
            self._peak_kib = _peak_kib()
        channel.append(
            protocol.ended_frame(
                channel.token,
                kind,
                sequence,
                (began + self._to_epoch_s) * 1000.0,
                int(run_s * 1e6),
                self._peak_kib,
                flags,
                payload,
            )
        )
        if channel.gathered > FLUSH_BYTES or began + run_s - channel.last_flush > FLUSH_INTERVAL_S:
            channel.flush()
        if flags & protocol.FLAG_RECYCLE:
            channel.flush()
            # The pool ends it, with all that was left behind: what has a session of its own is found as long as its parent lives.
            time.sleep(PATIENCE_S)
            leave(0)

    def _clean(self, thoroughly: bool) -> int:
        """Make the process as it was before the task; return the flag that says whether that was not possible."""
        hygiene = self._hygiene
        output = self._output
        if not thoroughly and not hygiene.forked:
            hygiene.restore()
            if not output.were_descriptors_touched():
                if not output.are_streams_in_place():
                    output.mend_streams()
                return protocol.FLAG_RECYCLE if hygiene.threads_left() else 0
        hygiene.restore_thoroughly()
        output.collect()
        output.mend_descriptors()
        output.mend_streams()
        hygiene.forked = False
        return protocol.FLAG_RECYCLE if hygiene.threads_left() or hygiene.children_left() else 0

    def _enter(self, function: Function) -> None:
        """Make the function's `__main__` the process's, and load the function if this is its first call."""
        if function.main is None:
            function.main = pickling.clean_main()
        self._main = function.main
        pickling.enter_main(function.main)
        if function.call is not None:
            return
        try:
            loaded = functions.load(function.body, function.main)
        except PlatformError:
            raise
        except BaseException as error:
            # The module may be there at the next try.
            importlib.invalidate_caches()
            raise _not_loaded("the function", error) from error
        if not callable(loaded):
            shown = TypeError(
                f"the registered object is not a function: it is of type {type(loaded).__name__}"
            )
            raise PlatformError("DeserializationError", shown, str(shown))
        # dill leaves out a function's globals, its own name with them; a recursive one must still find itself.
        name = getattr(loaded, "__name__", "")
        if name.isidentifier() and getattr(loaded, "__globals__", None) is function.main.__dict__:
            function.main.__dict__.setdefault(name, loaded)
        function.call = loaded

    def _dump_result(self, value: object) -> bytes:
        try:
            payload = pickling.dumps(value)
        except MemoryError:
            raise
        except BaseException as error:
            text = f"the result, of type {type(value).__name__}, cannot be serialized: {failures.safe_text(error)}; return plain data"
            shown: Exception = TypeError(f"ResultSerializationError: {text}")
            shown.__cause__ = error
            raise PlatformError("ResultSerializationError", shown, text) from error
        if len(payload) > self._max_result_bytes:
            text = f"the result has {len(payload)} bytes, more than the limit of {self._max_result_bytes}; return less, or raise MAX_RESULT_BYTES"
            shown = ValueError(f"ResultTooLarge: {text}")
            raise PlatformError("ResultTooLarge", shown, text)
        return payload

    def _render(self, error: BaseException, function: Function, body: bytes) -> bytes:
        # The task's alarms must not strike while its failure is written down.
        self._hygiene.calm()
        self._hygiene.restore()

        def client_knows(top: str) -> bool:
            # A module named in what the client sent is one that the client has.
            name = top.encode("utf-8", "replace")
            return name in function.body or name in body

        error = functions.explained(error, function.body)
        meta, payload = failures.render(error, self._main, client_knows)
        return protocol.failed_payload(meta, payload)

    def _poked(self, _number: int, _frame: FrameType | None) -> None:
        """Send what waits behind the running task."""
        if self._channel.closed:
            return
        self._output.tell()
        self._channel.flush()

    def _in_child(self) -> None:
        self._channel.abandon()
        if threading.current_thread() is threading.main_thread():
            bootstrap.die_with_runtime()


def _load_arguments(data: bytes, main: ModuleType, inputs: dict[str, bytes] | None) -> tuple[Any, Any]:
    trace = inputs.pop(protocol.TRACE_INPUT, None) if inputs else None
    if trace is not None:
        # Taken back with all else that the task leaves in the environment.
        os.environ[protocol.TRACE_VARIABLE] = trace.decode("ascii")
    try:
        loaded = (
            pickling.loads(data, main) if not inputs else pickling.Inputs(inputs, main).load_arguments(data)
        )
    except BaseException as error:
        if isinstance(error, BytecodeMismatch):
            raise functions.argument_mismatch(error) from error
        raise _not_loaded("the arguments", error) from error
    if (
        type(loaded) is tuple
        and len(loaded) == 2
        and isinstance(loaded[0], (tuple, list))
        and type(loaded[1]) is dict
    ):
        return loaded
    shown = TypeError(f"the arguments must be a pair (args tuple, kwargs dict), not {type(loaded).__name__}")
    raise PlatformError("DeserializationError", shown, str(shown))


def _not_loaded(what: str, error: BaseException) -> BaseException:
    if isinstance(error, MemoryError):
        return error
    if isinstance(error, (ImportError, AttributeError)):
        failures.add_hint(error)
    message = f"{what} cannot be loaded: {type(error).__name__}: {failures.safe_text(error)}"
    return PlatformError("DeserializationError", error, message)


def _peak_kib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts in bytes.
    return peak // 1024 if sys.platform == "darwin" else peak
