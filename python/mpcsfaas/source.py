"""What a registration tells of a function beside its pickle: its source, and the Python that made it.

With a source that is complete a worker of another Python version can compile it instead of loading bytecode it cannot
read. Complete means that running the source alone defines the same function. So that is checked, not guessed:
nothing from outside but builtins, and the bytecode of the source is that of the function.
"""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
import platform
import textwrap
from types import CodeType, FunctionType
from typing import Any, Final

import dill

from .main_names import global_names

# The API takes no longer ones.
_LONGEST_SOURCE: Final = 256 * 1024


def described(function: Any) -> dict[str, Any]:
    """Return the fields of a registration for a function that is sent by value."""
    fields: dict[str, Any] = {
        "python_version": platform.python_version(),
        "python_implementation": platform.python_implementation().lower(),
        "dill_version": dill.__version__,
    }
    source = _source(function)
    if source is not None:
        fields["source"] = source
        fields["source_is_complete"] = is_complete(function, source)
    return fields


def _source(function: Any) -> str | None:
    try:
        source = textwrap.dedent(inspect.getsource(function))
        return source if len(source) <= _LONGEST_SOURCE else None
    except (OSError, TypeError, SyntaxError, IndentationError):
        return None


def is_complete(function: Any, source: str) -> bool:
    """Tell whether the source alone defines the same function, under its own name."""
    if not isinstance(function, FunctionType) or function.__closure__ or vars(function):
        return False
    try:
        tree = ast.parse(source)
        (definition,) = tree.body
        if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)) or definition.decorator_list:
            return False
        compiled = compile(source, "<source>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    code = next((one for one in compiled.co_consts if _is_code_of(one, function)), None)
    return (
        code is not None
        and definition.name == function.__name__
        and _same_code(code, function.__code__)
        and _defaults_are_literal(definition, function)
        and all(_is_builtin(name, function) for name in global_names(compiled))
        and not _writes_globals(function.__code__)
    )


def _is_code_of(constant: object, function: FunctionType) -> bool:
    return isinstance(constant, CodeType) and constant.co_name == function.__name__


def _is_builtin(name: str, function: FunctionType) -> bool:
    known = function.__globals__
    if name in known:
        # A recursive function finds itself.
        return name == function.__name__ and known[name] is function
    return hasattr(builtins, name)


def _same_code(one: CodeType, other: CodeType) -> bool:
    """Compare all that decides what code does; where it stands does not."""
    if (one.co_code, one.co_names, one.co_varnames, one.co_freevars, one.co_cellvars) != (
        other.co_code,
        other.co_names,
        other.co_varnames,
        other.co_freevars,
        other.co_cellvars,
    ):
        return False
    if len(one.co_consts) != len(other.co_consts):
        return False
    return all(
        _same_code(mine, theirs)
        if isinstance(mine, CodeType) and isinstance(theirs, CodeType)
        else type(mine) is type(theirs) and mine == theirs
        for mine, theirs in zip(one.co_consts, other.co_consts)
    )


def _defaults_are_literal(definition: ast.FunctionDef | ast.AsyncFunctionDef, function: FunctionType) -> bool:
    arguments = definition.args
    nodes = [*arguments.defaults, *(node for node in arguments.kw_defaults if node is not None)]
    values = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    try:
        return [ast.literal_eval(node) for node in nodes] == values
    except (ValueError, TypeError):
        return False


def _writes_globals(code: CodeType) -> bool:
    if any(one.opname in ("STORE_GLOBAL", "DELETE_GLOBAL") for one in dis.get_instructions(code)):
        return True
    return any(_writes_globals(one) for one in code.co_consts if isinstance(one, CodeType))
