import json
import struct
import unittest
from pathlib import Path

from mpcsfaas import runtime_protocol as protocol

FIXTURES = Path(__file__).parents[2] / "specs" / "workers" / "fixtures" / "frames.json"


class GoldenFrames(unittest.TestCase):
    def setUp(self):
        golden = json.loads(FIXTURES.read_text())
        self.token = golden["token"]
        self.frames = {frame["name"]: frame for frame in golden["frames"]}

    def test_frames_to_the_pool_are_encoded_as_the_golden_ones(self):
        for golden in self.frames.values():
            if golden["to"] != "pool":
                continue
            with self.subTest(golden["name"]):
                if "runUs" in golden:
                    payload = bytes.fromhex(golden["payload"])
                    if "meta" in golden:
                        payload = protocol.failed_payload(bytes.fromhex(golden["meta"]), payload)
                    made = protocol.ended_frame(
                        self.token,
                        golden["kind"],
                        golden["sequence"],
                        golden["startedAtMs"],
                        golden["runUs"],
                        golden["peakKib"],
                        golden["flags"],
                        payload,
                    )
                else:
                    body = bytes.fromhex(golden.get("body", ""))
                    made = protocol.frame(self.token, golden["kind"], golden["sequence"], body)
                self.assertEqual(made.hex(), golden["hex"])

    def test_frames_to_the_runtime_are_read_as_the_golden_ones(self):
        for golden in self.frames.values():
            if golden["to"] != "runtime":
                continue
            with self.subTest(golden["name"]):
                data = bytes.fromhex(golden["hex"])
                token, length, kind, sequence = protocol.HEADER.unpack_from(data)
                self.assertEqual((token, kind, sequence), (self.token, golden["kind"], golden["sequence"]))
                self.assertEqual(length, len(data) - protocol.HEADER.size)

    def test_the_values_of_other_tasks_are_read_as_the_golden_ones(self):
        golden = self.frames["taskWithInputs"]
        body = bytes.fromhex(golden["hex"])[protocol.HEADER.size :]
        task, inputs = protocol.split_inputs(body)
        self.assertEqual(protocol.WORD.unpack_from(task), (golden["functionIndex"],))
        self.assertEqual(task[protocol.WORD.size :].hex(), golden["arguments"])
        expected = {one["taskId"]: one["payload"] for one in golden["inputs"]}
        self.assertEqual({task_id: value.hex() for task_id, value in inputs.items()}, expected)

    def test_the_header_of_a_result_and_its_body_pack_as_one(self):
        self.assertEqual(protocol.ENDED_FRAME.size, protocol.HEADER.size + protocol.ENDED.size)
        self.assertEqual(struct.calcsize("<I"), protocol.WORD.size)
