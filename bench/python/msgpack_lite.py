"""As much of MessagePack as our API speaks, so that a client needs nothing but Python."""

import struct

# Head byte -> format of the number behind it: a value, or a length.
NUMBERS = {
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
TEXTS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
BINARIES = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
ARRAYS = {0xDC: ">H", 0xDD: ">I"}
MAPS = {0xDE: ">H", 0xDF: ">I"}
CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


def pack_text(text):
    data = text.encode()
    return b"\xd9" + bytes([len(data)]) + data


def pack_binary(data):
    return b"\xc6" + len(data).to_bytes(4, "big") + data


def unpack(data, at=0):
    """The value at a position, and where the next one begins. Binaries are slices of a memoryview, so data should be one."""
    head = data[at]
    at += 1
    if head < 0x80:
        return head, at
    if head >= 0xE0:
        return head - 0x100, at
    if head in CONSTANTS:
        return CONSTANTS[head], at
    if 0xA0 <= head < 0xC0:
        return str(data[at : at + head - 0xA0], "utf-8"), at + head - 0xA0
    if 0x90 <= head < 0xA0:
        return unpack_array(data, at, head - 0x90)
    if head < 0x90:
        return unpack_map(data, at, head - 0x80)
    for formats, take in (
        (TEXTS, unpack_text),
        (BINARIES, unpack_binary),
        (ARRAYS, unpack_array),
        (MAPS, unpack_map),
    ):
        if head in formats:
            (length,) = struct.unpack_from(formats[head], data, at)
            return take(data, at + struct.calcsize(formats[head]), length)
    (number,) = struct.unpack_from(NUMBERS[head], data, at)
    return number, at + struct.calcsize(NUMBERS[head])


def unpack_text(data, at, length):
    return str(data[at : at + length], "utf-8"), at + length


def unpack_binary(data, at, length):
    return data[at : at + length], at + length


def unpack_array(data, at, length):
    values = []
    for _ in range(length):
        value, at = unpack(data, at)
        values.append(value)
    return values, at


def unpack_map(data, at, length):
    values, at = unpack_array(data, at, 2 * length)
    return dict(zip(values[::2], values[1::2])), at
