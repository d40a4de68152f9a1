"""How functions, arguments and results become bytes and back, on the client's side.

Plain values go through the C pickler, thirty times faster than dill. It cannot carry what lives in a script, and says nothing
about it, so `_FastPickler` looks at every function and class and gives way to dill where one has no importable name.

What lives in a script (`__main__`) travels with the function that uses it: see `main_names.py`. Arguments then refer to such
classes by name, and results that come back as copies are given the script's own classes again, so that `isinstance` holds.
"""

from __future__ import annotations

import enum
import importlib
import io
import pickle
import sys
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType
from typing import Any, Final

import dill

from . import on_worker
from .main_names import MainNames
from .runtime_pickling import PLAIN, PROTOCOL, REFERENCE, NeedsDill, has_importable_name, needs_dill

NO_NAMES: Final[Mapping[str, object]] = {}


class TaskReference:
    """Stands in arguments for the value of another task; base of the client's futures."""

    task_id: str | None = None

    def reference_id(self) -> str:
        """Return the id of the task, a UUID."""
        raise NotImplementedError


class IdUnknown(Exception):
    """A future among the arguments has no id yet."""


class ReferencesFound(Exception):
    """The arguments contain futures, so they can be pickled only when the ids of those are known."""


class NameNeeded(Exception):
    """The arguments contain a function or class of the script, `obj`, that the function does not bring along yet."""

    def __init__(self, obj: object) -> None:
        super().__init__(obj)
        self.obj = obj


class _FastPickler(pickle.Pickler):
    shipped: Mapping[str, object]
    references: dict[str, None]
    waits: bool

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (FunctionType, type)):
            if not has_importable_name(obj) and not _goes_by_name(obj, self.shipped):
                top = _top_of_script(obj)
                raise NeedsDill if top is None else NameNeeded(top)
        elif isinstance(obj, TaskReference):
            # Only where `persistent_id` has not taken it before.
            raise ReferencesFound
        return NotImplemented


class _ReferencePickler(_FastPickler):
    def persistent_id(self, obj: Any) -> Any:
        return _reference(obj, self.references, self.waits)


class _FullPickler(dill.Pickler):  # type: ignore[misc]
    """dill, but for: futures, modules (by name), enums of the script, and what the function brings along (by name)."""

    shipped: Mapping[str, object]
    references: dict[str, None]
    waits: bool

    def persistent_id(self, obj: Any) -> Any:
        return _reference(obj, self.references, self.waits)

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if (
            isinstance(obj, ModuleType)
            and sys.modules.get(obj.__name__) is obj
            and obj.__name__ != "__main__"
        ):
            if id(obj) not in self.memo:
                self.save_reduce(importlib.import_module, (obj.__name__,), obj=obj)
                return
        elif isinstance(obj, (FunctionType, type)) and _goes_by_name(obj, self.shipped):
            self.save_global(obj, obj.__qualname__)
            return
        elif isinstance(obj, enum.EnumMeta) and not has_importable_name(obj) and id(obj) not in self.memo:
            self.save_reduce(on_worker.make_enum, _enum_parts(obj), obj=obj)
            return
        super().save(obj, save_persistent_id)


def _reference(obj: Any, found: dict[str, None], waits: bool) -> tuple[str, str] | None:
    if not isinstance(obj, TaskReference):
        return None
    if obj.task_id is None and not waits:
        raise IdUnknown
    task_id = obj.reference_id()
    found[task_id] = None
    return (REFERENCE, task_id)


def _top_of_script(obj: Any) -> Any:
    """Return what at the top of the script is the object or contains it; None when it cannot be reached by name."""
    if obj.__module__ != "__main__":
        return None
    name = obj.__qualname__.split(".")[0]
    top: Any = vars(sys.modules["__main__"]).get(name)
    is_itself = isinstance(top, (FunctionType, type)) and top.__name__ == name
    return top if is_itself and _goes_by_name(obj, {name: top}) else None


def _goes_by_name(obj: Any, shipped: Mapping[str, object]) -> bool:
    if not shipped or obj.__module__ != "__main__":
        return False
    first, *rest = obj.__qualname__.split(".")
    found: Any = shipped.get(first)
    for name in rest:
        found = getattr(found, name, None)
    return found is obj


def _enum_parts(obj: Any) -> tuple[Any, ...]:
    members = {name: member.value for name, member in obj.__members__.items()}
    extras = {
        key: value
        for key, value in vars(obj).items()
        if key not in members
        and not key.startswith("_")
        and isinstance(value, (FunctionType, property, classmethod, staticmethod))
    }
    return (obj.__bases__[-1], obj.__name__, members, extras)


