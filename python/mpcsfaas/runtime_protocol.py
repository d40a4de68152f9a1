"""The wire between the pool (TypeScript, workers/frames.ts) and a runtime process, and the shared page.

A frame is a little-endian header and a body. Descriptor 3 carries frames to the runtime, 4 from it.

    header   u32 token | u32 body length | u8 kind | u32 sequence
    token    random per process; a frame without it is corruption, after which nothing on the wire means anything
    sequence number of the task in this process, rising from 1; for FUNCTION and FORGET the function's index

    pool -> runtime
      FUNCTION   body: pickle of the function, perhaps with its origin before it: see runtime_functions.py
      TASK       body: u32 function index | pickle of (args, kwargs)
      FORGET     body: empty
      TASK_WITH_INPUTS  body: u32 function index | u32 number of values | for each: task id, 36 bytes, u32 length, pickle
                 | pickle of (args, kwargs), which refers to them. The context of a traced task is such a value as well
    runtime -> pool
      READY      body: JSON {python_version, python_implementation, dill_version, pid, sinks}; sequence 0. Sinks:
                 descriptors of the files behind 1 and 2
      COMPLETED  body: ended | pickle of the value
      FAILED     body: ended | u32 length of meta | meta, JSON of `Failure` in bus/messages.ts | pickle of the exception
      OUTPUT     body: entries of an output record, see bus/outputRecord.ts; comes before the end of its task
      SKIPPED    body: empty; the task lay in the revoked range and has not been started

    ended    f64 started at, ms since the epoch | u32 run time, us | u32 peak memory, KiB | u8 flags
    flags    1: the process must be replaced; 2: output was cut

The shared page, u32 words in native (little-endian) order:

    word 0     written by the runtime: sequence of the task it is about to start
    words 1, 2 written by the pool: tasks with word1 <= sequence < word2 are revoked. The runtime writes word 0 first and
               reads these afterwards; the pool writes these first and reads word 0 afterwards. So of a task above word 0
               the pool knows at once that it will not start; of the one in word 0 it waits to hear.
    words 3, 4 written by the runtime: how many bytes of the files behind 1 and 2 it has taken out and sent. The rest is
               what the pool finds there when the process has died.

Golden frames of both directions are in specs/workers/fixtures/frames.json, which the tests of both languages read.
"""

from __future__ import annotations

import struct
from typing import Final

FUNCTION: Final = 1
TASK: Final = 2
FORGET: Final = 3
TASK_WITH_INPUTS: Final = 4
READY: Final = 16
COMPLETED: Final = 17
FAILED: Final = 18
OUTPUT: Final = 19
SKIPPED: Final = 20

FLAG_RECYCLE: Final = 1
FLAG_OUTPUT_CUT: Final = 2

STDOUT: Final = 1
STDERR: Final = 2
CUT: Final = 3

PAGE_CURRENT: Final = 0
PAGE_REVOKED_FROM: Final = 1
PAGE_REVOKED_TO: Final = 2
PAGE_DRAINED: Final = 3

HEADER: Final = struct.Struct("<IIBI")
WORD: Final = struct.Struct("<I")
ENDED: Final = struct.Struct("<dIIB")
# Kind or stream, ms since the epoch, length of what follows.
ENTRY: Final = struct.Struct("<BdI")
# Header and `ended` in one call: the hot path packs one of these per task.
ENDED_FRAME: Final = struct.Struct("<IIBIdIIB")

ID_BYTES: Final = 36
# Where functions, and programs that they start, look for the trace context that they run in.
TRACE_VARIABLE: Final = "TRACEPARENT"
# That in the place of a task's id, its value the context: see bus/tracing.ts.
TRACE_INPUT: Final = "traceparent".ljust(ID_BYTES, "-")
LARGEST_U32: Final = 0xFFFFFFFF


def frame(token: int, kind: int, sequence: int, body: bytes = b"") -> bytes:
    """Return one whole frame."""
    return HEADER.pack(token, len(body), kind, sequence) + body


def ended_frame(
    token: int,
    kind: int,
    sequence: int,
    started_at_ms: float,
    run_us: int,
    peak_kib: int,
    flags: int,
    payload: bytes,
) -> bytes:
    """Return a COMPLETED or FAILED frame; figures that do not fit their field are cut to its maximum."""
    return (
        ENDED_FRAME.pack(
            token,
            ENDED.size + len(payload),
            kind,
            sequence,
            started_at_ms,
            run_us if run_us < LARGEST_U32 else LARGEST_U32,
            peak_kib if peak_kib < LARGEST_U32 else LARGEST_U32,
            flags,
        )
        + payload
    )


def split_inputs(body: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Return what the body of a TASK would be, and the pickles by task id."""
    count = WORD.unpack_from(body, 4)[0]
    offset = 8
    inputs: dict[str, bytes] = {}
    for _ in range(count):
        start = offset + ID_BYTES + 4
        end = start + WORD.unpack_from(body, offset + ID_BYTES)[0]
        inputs[body[offset : offset + ID_BYTES].decode("ascii")] = body[start:end]
        offset = end
    return body[:4] + body[offset:], inputs


def failed_payload(meta: bytes, payload: bytes) -> bytes:
    """Return what follows `ended` in a FAILED frame."""
    return WORD.pack(len(meta)) + meta + payload
