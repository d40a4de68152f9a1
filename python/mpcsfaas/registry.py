"""Functions as the platform knows them: pickled once, registered once."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final
from weakref import WeakKeyDictionary

from . import pickling, source
from .main_names import MainNames
from .on_worker import Chunk
from .transport import Transport

# Of functions that are looked at each time, such as partials; forgotten ones are registered again, under the same id.
_REMEMBERED: Final = 1_000
_REMEMBERED_BYTES: Final = 32 << 20
_BY_IDENTITY: Final = (FunctionType, BuiltinFunctionType, type)

_Cards = WeakKeyDictionary[Any, "tuple[FunctionCard, MainNames]"]
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


class FunctionCard:
    """A function ready to be registered, or registered: then `function_id` is known."""

    def __init__(
        self, name: str, payload: bytes, shipped: Mapping[str, object], about: dict[str, Any]
    ) -> None:
        self.name = name
        self.payload = payload
        self.shipped = shipped
        self.function_id: str | None = None
        self._forgotten = False
        self._about = about
        self._lock = threading.Lock()

    def register(self, transport: Transport) -> str:
        """Register it unless that is done; return its id."""
        with self._lock:
            if self.function_id is None:
                body = {
                    "name": self.name,
                    "payload": base64.b64encode(self.payload).decode(),
                    **self._about,
                }
                self.function_id = str(transport.call("POST", "/register_function", body)["function_id"])
            return self.function_id

    def known(self) -> None:
        """Note that the platform knows it."""
        self._forgotten = False

    def forget(self) -> bool:
        """Have it registered again; tell whether that is worth trying, which it is once."""
        with self._lock:
            if self._forgotten:
                return False
            self._forgotten = True
            self.function_id = None
            return True


class Registry:
    """The cards of a client's functions. `wrap` puts something around each before it is pickled."""

    def __init__(self, wrap: Wrap | None = None) -> None:
        self._wrap = wrap
        # Of functions called one by one, and in chunks.
        self._by_function: tuple[_Cards, _Cards] = (WeakKeyDictionary(), WeakKeyDictionary())
        self._by_digest: OrderedDict[bytes, FunctionCard] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def card(
        self, function: Callable[..., Any], chunked: bool = False, also: tuple[object, ...] = ()
    ) -> FunctionCard:
        """Return the card of a function, or of one that calls it many times (`chunked`).

        It is a new one when what the function uses of its script has changed, or is to bring `also` something more of the
        script. Raises TypeError.
        """
        cards = self._by_function[chunked]
        # Other callables have state, so what they are must be looked at each time.
        by_identity = isinstance(function, _BY_IDENTITY)
        if by_identity:
            known = cards.get(function)
            if known is not None and not also and known[1].still_hold():
                return known[0]
        if not callable(function):
            raise TypeError(f"a function is needed, not {function!r}")
        # Those of an earlier card are needed still.
        more = (known[1].roots[1:] if by_identity and known is not None else ()) + also
        card, names = self._make(function, chunked, more)
        if by_identity:
            cards[function] = (card, names)
        return card

    def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], chunked: bool
    ) -> tuple[FunctionCard, bytes | None]:
        """Return the card of a function, and its pickled arguments, or None where futures are among them.

        Raises what pickling raises, and TypeError for what is no function.
        """
        also: tuple[object, ...] = ()
        while True:
            card = self.card(function, chunked, also)
            try:
                return card, pickling.dump_arguments(args, kwargs, card.shipped)
            except pickling.NameNeeded as needed:
                # From now on the function brings it along, so that both speak of the same class.
                also += (needed.obj,)
            except pickling.ReferencesFound:
                return card, None

    def _make(
        self, function: Callable[..., Any], chunked: bool, also: tuple[object, ...]
    ) -> tuple[FunctionCard, MainNames]:
        wrapped = function if self._wrap is None else self._wrap(function)
        if chunked:
            wrapped = Chunk(wrapped)
        names = MainNames(wrapped, *also)
        payload = pickling.dump_function(wrapped, names)
        digest = hashlib.blake2b(payload, digest_size=32).digest()
        with self._lock:
            card = self._by_digest.get(digest)
            if card is not None:
                self._by_digest.move_to_end(digest)
                return card, names
            card = FunctionCard(_name(function), payload, names.names, self._about(function, wrapped))
            self._by_digest[digest] = card
            self._bytes += len(payload)
            self._forget_oldest()
        return card, names

    def _forget_oldest(self) -> None:
        known = self._by_digest
        while len(known) > _REMEMBERED or (self._bytes > _REMEMBERED_BYTES and len(known) > 1):
            _, oldest = known.popitem(last=False)
            self._bytes -= len(oldest.payload)

    def _about(self, function: Callable[..., Any], wrapped: Callable[..., Any]) -> dict[str, Any]:
        if pickling.goes_by_import(function):
            return {}
        about = source.described(function)
        if wrapped is not function and "source" in about:
            about["source_is_complete"] = False
        return about


def _name(function: Callable[..., Any]) -> str:
    # A partial shows the name of what it calls.
    inner = getattr(function, "func", function)
    return str(getattr(inner, "__name__", type(function).__name__))
