"""Tasks on their way out: gathered while the last request is in flight, sent in batches by one thread.

No timers: a task alone leaves at once, and under load batches form by themselves. What waits here is bounded: `add`
blocks beyond it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from . import pickling
from .futures import TaskFuture, is_current
from .options import NO_OPTIONS, TaskOptions
from .packing import pack, pack_with_binaries
from .registry import FunctionCard

_BATCH_TASKS: Final = 1_000
_BATCH_BYTES: Final = 8 << 20
_MAX_WAITING_TASKS: Final = 20_000
_MAX_WAITING_BYTES: Final = 64 << 20


class Outgoing:
    """A task that is not sent yet. `call` holds its arguments while they wait for the ids of futures among them."""

    __slots__ = ("future", "card", "options", "payload", "call", "depends_on")

    def __init__(
        self,
        future: TaskFuture[Any],
        card: FunctionCard,
        options: TaskOptions,
        payload: bytes,
        call: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
    ) -> None:
        self.future = future
        self.card = card
        self.options = options
        self.payload = payload
        self.call = call
        self.depends_on: list[str] = []


class Outbox:
    """The queue between those who submit and the thread that sends."""

    def __init__(self) -> None:
        self._items: deque[Outgoing] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._emptied = threading.Condition(self._lock)
        self._waiting = False
        self.closed = False
        self.sender: threading.Thread | None = None

    def has_room(self) -> bool:
        """Tell whether `add` would not wait."""
        return len(self._items) < _MAX_WAITING_TASKS and self._bytes <= _MAX_WAITING_BYTES

    def wait_for_room(self) -> None:
        """Wait until `add` would not."""
        with self._lock:
            self._emptied.wait_for(lambda: self.closed or self.has_room())

    def add(self, item: Outgoing, waits: bool = True) -> None:
        """Queue a task; waits while there is too much. Raises RuntimeError after `close`."""
        with self._lock:
            # The sender itself must not wait for the sender: it runs callbacks of tasks that could not be sent.
            if waits and not self.has_room() and not is_current(self.sender):
                self._emptied.wait_for(lambda: self.closed or self.has_room())
            if self.closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._items.append(item)
            self._bytes += len(item.payload)
            if self._waiting:
                self._waiting = False
                self._filled.notify()

    def close(self) -> None:
        """Take no more; what is queued is still sent."""
        with self._lock:
            self.closed = True
            self._filled.notify_all()
            self._emptied.notify_all()

    def withdraw(self) -> list[Outgoing]:
        """Take out all that is not sent."""
        with self._lock:
            items = list(self._items)
            self._items.clear()
            self._bytes = 0
            self._emptied.notify_all()
            return items

    def take(self) -> list[Outgoing]:
        """Wait for tasks and return as many as one request may carry; empty when closed and all is sent."""
        with self._lock:
            while not self._items and not self.closed:
                self._waiting = True
                self._filled.wait()
            batch: list[Outgoing] = []
            size = 0
            while self._items and len(batch) < _BATCH_TASKS:
                item = self._items[0]
                if batch and size + len(item.payload) > _BATCH_BYTES:
                    break
                self._items.popleft()
                size += len(item.payload)
                if not item.future.cancelled():
                    batch.append(item)
            self._bytes -= size
            self._emptied.notify_all()
            return batch


def resolve_references(item: Outgoing, waits: bool) -> bool:
    """Pickle arguments that contain futures; tell whether all of those had ids, which can be waited for."""
    if item.call is None:
        return True
    args, kwargs = item.call
    try:
        item.payload, item.depends_on = pickling.dump_references(args, kwargs, item.card.shipped, waits)
    except pickling.IdUnknown:
        return False
    item.call = None
    return True


def request_body(batch: list[Outgoing], group_id: str) -> bytes:
    """Return the MessagePack of POST /tasks. The functions must be registered."""
    first = batch[0]
    fields: dict[str, Any] = {"group_id": group_id}
    if all(
        item.card is first.card and item.options is first.options and not item.depends_on for item in batch
    ):
        fields["function_id"] = first.card.function_id
        fields.update(first.options.fields())
        return pack_with_binaries(fields, "payloads", [item.payload for item in batch])
    fields["tasks"] = [_task(item) for item in batch]
    return pack(fields)


def _task(item: Outgoing) -> Mapping[str, Any]:
    fields: dict[str, Any] = {"function_id": item.card.function_id, "payload": item.payload}
    if item.options is not NO_OPTIONS:
        fields.update(item.options.fields())
    if item.depends_on:
        fields["depends_on"] = item.depends_on
    return fields
