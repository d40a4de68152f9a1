"""Loading and dumping of values: the C pickler where its result is the same as dill's, dill elsewhere.

The C pickler is no drop-in: it pickles functions and classes of `__main__` by name, in silence, and the other side cannot
load them. `_ReferencePickler` sees every function and class and gives up on one that has no importable name.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, Final

import dill

# 5 exists since Python 3.8. Both sides may differ in version, so the number is fixed rather than "highest".
PROTOCOL: Final = 5

# Looking through larger pickles for what needs dill takes longer (0.9 ms per MiB) than dill's unpickler does.
_SEARCHED_BYTES: Final = 64 * 1024

_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes})


class _NeedsDill(Exception):
    """A function or class appeared that only dill can carry."""


class _ReferencePickler(pickle.Pickler):
    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, (FunctionType, type)) and not has_importable_name(obj):
            raise _NeedsDill
        return NotImplemented


def has_importable_name(obj: Any) -> bool:
    """Tell whether importing the object's module and following its qualified name leads to this very object."""
    module = getattr(obj, "__module__", None)
    if module is None or module == "__main__":
        return False
    found: Any = sys.modules.get(module)
    for name in obj.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is obj


def needs_dill(data: bytes) -> bool:
    """Tell whether a pickle can hold what only dill's unpickler resolves; both names are always spelt out in such bytes."""
    return b"dill" in data or b"__main__" in data


def loads(data: bytes, main: ModuleType) -> Any:
    """Load a pickle; `main` is what the pickle's references to `__main__` mean."""
    if len(data) < _SEARCHED_BYTES and not needs_dill(data):
        try:
            return pickle.loads(data)
        except Exception:
            # Old protocols name a few builtins as only dill understands; otherwise dill raises the same error.
            pass
    return unpickler(data, main).load()


def unpickler(data: bytes, main: ModuleType, kind: Callable[..., Any] = dill.Unpickler) -> Any:
    """Return an unpickler of dill's whose `__main__` is the given module."""
    made = kind(io.BytesIO(data))
    made._main = main
    return made


def dumps(value: object) -> bytes:
    """Pickle a value so that a client with dill and the modules it knows can load it."""
    if type(value) in _PLAIN:
        return pickle.dumps(value, PROTOCOL)
    buffer = io.BytesIO()
    try:
        _ReferencePickler(buffer, PROTOCOL).dump(value)
        return buffer.getvalue()
    except (MemoryError, RecursionError):
        raise
    except Exception:
        # Either a thing without a name, or one that the C pickler cannot carry while dill perhaps can.
        result: bytes = dill.dumps(value, protocol=PROTOCOL)
        return result


def enter_main(main: ModuleType) -> None:
    """Make a module the process's `__main__`, for user code and for dill, which remembers the one it was imported under."""
    sys.modules["__main__"] = main
    dill._dill._main_module = main


def clean_main() -> ModuleType:
    """Return an empty `__main__`. Every function gets its own: globals of one must not show in another."""
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    return main