def dump_arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any], shipped: Mapping[str, object]) -> bytes:
    """Pickle a call's arguments; `shipped` are names that travel with the function.

    Raises ReferencesFound when there are futures among them, NameNeeded, and what the picklers raise when a value cannot be
    pickled.
    """
    if not kwargs:
        for value in args:
            if type(value) not in PLAIN:
                break
        else:
            return pickle.dumps((args, kwargs), PROTOCOL)
    try:
        return _dumps(_FastPickler, (args, kwargs), shipped)[0]
    except (ReferencesFound, NameNeeded, MemoryError, RecursionError):
        raise
    except Exception:
        return _dumps(_SeekingPickler, _with_names((args, kwargs), shipped), shipped)[0]


def dump_references(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], shipped: Mapping[str, object], waits: bool
) -> tuple[bytes, list[str]]:
    """Pickle arguments with futures among them; return the bytes and the ids of the futures' tasks.

    Raises IdUnknown where one has none, unless it `waits` for it.
    """
    try:
        return _dumps(_ReferencePickler, (args, kwargs), shipped, waits)
    except (MemoryError, RecursionError, IdUnknown):
        raise
    except Exception:
        return _dumps(_FullPickler, _with_names((args, kwargs), shipped), shipped, waits)


def _with_names(pair: object, shipped: Mapping[str, object]) -> object:
    """Give arguments what their own functions, such as a lambda, need of the script."""
    found = MainNames(pair).names
    names = {name: value for name, value in found.items() if name not in shipped}
    return _WithNames(names, pair) if names else pair


def _dumps(
    kind: type[_FastPickler] | type[_FullPickler],
    value: object,
    shipped: Mapping[str, object] = NO_NAMES,
    waits: bool = True,
) -> tuple[bytes, list[str]]:
    buffer = io.BytesIO()
    pickler = kind(buffer, PROTOCOL)
    pickler.shipped = shipped
    pickler.references = {}
    pickler.waits = waits
    pickler.dump(value)
    return buffer.getvalue(), list(pickler.references)


class _SeekingPickler(_FullPickler):
    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, TaskReference):
            raise ReferencesFound
        return None


class _WithNames:
    def __init__(self, names: Mapping[str, object], value: object) -> None:
        self.parts = (names, value)

    def __reduce__(self) -> Any:
        return on_worker.enter_main, self.parts


def dump_function(function: Callable[..., Any], names: MainNames) -> bytes:
    """Pickle a function together with what it needs of its script.

    Raises TypeError, naming what of it cannot be pickled.
    """
    value = _WithNames(names.names, function) if names.names else function
    try:
        return _dumps(_FullPickler, value)[0]
    except RecursionError:
        raise
    except Exception as error:
        raise TypeError(_why_not(function, names, error)) from error


def _why_not(function: Any, names: MainNames, error: Exception) -> str:
    shown = getattr(function, "__name__", repr(function))
    for name, value in names.names.items():
        try:
            _dumps(_FullPickler, value)
        except Exception as inner:
            return (
                f"{shown} cannot be sent: it uses the global {name!r}, of type {type(value).__name__}, "
                f"which cannot be pickled: {inner}"
            )
    return f"{shown} cannot be sent: {type(error).__name__}: {error}"


def goes_by_import(function: Any) -> bool:
    """Tell whether the worker finds the function by importing its module: then any Python that has the module will do."""
    try:
        return has_importable_name(function)
    except Exception:
        return False


class _ResultUnpickler(dill.Unpickler):  # type: ignore[misc]
    """Gives what was a class of this script that class again, where dill would make a copy of it."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_create_type" and module in ("dill._dill", "dill.dill"):
            return _known_or_new
        if name == "make_enum" and module == on_worker.__name__:
            return _known_enum
        return super().find_class(module, name)


def _known_or_new(kind: type, name: str, bases: tuple[type, ...], fields: dict[str, Any], *rest: Any) -> Any:
    known = _class_of_script(fields.get("__module__"), fields.get("__qualname__", name))
    return known if isinstance(known, kind) else kind(name, bases, fields, *rest)


def _known_enum(base: type, name: str, members: Mapping[str, Any], extras: Mapping[str, Any]) -> Any:
    known = _class_of_script("__main__", name)
    return known if isinstance(known, enum.EnumMeta) else on_worker.make_enum(base, name, members, extras)


def _class_of_script(module: object, qualname: str) -> Any:
    found: Any = sys.modules.get("__main__") if module == "__main__" else None
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def loads(data: bytes | memoryview) -> Any:
    """Load a result, or the exception that stands for one."""
    raw = bytes(data)
    if not needs_dill(raw):
        return pickle.loads(raw)
    return _ResultUnpickler(io.BytesIO(raw), ignore=True).load()
