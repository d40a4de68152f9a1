"""Packs a function of a file and its arguments for `mpcsfaas run`, and unpacks what it returned.

Run as a script, by path: it needs dill and nothing else, not even this package. One question as JSON on stdin, one answer as
JSON on stdout; what goes wrong is a sentence on stderr.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import importlib.util
import json
import os
import sys
import types
from typing import Any, NoReturn


def fail(message: str) -> NoReturn:
    """End with a sentence for people."""
    sys.stderr.write(message + "\n")
    sys.exit(2)


try:
    import dill
except ImportError:
    fail(f"{sys.executable} has no dill: install it there, or name another Python with --python.")


def literal(text: str, option: str, kind: type) -> Any:
    """Read an option as JSON or, failing that, as a Python literal."""
    try:
        value = json.loads(text)
    except ValueError:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            fail(f"{option} {text} is neither JSON nor a Python literal.")
    if kind is list and isinstance(value, tuple):
        value = list(value)
    if not isinstance(value, kind):
        fail(f"{option} {text} must be a {'list, such as [1, 2]' if kind is list else 'dict, such as {}'}.")
    return value


def load(path: str) -> types.ModuleType:
    """Run a file as multiprocessing does: its `if __name__ == "__main__"` part is left out, and it is pickled by value as a script is."""
    if not os.path.isfile(path):
        fail(f"There is no file {path}.")
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec = importlib.util.spec_from_file_location("__mp_main__", path)
    if spec is None or spec.loader is None:
        fail(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    # What it prints is not the answer.
    with contextlib.redirect_stdout(sys.stderr):
        spec.loader.exec_module(module)
    for value in list(vars(module).values()):
        if getattr(value, "__module__", None) == "__mp_main__":
            value.__module__ = "__main__"
    module.__name__ = "__main__"
    return module


def encoded(value: object) -> str:
    """Pickle, as the API takes it."""
    return base64.b64encode(dill.dumps(value, recurse=True)).decode()


def pack(question: dict[str, str]) -> dict[str, Any]:
    """Answer with the function and its arguments, pickled."""
    path, colon, name = question["target"].rpartition(":")
    if not colon or not name:
        fail(f"{question['target']} does not name a function: write file.py:function.")
    args = literal(question["args"], "--args", list)
    kwargs = literal(question["kwargs"], "--kwargs", dict)
    module = load(path)
    function = getattr(module, name, None)
    if not callable(function):
        fail(f"{path} has no function {name}.")
    return {"name": name, "function": encoded(function), "arguments": encoded((tuple(args), kwargs))}


def unpack(question: dict[str, str]) -> dict[str, Any]:
    """Answer with what can be said of a result: its repr, and itself where it is JSON."""
    try:
        value = dill.loads(base64.b64decode(question["result"]))
    except Exception as error:  # noqa: BLE001  # Anything can come out of a pickle.
        return {"repr": f"<cannot be loaded here: {type(error).__name__}: {error}>"}
    answer: dict[str, Any] = {"repr": repr(value)}
    with contextlib.suppress(TypeError, ValueError):
        json.dumps(value, allow_nan=False)
        answer["value"] = value
    return answer


def main() -> None:
    """Answer one question."""
    question = json.load(sys.stdin)
    answer = pack(question) if question["do"] == "pack" else unpack(question)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
