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

from .runtime_bytecode import create_code

# 5 exists since Python 3.8. Both sides may differ in version, so the number is fixed rather than "highest".
PROTOCOL: Final = 5
# The first half of a persistent id; the second is the id of a task.
REFERENCE: Final = "mpcsfaas.task"

# Looking through larger pickles for what needs dill takes longer (0.9 ms per MiB) than dill's unpickler does.
_SEARCHED_BYTES: Final = 64 * 1024

_DILLS_CREATE_CODE: Final = dill._dill._create_code
# Types whose values the C pickler carries as dill does, without a look inside.
PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes})


class NeedsDill(Exception):
    """A function or class appeared that only dill can carry."""


class _ReferencePickler(pickle.Pickler):
    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, (FunctionType, type)) and not has_importable_name(obj):
            raise NeedsDill
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


class Inputs:
    """Values of other tasks that arguments refer to by persistent id, each loaded once, when first referred to."""

    def __init__(self, pickles: dict[str, bytes], main: ModuleType) -> None:
        self._pickles = pickles
        self._main = main
        self._values: dict[str, Any] = {}

    def load_arguments(self, data: bytes) -> Any:
        """Load a pickle that may refer to the values."""
        if len(data) < _SEARCHED_BYTES and not needs_dill(data):
            plain = _PlainReferences(io.BytesIO(data))
            plain.inputs = self
            return plain.load()
        made = unpickler(data, self._main, _DillReferences)
        made.inputs = self
        return made.load()

    def value(self, reference: object) -> Any:
        """Return the value that a persistent id names."""
        if not (isinstance(reference, tuple) and len(reference) == 2 and reference[0] == REFERENCE):
            raise pickle.UnpicklingError(f"the arguments refer to something unknown: {reference!r:.200}")
        task_id = str(reference[1]).lower()
        if task_id not in self._values:
            if task_id not in self._pickles:
                raise pickle.UnpicklingError(
                    f"the arguments refer to the value of task {task_id:.100}, which is not in `depends_on`"
                )
            self._values[task_id] = loads(self._pickles.pop(task_id), self._main)
        return self._values[task_id]


class _PlainReferences(pickle.Unpickler):
    inputs: Inputs

    def persistent_load(self, pid: Any) -> Any:
        return self.inputs.value(pid)


class _DillUnpickler(dill.Unpickler):  # type: ignore[misc]
    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        return create_code if found is _DILLS_CREATE_CODE else found


class _DillReferences(_DillUnpickler):
    inputs: Inputs

    def persistent_load(self, pid: Any) -> Any:
        return self.inputs.value(pid)


def unpickler(data: bytes, main: ModuleType, kind: Callable[..., Any] = _DillUnpickler) -> Any:
    """Return an unpickler of dill's whose `__main__` is the given module."""
    made = kind(io.BytesIO(data))
    made._main = main
    return made


def dumps(value: object) -> bytes:
    """Pickle a value so that a client with dill and the modules it knows can load it."""
    if type(value) in PLAIN:
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
