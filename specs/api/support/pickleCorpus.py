"""Real pickles of every protocol, and damaged ones, each with what Python's own pickletools says of it; JSON lines.

Nothing here is loaded: a damaged pickle may do anything when it is.
"""

import base64
import collections
import datetime
import decimal
import enum
import fractions
import functools
import io
import json
import os.path
import pathlib
import pickle
import pickletools
import random
import re
import sys
import uuid


class Plain:
    def __init__(self):
        self.text = "text"
        self.other = [self]


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self):
        self.a, self.b = 1, 2


class WithNewArguments(int):
    def __getnewargs_ex__(self):
        return (5,), {}

    def __new__(cls, value=0, **options):
        return super().__new__(cls, value)


class Color(enum.Enum):
    RED = 1


def recursive():
    items = [1]
    items.append(items)
    table = {"self": items}
    items.append(table)
    return items


def values():
    yield from (None, True, False, 0, 1, 255, 256, 65535, 65536, -1, -(2**31), 2**31, 2**63, 10**700, -(10**700))
    yield from (0.0, -1.5, 1e300, 1e-300, float("inf"), float("-inf"), float("nan"), 3 + 4j)
    yield from ("", "text", "line\nbreak\\", "quote'\"", "ünïcode \u2603 \U0001f600 \ud800", "x" * 300, "y" * 70000)
    yield from (b"", b"bytes\n.", bytes(range(256)), b"z" * 70000, bytearray(b"array"), bytearray(300))
    yield from ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1], list(range(3000)), [[]] * 5)
    yield from ({}, {"a": 1}, {i: str(i) for i in range(2500)}, set(), {1, 2}, frozenset((1, (2,))), set(range(2000)))
    yield from (((5,), {"k": 1.5}), (("a" * 40, [1, 2]), {}), recursive(), Plain(), Slotted(), Color.RED)
    yield from (os.path.join, len, dict, collections.OrderedDict(a=1), collections.deque([1, 2], 3), collections.Counter("abca"))
    yield from (datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc), decimal.Decimal("1.50"), fractions.Fraction(1, 3))
    yield from (ValueError("no"), KeyError("k"), functools.partial(int, base=2), uuid.UUID(int=7), pathlib.Path("/a/b"), range(3))
    yield from (re.compile("a+"), slice(1, 2), ..., NotImplemented, memoryview)
    nested = []
    for _ in range(200):
        nested = [nested, (nested,)]
    yield nested


class WithPersistentIds(pickle.Pickler):
    def persistent_id(self, value):
        return "7" if isinstance(value, Plain) else None


def persistent():
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        out = io.BytesIO()
        WithPersistentIds(out, protocol).dump([Plain(), 1])
        yield out.getvalue()


# What old Pythons wrote, or only other picklers do.
ANCIENT = [
    b"I01\n.", b"I00\n.", b"I-7\n.", b"L7L\n.", b"L-123456789012345678901L\n.", b"F1.5\n.", b"F-1e+20\n.", b"Fnan\n.", b"F-inf\n.",
    b"S'text'\n.", b'S"text"\n.', b"Vtext\\u2603\n.", b"(I1\nI2\nt.", b"(lp0\nI1\na.", b"(dp0\nS'a'\nI1\ns.", b"(i__builtin__\nlist\n.",
    b"(c__builtin__\nlist\no.", b"c__builtin__\nlist\n(tR.", b"T\x03\x00\x00\x00abc.", b"U\x03abc.", b"N0N.", b"(N1N.", b"NN0.", b"(0N.",
    b"N2\x86.", b"Np0\n0g0\n.", b"Nq\x000h\x00.", b"Nr\x00\x00\x00\x000j\x00\x00\x00\x00.", b"\x8b\x02\x00\x00\x00\x01\x02.",
    b"\x80\x02\x82\x01.", b"\x80\x02\x83\x01\x02.", b"\x80\x02\x84\x01\x02\x03\x00.", b"P7\n.", b"NQ.", b"\x80\x05\x97\x98.",
    b"]N\x85\x94.", b"\x80\x04\x8f(K\x01\x90.", b"\x80\x04(K\x01K\x02\x91.",
]  # fmt: skip


def python_accepts(data):
    try:
        pickletools.dis(data, out=io.StringIO())
        *_, (_, _, stop) = pickletools.genops(data)
        return stop == len(data) - 1
    except Exception:
        return False


def emit(kind, data, accepted):
    print(json.dumps({"kind": kind, "base64": base64.b64encode(data).decode(), "accepted": accepted}))


def main():
    corpus = list(ANCIENT) + list(persistent())
    for value in values():
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            try:
                corpus.append(pickle.dumps(value, protocol))
                corpus.append(pickletools.optimize(corpus[-1]))
                corpus.append(pickle._dumps(value, protocol))
            except (TypeError, pickle.PicklingError, UnicodeEncodeError, ValueError, AttributeError):
                pass
    try:
        import dill

        for value in (main, lambda x: x + 1, Plain, recursive, functools.partial(emit, "x"), ((1, "a"), {"k": [1]})):
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                corpus.append(dill.dumps(value, protocol, recurse=protocol % 2 == 0))
    except ImportError:
        pass
    for data in corpus:
        emit("real", data, True)

    chance = random.Random(int(sys.argv[1]))
    small = [data for data in corpus if len(data) < 200]
    for _ in range(int(sys.argv[2])):
        data = bytearray(chance.choice(small))
        for _ in range(chance.randint(1, 3)):
            what = chance.random()
            at = chance.randrange(len(data) + 1)
            if what < 0.5 and at < len(data):
                data[at] = chance.randrange(256)
            elif what < 0.75 and at < len(data):
                del data[at]
            else:
                data.insert(at, chance.choice(b"(.0]}te" + bytes(range(256))))
            if not data:
                data = bytearray(b".")
        emit("damaged", bytes(data), python_accepts(bytes(data)))


main()
