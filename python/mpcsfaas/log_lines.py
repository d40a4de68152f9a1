"""What a task prints, followed as it comes, over one connection that is opened again whenever it ends before the task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from urllib3.exceptions import HTTPError

from .errors import PlatformUnreachable
from .transport import Patience, Transport, path

_NDJSON: Final = "application/x-ndjson"
# The API says something every 10 s.
_SILENCE_S: Final = 30.0
_CHUNK_BYTES: Final = 1 << 16
_FINAL: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


class LogLine(NamedTuple):
    """What a task printed: when (ISO text), on stdout or stderr, and the text, with its line end where it had one."""

    at: str
    stream: str
    text: str


def log_line(told: Mapping[str, Any]) -> LogLine:
    """Return a line as the API tells it."""
    return LogLine(str(told["at"]), str(told["stream"]), str(told["text"]))


class Given:
    """How much of an attempt's output has been given on. The API tells all of it again over every new connection."""

    def __init__(self) -> None:
        self._attempt = 0
        # Characters of each stream, rather than lines: what was half a line then may be a whole one now.
        self._given: dict[str, int] = {}
        self._told: dict[str, int] = {}

    def begin(self) -> None:
        """Expect all of it again."""
        self._told = {}

    def new(self, told: Mapping[str, Any]) -> LogLine | None:
        """Return what is new of a line, None when nothing is. A later attempt begins anew."""
        attempt = int(told.get("attempt", self._attempt))
        if attempt < self._attempt:
            return None
        if attempt > self._attempt:
            self._attempt = attempt
            self._given = {}
            self._told = {}
        line = log_line(told)
        start = self._told.get(line.stream, 0)
        end = start + len(line.text)
        self._told[line.stream] = end
        given = self._given.get(line.stream, 0)
        if end <= given:
            return None
        self._given[line.stream] = end
        return line._replace(text=line.text[max(0, given - start) :])


def is_whole(end: Mapping[str, Any]) -> bool:
    """Tell whether everything came before this end.

    An API that stops may know that the task has ended, and leave the rest of its lines to another one.
    """
    return end.get("reason", "complete") == "complete" and end["status"] in _FINAL


def follow(transport: Transport, task_id: str) -> Iterator[LogLine]:
    """Yield what a task prints, from its beginning, until it has ended.

    Raises PlatformUnreachable when the connection cannot be made again in time, NotFound.
    """
    target = path("tasks", task_id, "logs") + "?follow=1"
    patience = Patience(transport.timeout)
    given = Given()
    while True:
        given.begin()
        try:
            response = transport.open("GET", target, None, _NDJSON, _SILENCE_S)
            try:
                for told in _objects(response.stream(_CHUNK_BYTES)):
                    if told is None:
                        patience.forgive()
                    elif "end" in told:
                        if is_whole(told):
                            return
                        break
                    elif "text" in told:
                        line = given.new(told)
                        if line is not None:
                            patience.forgive()
                            yield line
            finally:
                response.close()
            raise PlatformUnreachable("the stream of lines ended before the task")
        except (HTTPError, OSError, PlatformUnreachable) as error:
            patience.wait(f"no output of task {task_id} from {transport.url}: {error}", error)


def _objects(chunks: Iterable[bytes]) -> Iterator[Mapping[str, Any] | None]:
    """Yield the objects of lines of JSON; None for an empty line, a sign of life."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line) if line else None
