"""Turns an exception into a FAILED frame: the `Failure` record for people, and the exception itself for the client.

The client has dill and the standard library, nothing else of ours. So the remote traceback travels by way of
`multiprocessing.pool.rebuild_exc`, which on loading makes it the `__cause__` of the original exception. What is sent has
been loaded here first: an exception that cannot be rebuilt, or that needs a module the client may lack, is replaced by
its nearest base class in the standard library.
"""

from __future__ import annotations

import contextlib
import copyreg
import json
import os
import pickle
import resource
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.pool import rebuild_exc  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any, Final

import dill

from . import runtime_pickling as pickling

TEXT_LIMIT: Final = 64 * 1024
# An exception larger than this travels with its text cut.
PAYLOAD_LIMIT: Final = 1 << 20
# Of the class of an exception: how many of those it derives from are told, and how much of each name.
BASES_LIMIT: Final = 32
NAME_LIMIT: Final = 200

_OWN_FILES: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runtime")

IMPORT_HINT: Final = (
    "Hint: make the module importable for the worker: start the worker in the folder of the module, "
    "or with --pythonpath DIR, or with PYTHONPATH set."
)


class PlatformError(Exception):
    """The runtime's own finding about a task; `kind` is its failure type, `shown` what the client gets."""

    def __init__(self, kind: str, shown: BaseException, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.shown = shown
        self.message = message


class _Remote:
    """Pickles as a call that puts an exception and the text of its traceback together again."""

    def __init__(self, build: Any, text: str) -> None:
        self.build = build
        self.text = text

    def __reduce__(self) -> Any:
        return rebuild_exc, (self.build, self.text)


class _Rebuilt:
    """Pickles as an exception made without its constructor, whose parameters are seldom those in `args`."""

    def __init__(self, kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> None:
        base = next(base for base in kind.__mro__ if base.__module__ == "builtins")
        # The text only makes the object; `args` of the state, which follows, is what it keeps.
        self._parts = (kind, base, ""), {**state, "args": args}

    def __reduce__(self) -> Any:
        call, state = self._parts
        return copyreg._reconstructor, call, state  # type: ignore[attr-defined]


class _NotForClients(Exception):
    """The exception would need a module that the client may not have."""


def render(
    error: BaseException, main: ModuleType, client_knows: Callable[[str], bool]
) -> tuple[bytes, bytes]:
    """Return meta and payload of a FAILED frame; `client_knows` tells of a top-level module whether the client has it."""
    raised = error
    if isinstance(error, MemoryError):
        error = _memory_limit(error)
    shown = error.shown if isinstance(error, PlatformError) else error
    text = traceback_text(shown)
    message = error.message if isinstance(error, PlatformError) else safe_text(shown)
    meta: dict[str, object] = {
        "type": error.kind if isinstance(error, PlatformError) else "UserException",
        "message": cut(message),
        "exception": type(shown).__name__,
        "traceback": text,
    }
    if not isinstance(raised, PlatformError):
        meta["bases"] = _class_names(type(raised))
    payload = _exception_payload(shown, text, main, client_knows)
    # Frames keep their locals alive, which after a MemoryError is the memory that is missing.
    with contextlib.suppress(Exception):
        traceback.clear_frames(raised.__traceback__)
    return json.dumps(meta).encode(), payload


def _class_names(kind: type[BaseException]) -> list[str]:
    """Name the class and those it derives from, for retry policies; those of the language without a module."""
    names = []
    for base in kind.__mro__[:BASES_LIMIT]:
        module = getattr(base, "__module__", "")
        if base is not object:
            name = base.__qualname__ if module == "builtins" else f"{module}.{base.__qualname__}"
            names.append(cut(name)[:NAME_LIMIT])
    return names


def _memory_limit(error: MemoryError) -> PlatformError:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        text = "the function needed more memory than the machine of the worker could give"
        remedy = "let it work on less at a time, or run fewer at once"
    else:
        text = f"the function needed more memory than a process of its worker may have, {limit >> 20} MiB"
        remedy = "let it work on less at a time, or start the worker with a larger --max-memory"
    said = safe_text(error)
    text = f"{text}{f' ({said})' if said else ''}; {remedy}"
    shown = MemoryError(f"MemoryLimit: {text}")
    shown.__traceback__ = error.__traceback__
    return PlatformError("MemoryLimit", shown, text)


def safe_text(error: BaseException) -> str:
    """Return `str(error)`, bounded, whatever the class does."""
    try:
        return cut(str(error))
    except BaseException as inner:
        return f"<the text of {type(error).__name__} is not available: its __str__ raised {type(inner).__name__}>"


def cut(text: str) -> str:
    """Bound a text, keeping its beginning and its end; lone surrogates, which no encoder takes, are escaped."""
    if len(text) > TEXT_LIMIT:
        half = TEXT_LIMIT // 2 - 40
        text = f"{text[:half]}\n... {len(text) - 2 * half} characters cut ...\n{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def traceback_text(error: BaseException) -> str:
    """Return the traceback as Python prints it, chained causes included, without the runtime's own frames."""
    try:
        shown = traceback.TracebackException(type(error), error, error.__traceback__)
        _drop_own_frames(shown)
        return cut("".join(shown.format()))
    except BaseException as inner:
        return f"{type(error).__name__}: {safe_text(error)}\n(no traceback: {type(inner).__name__} while printing it)\n"


def _drop_own_frames(shown: traceback.TracebackException) -> None:
    pending = [shown]
    seen: set[int] = set()
    while pending:
        chained = pending.pop()
        if id(chained) in seen:
            continue
        seen.add(id(chained))
        chained.stack[:] = [line for line in chained.stack if not line.filename.startswith(_OWN_FILES)]
        pending += [link for link in (chained.__cause__, chained.__context__) if link is not None]


def add_hint(error: BaseException) -> None:
    """Append to an import error how to mend it. Not `add_note`: clients may run a Python older than 3.11."""
    text = f"{safe_text(error)}\n{IMPORT_HINT}"
    error.args = (text, *error.args[1:])
    if isinstance(error, ImportError):
        error.msg = text


def _exception_payload(
    error: BaseException, text: str, main: ModuleType, client_knows: Callable[[str], bool]
) -> bytes:
    for build in _candidates(error):
        try:
            payload = pickling.dumps(_Remote(build, text))
            if len(payload) <= PAYLOAD_LIMIT and _loads_as_exception(payload, error, main, client_knows):
                return payload
        except BaseException:  # noqa: S112  the class is the user's and may do anything
            continue
    # Of a standard class and with text only: this cannot fail.
    return pickle.dumps(_Remote(RuntimeError(_named_text(error)), text), pickling.PROTOCOL)


def _candidates(error: BaseException) -> Iterator[Any]:
    yield error
    state = {name: value for name, value in vars(error).items() if _can_travel(value)}
    yield _Rebuilt(type(error), error.args, state)
    yield _Rebuilt(type(error), (safe_text(error),), {})
    for base in type(error).__mro__:
        if base in (Exception, BaseException):
            return
        if base.__module__ != "builtins" and not _is_standard(base.__module__.partition(".")[0]):
            continue
        # A standard class that has no room for a free text, such as UnicodeDecodeError, gives way to its own base.
        with contextlib.suppress(Exception):
            yield base(safe_text(error) if base is type(error) else _named_text(error))


def _can_travel(value: object) -> bool:
    try:
        pickling.dumps(value)
        return True
    except BaseException:
        return False


def _named_text(error: BaseException) -> str:
    return f"{type(error).__name__}: {safe_text(error)}"


class _CheckingUnpickler(dill.Unpickler):  # type: ignore[misc]
    """Loads as the client would, and refuses modules that the client may lack."""

    client_knows: Callable[[str], bool]

    def find_class(self, module: str, name: str) -> Any:
        top = module.partition(".")[0]
        if top not in ("__main__", "dill") and not _is_standard(top) and not self.client_knows(top):
            raise _NotForClients(module)
        return super().find_class(module, name)


def _loads_as_exception(
    payload: bytes, error: BaseException, main: ModuleType, client_knows: Callable[[str], bool]
) -> bool:
    unpickler = pickling.unpickler(payload, main, _CheckingUnpickler)
    unpickler.client_knows = client_knows
    loaded = unpickler.load()
    # A class from `__main__` is made anew on loading, so for those only the name can be compared.
    return isinstance(loaded, BaseException) and (
        isinstance(error, type(loaded))
        or type(loaded).__name__ == type(error).__name__
        or isinstance(loaded, RuntimeError)
    )


def _is_standard(top: str) -> bool:
    if top.startswith("__"):
        return top in ("__builtin__", "__main__")
    if sys.version_info >= (3, 10):
        return top in sys.stdlib_module_names
    if top in sys.builtin_module_names:
        return True
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    return file.startswith(sysconfig.get_paths()["stdlib"]) and "site-packages" not in file
