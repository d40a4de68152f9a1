"""As much of MessagePack as is spoken with the API, so that payloads travel as they are and nothing more must be installed."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

_U32 = struct.Struct(">I")

# Head byte -> format of the number behind it: a value, or a length.
_NUMBERS = {
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
    0xCA: ">f",
    0xCB: ">d",
}
_TEXTS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_BINARIES = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
_ARRAYS = {0xDC: ">H", 0xDD: ">I"}
_MAPS = {0xDE: ">H", 0xDF: ">I"}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


def pack(value: Any) -> bytes:
    """Return the MessagePack of plain values: None, booleans, numbers, texts, bytes, lists, dicts with text keys."""
    if value is None:
        return b"\xc0"
    if value is True or value is False:
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return struct.pack(">BQ", 0xCF, value) if value >= 0 else struct.pack(">Bq", 0xD3, value)
    if isinstance(value, float):
        return struct.pack(">Bd", 0xCB, value)
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        return b"\xdb" + _U32.pack(len(data)) + data
    if isinstance(value, bytes):
        return b"\xc6" + _U32.pack(len(value)) + value
    if isinstance(value, (list, tuple)):
        return b"\xdd" + _U32.pack(len(value)) + b"".join(map(pack, value))
    if isinstance(value, dict):
        pairs = b"".join(pack(key) + pack(inner) for key, inner in value.items())
        return b"\xdf" + _U32.pack(len(value)) + pairs
    raise TypeError(f"an option cannot be of type {type(value).__name__}: {value!r}")


def pack_with_binaries(fields: dict[str, Any], name: str, binaries: Sequence[bytes]) -> bytes:
    """Return the MessagePack of a map with one more field, a long list of binaries."""
    parts = [b"\xdf", _U32.pack(len(fields) + 1)]
    for key, value in fields.items():
        parts += (pack(key), pack(value))
    parts += (pack(name), b"\xdd", _U32.pack(len(binaries)))
    length = _U32.pack
    for data in binaries:
        parts += (b"\xc6", length(len(data)), data)
    return b"".join(parts)


class Result(NamedTuple):
    """One result as the stream of a group carries it; `place` is its index there."""

    place: int
    task_id: str
    status: str
    payload: bytes
    failure: Any


_COMPLETED = b"\xa9COMPLETED"


def unpack_results(frame: bytes) -> Iterator[Result]:
    """Yield the results of a frame.

    The usual shape, a small completed one, is read by looking at fixed places; anything else by `unpack`.
    """
    count, at = _array_head(frame)
    for _ in range(count):
        # fixarray of 5; index; text of 36 bytes; "COMPLETED"; binary of up to 255 bytes; nil
        head = frame[at + 1]
        if head < 0x80:
            index, start = head, at + 2
        elif head == 0xCD:
            index, start = frame[at + 2] << 8 | frame[at + 3], at + 4
        else:
            index, start = -1, at
        if (
            index >= 0
            and frame[start] == 0xD9
            and frame[start + 38 : start + 48] == _COMPLETED
            and frame[start + 48] == 0xC4
        ):
            end = start + 50 + frame[start + 49]
            if frame[end] == 0xC0:
                task_id = frame[start + 2 : start + 38].decode("ascii")
                yield Result(index, task_id, "COMPLETED", frame[start + 50 : end], None)
                at = end + 1
                continue
        fields, at = unpack(frame, at)
        yield Result(*fields)


def _array_head(data: bytes) -> tuple[int, int]:
    head = data[0]
    if 0x90 <= head < 0xA0:
        return head - 0x90, 1
    (length,) = struct.unpack_from(_ARRAYS[head], data, 1)
    return length, 1 + struct.calcsize(_ARRAYS[head])


def is_array(data: bytes) -> bool:
    """Tell whether the bytes begin a list."""
    return 0x90 <= data[0] < 0xA0 or data[0] in _ARRAYS


def unpack(data: bytes, at: int = 0) -> tuple[Any, int]:
    """Return the value at a position, and where the next one begins."""
    head = data[at]
    at += 1
    if head < 0x80:
        return head, at
    if head >= 0xE0:
        return head - 0x100, at
    if head in _CONSTANTS:
        return _CONSTANTS[head], at
    if 0xA0 <= head < 0xC0:
        return _text(data, at, head - 0xA0)
    if 0x90 <= head < 0xA0:
        return _array(data, at, head - 0x90)
    if head < 0x90:
        return _map(data, at, head - 0x80)
    for formats, take in ((_TEXTS, _text), (_BINARIES, _binary), (_ARRAYS, _array), (_MAPS, _map)):
        if head in formats:
            (length,) = struct.unpack_from(formats[head], data, at)
            value: tuple[Any, int] = take(data, at + struct.calcsize(formats[head]), length)
            return value
    (number,) = struct.unpack_from(_NUMBERS[head], data, at)
    return number, at + struct.calcsize(_NUMBERS[head])


def _text(data: bytes, at: int, length: int) -> tuple[str, int]:
    return data[at : at + length].decode("utf-8", "replace"), at + length


def _binary(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    return data[at : at + length], at + length


def _array(data: bytes, at: int, length: int) -> tuple[list[Any], int]:
    values = []
    for _ in range(length):
        value, at = unpack(data, at)
        values.append(value)
    return values, at


def _map(data: bytes, at: int, length: int) -> tuple[dict[str, Any], int]:
    values, at = _array(data, at, 2 * length)
    return dict(zip(values[::2], values[1::2])), at
