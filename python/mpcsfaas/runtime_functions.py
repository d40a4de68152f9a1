"""Loading of functions: from their pickle, or from their source where the pickle is of another Python."""

from __future__ import annotations

import json
import pickle
import re
import sys
from types import ModuleType
from typing import Any, Final

from . import runtime_pickling as pickling
from .runtime_bytecode import BytecodeMismatch
from .runtime_failures import PlatformError, safe_text
from .runtime_protocol import WORD

# A pickle begins with an opcode, and none is zero.
_ORIGIN_MARK: Final = b"\0"
_OWN: Final = sys.implementation.name, sys.version_info[:2]
_OWN_NAME: Final = f"{_OWN[0]} {'.'.join(str(part) for part in sys.version_info[:3])}"

# What interpreters say of code objects that are not theirs.
_OF_ANOTHER_PYTHON: Final = re.compile(
    r"bad marshal|marshal data|EOF read where|unknown opcode|\bcode\(\)|\bcode expected|code object"
)


def split(body: bytes) -> tuple[dict[str, str], bytes]:
    """Return what is known of a function's origin, and its pickle; see `functionBody` in bus/functionOrigin.ts."""
    if body[:1] != _ORIGIN_MARK:
        return {}, body
    end = 5 + WORD.unpack_from(body, 1)[0]
    origin: dict[str, str] = json.loads(body[5:end])
    return origin, body[end:]


def load(body: bytes, main: ModuleType) -> Any:
    """Return the function, defined in the given `__main__`.

    Raises PlatformError VersionMismatch where this Python cannot have it, and what loading raises.
    """
    origin, payload = split(body)
    python = origin.get("python", "").strip()
    own = not python or _is_own(python)
    if not own and "source" in origin:
        return compiled(origin, main)
    if not own:
        raise _mismatch(python, None)
    try:
        return pickling.loads(payload, main)
    except BaseException as error:
        if not _is_of_another_python(error):
            raise
        if "source" in origin:
            return compiled(origin, main)
        raise _mismatch(python, error) from error


def compiled(origin: dict[str, str], main: ModuleType) -> Any:
    """Return what the source defines under the function's name; it runs in the given `__main__`."""
    name = origin["name"]
    try:
        code = compile(origin["source"], f"<source of {name}>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise _mismatch(origin.get("python", ""), error) from error
    exec(code, main.__dict__)  # noqa: S102  it is the user's function, as its pickle is
    if name not in main.__dict__:
        raise NameError(f"the source that was registered with the function does not define {name!r}")
    return main.__dict__[name]


def explained(error: BaseException, body: bytes) -> BaseException:
    """Return what to tell of an error that a task ended with: bytecode that turned out unknown while it ran is no answer."""
    if isinstance(error, SystemError) and _is_of_another_python(error):
        return _mismatch(split(body)[0].get("python", ""), error)
    return error


def _is_own(python: str) -> bool:
    implementation, _, version = python.partition(" ")
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and (implementation, (int(found[1]), int(found[2]))) == _OWN


def _is_of_another_python(error: BaseException) -> bool:
    if isinstance(error, BytecodeMismatch):
        return True
    kinds = (ValueError, SystemError, TypeError, EOFError, pickle.UnpicklingError)
    return isinstance(error, kinds) and _OF_ANOTHER_PYTHON.search(safe_text(error)) is not None


def _mismatch(python: str, error: BaseException | None) -> PlatformError:
    made = (
        f"it was made by {python}"
        if python
        else "it was made by another Python, which its client did not tell"
    )
    why = "" if error is None else f" ({type(error).__name__}: {safe_text(error)})"
    text = (
        f"this worker's Python, {_OWN_NAME}, cannot load the function: {made}{why}; "
        "start a worker with the Python of the client (--python), send the function from this Python, "
        "or make it self-contained and register it with its source, as the mpcsfaas client does"
    )
    shown = RuntimeError(f"VersionMismatch: {text}")
    shown.__cause__ = error
    return PlatformError("VersionMismatch", shown, text)


def argument_mismatch(error: BytecodeMismatch) -> PlatformError:
    """Return the failure for arguments that hold a function of another Python."""
    text = (
        f"this worker's Python, {_OWN_NAME}, cannot load a function among the arguments: {error}; "
        "start a worker with the Python of the client (--python), or pass what is no function"
    )
    return PlatformError("VersionMismatch", RuntimeError(f"VersionMismatch: {text}"), text)
