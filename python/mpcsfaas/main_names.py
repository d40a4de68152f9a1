"""Finds what a function of a script or notebook needs from its `__main__`, by following what its code refers to.

A worker has no copy of the script, so these names travel with the function.
"""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Iterator
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

# Of a long list of plain values only so many are looked into.
_MAX_ITEMS = 1_000


class MainNames:
    """The names of `__main__` that objects refer to, directly or by way of others, and whether they still hold."""

    def __init__(self, *roots: object) -> None:
        self.roots = roots
        self._main = vars(sys.modules["__main__"])
        self.names: dict[str, object] = {}
        self._cells: list[tuple[CellType, object]] = []
        self._collect(list(roots))

    def still_hold(self) -> bool:
        """Tell whether every name, and every variable of an enclosing function, is what it was when it was found."""
        main = self._main
        for name, value in self.names.items():
            if main.get(name) is not value:
                return False
        return all(_content(cell) is value for cell, value in self._cells)

    def _collect(self, stack: list[object]) -> None:
        seen: set[int] = set()
        while stack:
            obj = stack.pop()
            if id(obj) in seen or isinstance(obj, ModuleType):
                continue
            seen.add(id(obj))
            if isinstance(obj, (FunctionType, type)):
                self._name(obj)
            if isinstance(obj, FunctionType) and obj.__globals__ is self._main:
                for name in global_names(obj.__code__):
                    if name in self._main:
                        self.names[name] = self._main[name]
                        stack.append(self._main[name])
            if isinstance(obj, FunctionType):
                for cell in obj.__closure__ or ():
                    self._cells.append((cell, _content(cell)))
            stack.extend(_parts(obj))

    def _name(self, obj: FunctionType | type) -> None:
        if self._main.get(obj.__name__) is obj:
            self.names[obj.__name__] = obj


_EMPTY = object()


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return _EMPTY


def global_names(code: CodeType) -> Iterator[str]:
    """Yield the names that a code object and those inside it look up beyond their own scopes."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from global_names(constant)


def _parts(obj: Any) -> Iterator[object]:
    """Yield what belongs to an object and may be, or lead to, a function or class of the script."""
    if isinstance(obj, FunctionType):
        yield from map(_content, obj.__closure__ or ())
        yield from obj.__defaults__ or ()
        yield from (obj.__kwdefaults__ or {}).values()
        yield from vars(obj).values()
    elif isinstance(obj, type):
        if obj.__module__ == "__main__":
            yield from obj.__bases__
            yield from list(vars(obj).values())
    elif isinstance(obj, (staticmethod, classmethod)):
        yield obj.__func__
    elif isinstance(obj, property):
        yield from (obj.fget, obj.fset, obj.fdel)
    elif isinstance(obj, functools.partial):
        yield from (obj.func, obj.args, obj.keywords)
    elif isinstance(obj, MethodType):
        yield from (obj.__func__, obj.__self__)
    elif type(obj) in (list, tuple, set, frozenset):
        yield from list(obj)[:_MAX_ITEMS]
    elif type(obj) is dict:
        yield from list(obj.values())[:_MAX_ITEMS]
    elif type(obj).__module__ in ("__main__", "mpcsfaas.on_worker", "mpcsfaas.remote_function"):
        yield type(obj)
        yield from list(getattr(obj, "__dict__", {}).values())
