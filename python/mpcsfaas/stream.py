"""Reads the results of a group as they come, over one connection that is opened again whenever it breaks."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from urllib3.exceptions import HTTPError

from .errors import PlatformUnreachable
from .packing import Result, is_array, unpack, unpack_results
from .transport import Patience, Transport, path

STREAM_TYPE: Final = "application/x-msgpack-stream"
# The API says something every 10 s.
_SILENCE_S: Final = 30.0
_CHUNK_BYTES: Final = 1 << 18
_LENGTH = struct.Struct("<I")


class Seen:
    """Places in a group whose results have come: all below `_floor`, and some above."""

    def __init__(self) -> None:
        self._floor = 0
        self._above: set[int] = set()

    def add(self, index: int) -> bool:
        """Note a place; tell whether it is new."""
        if index == self._floor:
            self._floor += 1
            above = self._above
            while above and self._floor in above:
                above.remove(self._floor)
                self._floor += 1
            return True
        if index < self._floor or index in self._above:
            return False
        self._above.add(index)
        return True

    def ranges(self) -> str:
        """Return them as the API wants them, such as `0-499,502`."""
        found = [[0, self._floor - 1]] if self._floor else []
        for index in sorted(self._above):
            if found and found[-1][1] == index - 1:
                found[-1][1] = index
            else:
                found.append([index, index])
        return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in found)


class GroupStream:
    """The results of one group, each once, however often the connection breaks.

    `follow`: stay for tasks that are added later, until the group is closed. `end`: why the last reading ended, such as
    `complete` or `wait`.
    """

    def __init__(self, transport: Transport, group_id: str, *, follow: bool) -> None:
        self.cursor = Seen()
        self._transport = transport
        self._path = path("groups", group_id, "results")
        self._follow = follow
        self._response: Any = None
        self._closed = False
        self.end: str | None = None

    def batches(self, wait: float | None = None) -> Iterator[list[Result]]:
        """Yield results as they come; ends when there will be no more, or after `wait` seconds of this call.

        Raises PlatformUnreachable when the connection cannot be made again in time, RequestRefused when there is no such group.
        """
        patience = Patience(self._transport.timeout)
        until = None if wait is None else time.monotonic() + wait
        while not self._closed:
            try:
                self._response = self._open(None if until is None else max(0.0, until - time.monotonic()))
                for frame in _frames(self._response.stream(_CHUNK_BYTES)):
                    patience.forgive()
                    if is_array(frame):
                        yield [one for one in unpack_results(frame) if self.cursor.add(one.place)]
                        continue
                    told, _ = unpack(frame)
                    self.end = told.get("end", {}).get("reason")
                    if self.end in ("complete", "wait"):
                        return
                raise PlatformUnreachable("the stream of results broke off")
            except (HTTPError, OSError, PlatformUnreachable) as error:
                if self._closed:
                    return
                patience.wait(f"no results from {self._transport.url}: {error}", error)
            finally:
                self._release()

    def close(self) -> None:
        """End it, from another thread too."""
        self._closed = True
        self._release()

    def _open(self, wait: float | None) -> Any:
        body: dict[str, Any] = {"format": "msgpack", "follow": self._follow}
        have = self.cursor.ranges()
        if have:
            body["have"] = have
        if wait is not None:
            body["wait"] = wait
        return self._transport.open("POST", self._path, body, STREAM_TYPE, _SILENCE_S)

    def _release(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.close()


_REQUEST_TASKS: Final = 10_000
_LONGEST_WAIT_S: Final = 60.0


def read_results(transport: Transport, task_ids: Sequence[str], timeout: float | None) -> Iterator[Result]:
    """Yield the results of any tasks as they end, each once, its `place` being the place among the ids.

    Raises TimeoutError when some have not ended in time, PlatformUnreachable.
    """
    until = None if timeout is None else time.monotonic() + timeout
    left = dict(enumerate(task_ids))
    patience = Patience(transport.timeout)
    while left:
        wait = _LONGEST_WAIT_S if until is None else min(_LONGEST_WAIT_S, max(0.0, until - time.monotonic()))
        places = list(left)[:_REQUEST_TASKS]
        body = {"task_ids": [left[place] for place in places], "wait": wait}
        try:
            response = transport.open("POST", "/results", body, STREAM_TYPE, wait + _SILENCE_S)
            try:
                for frame in _frames(response.stream(_CHUNK_BYTES)):
                    patience.forgive()
                    for one in unpack_results(frame) if is_array(frame) else ():
                        place = places[one.place]
                        if left.pop(place, None) is not None:
                            yield one._replace(place=place)
            finally:
                response.close()
        except (HTTPError, OSError, PlatformUnreachable) as error:
            patience.wait(f"no results from {transport.url}: {error}", error)
        if left and until is not None and time.monotonic() >= until:
            raise TimeoutError(f"{len(left)} of {len(task_ids)} tasks have not ended within {timeout:g} s")


def _frames(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    parts: list[bytes] = []
    missing = 0
    for chunk in chunks:
        if missing > len(chunk):
            # In the midst of a large frame: gathered, so that it is not copied again for every chunk of it.
            parts.append(chunk)
            missing -= len(chunk)
            continue
        data = b"".join([rest, *parts, chunk])
        parts = []
        at = 0
        while len(data) - at >= 4:
            (length,) = _LENGTH.unpack_from(data, at)
            if len(data) - at - 4 < length:
                break
            yield data[at + 4 : at + 4 + length]
            at += 4 + length
        rest = data[at:]
        missing = 4 + _LENGTH.unpack_from(rest)[0] - len(rest) if len(rest) >= 4 else 0
