import os
import struct
import unittest

from mpcsfaas import packing, stream

ID = "6b1c3c5e-5d0c-4b5e-9b3f-1f6f0f6f2a11"


def text(value):
    data = value.encode()
    return (bytes([0xA0 + len(data)]) if len(data) < 32 else b"\xd9" + bytes([len(data)])) + data


def result(index, status, payload, failure=b"\xc0"):
    """One result in the shortest forms of MessagePack, as the API writes them."""
    number = (
        bytes([index])
        if index < 128
        else b"\xcc" + bytes([index])
        if index < 256
        else b"\xcd" + struct.pack(">H", index)
    )
    binary = (
        b"\xc4" + bytes([len(payload)]) if len(payload) < 256 else b"\xc5" + struct.pack(">H", len(payload))
    )
    return b"\x95" + number + text(ID) + text(status) + binary + payload + failure


class MessagePack(unittest.TestCase):
    def test_what_is_packed_can_be_unpacked(self):
        value = {"a": [None, True, False, 0, 5, -7, 1 << 40, 1.5, "text", b"bytes"], "b": {"c": []}}
        packed = packing.pack(value)
        self.assertEqual(packing.unpack(packed), (value, len(packed)))

    def test_a_long_list_of_binaries(self):
        binaries = [os.urandom(size) for size in (0, 1, 300, 70_000)]
        packed = packing.pack_with_binaries({"group_id": ID}, "payloads", binaries)
        self.assertEqual(packing.unpack(packed)[0], {"group_id": ID, "payloads": binaries})

    def test_other_types_are_refused(self):
        with self.assertRaises(TypeError):
            packing.pack({"labels": object()})

    def test_results_of_all_shapes(self):
        shapes = [
            (0, "COMPLETED", b"x", b"\xc0"),
            (127, "COMPLETED", b"", b"\xc0"),
            (128, "COMPLETED", b"y" * 255, b"\xc0"),
            (200, "COMPLETED", b"y" * 256, b"\xc0"),
            (256, "COMPLETED", b"z", b"\xc0"),
            (65_535, "COMPLETED", b"z", b"\xc0"),
            (3, "FAILED", b"e", b"\x81" + text("type") + text("Timeout")),
            (4, "CANCELLED", b"", b"\xc0"),
        ]
        frame = bytes([0x90 + len(shapes)]) + b"".join(result(*shape) for shape in shapes)
        self.assertTrue(packing.is_array(frame))
        found = list(packing.unpack_results(frame))
        self.assertEqual(
            [(one.place, one.status, one.payload) for one in found], [shape[:3] for shape in shapes]
        )
        self.assertEqual({one.task_id for one in found}, {ID})
        self.assertEqual(found[6].failure, {"type": "Timeout"})


class Frames(unittest.TestCase):
    def test_however_the_bytes_are_cut(self):
        frames = [os.urandom(size) for size in (1, 0, 5, 1000, 3)]
        data = b"".join(struct.pack("<I", len(frame)) + frame for frame in frames)
        for size in (1, 2, 3, 7, 100, len(data)):
            chunks = [data[at : at + size] for at in range(0, len(data), size)]
            self.assertEqual(list(stream._frames(chunks)), frames, size)

    def test_a_cut_off_frame_is_left_out(self):
        self.assertEqual(list(stream._frames([b"\x05\x00\x00\x00abc"])), [])


class Seen(unittest.TestCase):
    def test_ranges(self):
        seen = stream.Seen()
        self.assertEqual(seen.ranges(), "")
        for place in (0, 1, 5, 3, 2, 9, 10):
            self.assertTrue(seen.add(place))
        self.assertEqual(seen.ranges(), "0-3,5,9-10")
        self.assertFalse(seen.add(2))
        self.assertFalse(seen.add(9))
        seen.add(4)
        self.assertEqual(seen.ranges(), "0-5,9-10")
