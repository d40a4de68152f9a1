"""One group of an executor's tasks: the thread that reads its results, and the futures that wait for them.

Results are matched with futures by task id. One that overtakes the answer to its own submission waits in `_early`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .errors import NotFound, PlatformError
from .futures import TaskFuture
from .outbox import Outgoing
from .packing import Result
from .stream import GroupStream
from .transport import Transport

Settle = Callable[[TaskFuture[Any], Result], None]


class TaskGroup:
    """A group and the futures that wait for its results.

    reading -> failed (`fail`: its futures have the error) -> reading, when a submission that was under way gets through.
    """

    def __init__(self, transport: Transport, group_id: str, settle: Settle) -> None:
        self.group_id = group_id
        self.sent = 0
        self.failed = False
        self._error: BaseException | None = None
        self.full = False
        self._transport = transport
        self._settle = settle
        self._pending: dict[str, TaskFuture[Any]] = {}
        self._early: dict[str, Result] = {}
        # Tasks whose results may come, and nobody waits for them any more.
        self._given_up: set[str] = set()
        self._lock = threading.Lock()
        self.stream = GroupStream(transport, group_id, follow=True)
        self.thread = self._new_thread()

    def _new_thread(self) -> threading.Thread:
        name = f"mpcsfaas-results-{self.group_id[:8]}"
        return threading.Thread(target=self._read, name=name, daemon=True)

    def expect(self, batch: list[Outgoing], task_ids: list[str]) -> None:
        """Match futures with the ids they got; `start` then, also where results were given up in the meantime."""
        overtook: list[tuple[TaskFuture[Any], Result]] = []
        with self._lock:
            if self.failed:
                # Reading goes on where it was, unless the platform had forgotten the group and begins it anew.
                if isinstance(self._error, NotFound):
                    self.stream = GroupStream(self._transport, self.group_id, follow=True)
                self.thread = self._new_thread()
                self.failed = False
            for item, task_id in zip(batch, task_ids):
                item.future.task_id = task_id
                result = self._early.pop(task_id, None) if self._early else None
                if result is None:
                    self._pending[task_id] = item.future
                else:
                    overtook.append((item.future, result))
        for future, result in overtook:
            self._settle(future, result)

    def start(self) -> None:
        """Begin to read results; the group must exist by now."""
        if self.thread.ident is None:
            try:
                self.thread.start()
            except RuntimeError as error:
                # No more threads can be had, or the program is ending.
                self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Give up: no result will come any more."""
        with self._lock:
            self.failed = True
            self._error = error
            pending = list(self._pending.values())
            self._given_up.update(self._pending)
            self._pending.clear()
        for future in pending:
            future.settle(None, error)

    def running(self) -> list[TaskFuture[Any]]:
        """Return the futures that wait."""
        with self._lock:
            return list(self._pending.values())

    def _read(self) -> None:
        try:
            for results in self.stream.batches():
                self._take(results)
            # The executor has closed it, with nothing pending then; or somebody else, and tasks may still be added.
            self.fail(PlatformError(f"group {self.group_id} was closed while tasks were added to it"))
        except BaseException as error:
            self.fail(error)

    def _take(self, results: list[Result]) -> None:
        settled: list[tuple[TaskFuture[Any], Result]] = []
        with self._lock:
            for result in results:
                future = self._pending.pop(result.task_id, None)
                if future is not None:
                    settled.append((future, result))
                elif result.task_id in self._given_up:
                    self._given_up.remove(result.task_id)
                else:
                    self._early[result.task_id] = result
        for future, result in settled:
            self._settle(future, result)
