import json
import unittest

from mpcsfaas import log_lines


def told(text, attempt=1, stream="stdout"):
    return {"at": "2026-01-01T00:00:00.000Z", "stream": stream, "text": text, "attempt": attempt}


class Following(unittest.TestCase):
    def setUp(self):
        self.given = log_lines.Given()

    def new(self, *lines):
        """What is new of what one connection tells."""
        self.given.begin()
        found = [self.given.new(line) for line in lines]
        return [line.text for line in found if line is not None]

    def test_what_is_told_again_is_given_once(self):
        self.assertEqual(self.new(told("a\n"), told("e\n", stream="stderr")), ["a\n", "e\n"])
        self.assertEqual(self.new(told("a\n")), [])
        self.assertEqual(self.new(told("a\n"), told("e\n", stream="stderr"), told("a\n")), ["a\n"])

    def test_the_rest_of_half_a_line(self):
        self.assertEqual(self.new(told("one\n"), told("tw")), ["one\n", "tw"])
        self.assertEqual(self.new(told("one\n"), told("two\n"), told("three\n")), ["o\n", "three\n"])

    def test_a_later_attempt_begins_anew_and_an_earlier_one_is_over(self):
        self.assertEqual(self.new(told("a\n"), told("a\n", 2)), ["a\n", "a\n"])
        self.assertEqual(self.new(told("a\n", 1), told("a\n", 2), told("b\n", 2)), ["b\n"])

    def test_which_ends_are_the_end(self):
        for status, reason, whole in (
            ("COMPLETED", "complete", True),
            ("FAILED", None, True),
            ("CANCELLED", "complete", True),
            ("COMPLETED", "closing", False),
            ("RUNNING", "closing", False),
            ("RUNNING", None, False),
        ):
            end = {"end": True, "status": status, **({"reason": reason} if reason else {})}
            self.assertEqual(log_lines.is_whole(end), whole, end)

    def test_lines_however_they_are_cut(self):
        lines = [told("a\n"), None, told("b" * 50), None, None]
        data = b"".join(b"\n" if line is None else json.dumps(line).encode() + b"\n" for line in lines)
        for size in (1, 7, 60, len(data)):
            chunks = [data[at : at + size] for at in range(0, len(data), size)]
            self.assertEqual(list(log_lines._objects(chunks)), lines, size)
