"""Tells bytecode of another Python before it runs: what runs it all the same may crash, or be wrong in silence.

dill makes code objects of other versions fit by their fields; their bytecode it leaves as it is.
"""

from __future__ import annotations

import dis
from typing import Any, Final

import dill

_KNOWN: Final = frozenset(dis.opmap.values())
# CPython begins the body of all code with it since 3.11.
_RESUME: Final = dis.opmap.get("RESUME")


class BytecodeMismatch(Exception):
    """A code object in a pickle is of another Python."""


def create_code(*fields: Any) -> Any:
    """Stand in for dill's `_create_code`; raise BytecodeMismatch for what is not for this Python."""
    code = next((one for one in fields[1:] if isinstance(one, (bytes, str))), b"")
    check(code.encode() if isinstance(code, str) else code)
    return dill._dill._create_code(*fields)


def check(code: bytes) -> None:
    """Raise BytecodeMismatch for instructions that this Python does not have, or lacks one that all its code has."""
    instructions = frozenset(code[::2])
    if not instructions <= _KNOWN:
        unknown = min(instructions - _KNOWN)
        raise BytecodeMismatch(f"its bytecode has the instruction {unknown}, which this Python does not know")
    if _RESUME is not None and _RESUME not in instructions:
        raise BytecodeMismatch("its bytecode is of a Python before 3.11")
