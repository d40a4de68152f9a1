"""What stands behind an executor: a thread that sends batches, one that reads the results of each group, one that cancels.

A group takes so many tasks, then the next one begins; the stream of each ends when its tasks have.
"""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
import weakref
from collections.abc import Mapping
from typing import Any, Final

from . import errors, outcomes
from .futures import TaskFuture, is_current
from .outbox import Outbox, Outgoing, request_body, resolve_references
from .packing import Result
from .registry import Registry, Wrap
from .task_group import TaskGroup
from .transport import JSON_TYPE, MSGPACK_TYPE, Transport

# Beyond, the API suggests a new group.
_GROUP_TASKS: Final = 50_000
# As many as one request may name.
CANCEL_BATCH: Final = 1_000
# A thread with nothing to do ends after so long, and starts again when needed.
_IDLE_S: Final = 10.0
# A refusal with one of these codes can be the fault of a single task of the batch.
_OF_ONE_TASK: Final = frozenset(
    {"PAYLOAD_NOT_PICKLE", "PAYLOAD_NOT_BASE64", "BODY_TOO_LARGE", "TASK_UNKNOWN", "VALIDATION_FAILED"}
)


class Core:
    """The threads and queues of one executor and its views."""

    def __init__(self, transport: Transport, wrap: Wrap | None = None) -> None:
        self.transport = transport
        self.registry = Registry(wrap)
        self.outbox = Outbox()
        self.group_ids = [str(uuid.uuid4())]
        # Those not closed yet, to the last of which tasks are added; and all whose results are still to come.
        self._open_groups: list[TaskGroup] = []
        self._reading: list[TaskGroup] = []
        self._sent = threading.Condition()
        self._start_lock = threading.Lock()
        self._sender: threading.Thread | None = None
        self._to_cancel: list[TaskFuture[Any]] = []
        self._cancelling = threading.Condition()
        self._canceller: threading.Thread | None = None
        _cores.add(self)

    # What futures ask for.

    def cancel(self, future: TaskFuture[Any]) -> None:
        """Have the task stopped, in the background; one that is not sent yet is left out when its turn comes."""
        with self._cancelling:
            self._to_cancel.append(future)
            if self._canceller is None:
                self._canceller = threading.Thread(
                    target=self._cancel_all, name="mpcsfaas-cancel", daemon=True
                )
                self._canceller.start()
            self._cancelling.notify()

    def status(self, task_id: str) -> str:
        """Return the task's status."""
        return str(self.transport.call("GET", f"/status/{task_id}")["status"])

    def task(self, task_id: str) -> Mapping[str, Any]:
        """Return the task's story."""
        story: Mapping[str, Any] = self.transport.call("GET", f"/tasks/{task_id}")
        return story

    def wait_for_id(self, future: TaskFuture[Any]) -> str | None:
        """Wait until the task has an id, as long as the platform may be away; None when it will never have one."""
        with self._sent:
            self._sent.wait_for(
                lambda: future.task_id is not None or future.done(), timeout=self.transport.timeout
            )
        return future.task_id

    # The way out.

    def submit(self, item: Outgoing, waits: bool = True) -> None:
        """Queue a task, waiting for room. Raises RuntimeError after shutdown."""
        if self._sender is None:
            self._start()
        self.outbox.add(item, waits)

    def _start(self) -> None:
        with self._start_lock:
            if self._sender is None and not self.outbox.closed:
                self._sender = threading.Thread(target=self._send_all, name="mpcsfaas-send", daemon=True)
                self.outbox.sender = self._sender
                self._sender.start()

    def _send_all(self) -> None:
        # Nothing of a batch may stay in a variable here while the next one is waited for.
        while self._send_next():
            pass
        for group in self._open_groups:
            self._close(group)

    def _send_next(self) -> bool:
        batch = self.outbox.take()
        self._send_in_order(batch)
        return bool(batch) or not self.outbox.closed

    def _send_in_order(self, batch: list[Outgoing]) -> None:
        """Send a batch, in parts where a task refers to one before it, which needs an id first."""
        ready: list[Outgoing] = []
        for item in batch:
            try:
                if ready and not resolve_references(item, waits=False):
                    self._try_to_send(ready)
                    ready = []
                resolve_references(item, waits=True)
            except BaseException as error:
                item.future.settle(None, error)
            else:
                ready.append(item)
        self._try_to_send(ready)

    def _try_to_send(self, batch: list[Outgoing]) -> None:
        try:
            if batch:
                self._send(batch)
        except BaseException as error:
            for item in batch:
                if item.future.task_id is None:
                    item.future.settle(None, error)
        with self._sent:
            self._sent.notify_all()

    def _send(self, batch: list[Outgoing]) -> None:
        cards = {id(item.card): item.card for item in batch}
        for card in cards.values():
            card.register(self.transport)
        group = self._group_with_room()
        headers = {"content-type": MSGPACK_TYPE, "accept": JSON_TYPE, "idempotency-key": str(uuid.uuid4())}
        try:
            answer = self.transport.send("POST", "/tasks", request_body(batch, group.group_id), headers)
        except errors.RequestRefused as refused:
            self._resend(batch, refused)
            return
        except errors.PlatformUnreachable:
            # Nobody knows whether they were taken; their results would be nobody's.
            group.full = True
            raise
        group.sent += len(batch)
        group.expect(batch, json.loads(answer)["task_ids"])
        group.start()
        for card in cards.values():
            card.known()
        for item in batch:
            if item.future.cancelled():
                self.cancel(item.future)

    def _resend(self, batch: list[Outgoing], refused: errors.RequestRefused) -> None:
        if refused.code == "FUNCTION_UNKNOWN":
            # The platform has lost its memory since. Once: those that it has just registered it knows.
            forgotten = [item.card for item in batch if item.card.function_id is not None]
            if any(card.forget() for card in forgotten):
                self._send(batch)
                return
        if len(batch) > 1 and refused.code in _OF_ONE_TASK or _is_mixed(batch):
            # One of them is wrong, and a request with anything wrong in it submits none.
            middle = len(batch) // 2
            self._try_to_send(batch[:middle])
            self._try_to_send(batch[middle:])
            return
        raise refused

    def _group_with_room(self) -> TaskGroup:
        group = self._open_groups[-1] if self._open_groups else None
        if group is not None and not (group.failed or group.full or group.sent >= _GROUP_TASKS):
            return group
        if group is not None:
            self.group_ids.append(str(uuid.uuid4()))
            if not group.full:
                self._open_groups.remove(group)
                self._close(group)
        group = TaskGroup(self.transport, self.group_ids[-1], self.settle)
        self._open_groups.append(group)
        self._reading = [*self._living_groups(), group]
        return group

    def _living_groups(self) -> list[TaskGroup]:
        return [group for group in self._reading if group.thread.ident is None or group.thread.is_alive()]

    def _close(self, group: TaskGroup) -> None:
        try:
            if group.sent and not group.failed:
                self.transport.call("POST", f"/groups/{group.group_id}/close")
        except errors.PlatformError as error:
            group.fail(error)
            group.stream.close()

    # The way back.

    def settle(self, future: TaskFuture[Any], result: Result) -> None:
        """Give a future what its task has come to."""
        if result.status == "CANCELLED":
            future.cancelled_elsewhere()
            return
        if not future.done():
            future.settle(
                *outcomes.outcome(result.status, result.payload, result.failure, result.task_id, self.task)
            )

    def _cancel_all(self) -> None:
        while True:
            with self._cancelling:
                if not self._cancelling.wait_for(lambda: self._to_cancel, timeout=_IDLE_S):
                    self._canceller = None
                    return
                futures, self._to_cancel = self._to_cancel[:CANCEL_BATCH], self._to_cancel[CANCEL_BATCH:]
            # Those without an id are told again when they have one.
            task_ids = [future.task_id for future in futures if future.task_id is not None]
            # When the platform is away for too long their futures are cancelled all the same.
            with contextlib.suppress(errors.PlatformError):
                if task_ids:
                    self.transport.call("POST", "/tasks/cancel", {"task_ids": task_ids})

    # The end.

    def cancel_waiting(self) -> None:
        """Cancel what has not begun to run."""
        for item in self.outbox.withdraw():
            item.future.cancel()
        futures = {
            future.task_id or "": future for group in self._living_groups() for future in group.running()
        }
        task_ids = list(futures)
        for start in range(0, len(task_ids), CANCEL_BATCH):
            body = {"task_ids": task_ids[start : start + CANCEL_BATCH]}
            for one in self.transport.call("POST", "/results", body)["results"]:
                if one["status"] == "QUEUED":
                    futures[one["task_id"]].cancel()

    def shutdown(self, wait: bool) -> None:
        """Take no more tasks; with `wait`, return when all have ended."""
        self.outbox.close()
        if not wait:
            return
        sender = self._sender
        if sender is not None and not is_current(sender):
            sender.join()
        for group in self._living_groups():
            if group.thread.ident is not None and not is_current(group.thread):
                group.thread.join()
        self.transport.close()


def _is_mixed(batch: list[Outgoing]) -> bool:
    first = batch[0]
    return any(item.card is not first.card or item.options is not first.options for item in batch)


_cores: weakref.WeakSet[Core] = weakref.WeakSet()


def _wait_at_exit() -> None:
    """As the standard executors do: a program's end waits for its tasks."""
    for core in list(_cores):
        core.shutdown(wait=True)


# Before `atexit` and before threads can no longer be started, which only this hook of the standard executors offers.
getattr(threading, "_register_atexit", __import__("atexit").register)(_wait_at_exit)
