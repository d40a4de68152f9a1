"""Requests to the API over kept connections, repeated while it cannot be reached."""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.util import Timeout

from .errors import PlatformUnreachable, refusal

DEFAULT_URL: Final = "http://127.0.0.1:8000"
URL_VARIABLE: Final = "MPCSFAAS_URL"
KEY_VARIABLE: Final = "MPCSFAAS_API_KEY"
JSON_TYPE: Final = "application/json"
MSGPACK_TYPE: Final = "application/x-msgpack"

_log = logging.getLogger("mpcsfaas")

_CONNECT_S: Final = 5.0
_READ_S: Final = 60.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_CONNECTIONS: Final = 16
# A pause that the API asks for is worth a word from this length on; it never asks for more than so much.
_SAY_FROM_S: Final = 2.0
_LONGEST_ASKED_S: Final = 60.0
# As they are, these would lead to another path.
_DOTS: Final = {".": "%2E", "..": "%2E%2E"}
# Asked again: the API is starting, stopping, or cannot reach Redis.
_PASSING: Final = frozenset({429, 502, 503, 504})


def path(*parts: str) -> str:
    """Return a path of words, ids and names, whatever is in them: a name cannot lead to another path."""
    return "".join("/" + _DOTS.get(part, quote(str(part), safe="")) for part in parts)


class Transport:
    """One platform's API; may be used by many threads.

    `timeout`: for how many seconds an API that does not answer is asked again until `PlatformUnreachable` is raised.
    `api_key`: default the variable MPCSFAAS_API_KEY, or none. Raises ValueError for what cannot be one.
    """

    def __init__(self, url: str | None = None, timeout: float = 60.0, api_key: str | None = None) -> None:
        self.url = (url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).rstrip("/")
        self.timeout = timeout
        self._identity = _identity(api_key or os.environ.get(KEY_VARIABLE) or "")
        self._pool = urllib3.PoolManager(maxsize=_CONNECTIONS, retries=False)

    def __reduce__(self) -> Any:
        # What a function refers to goes to a worker: the key stays here.
        return (type(self), (self.url, self.timeout))

    def close(self) -> None:
        """Close the connections that no request uses."""
        self._pool.clear()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        read_s: float = _READ_S,
        repeat: bool = True,
    ) -> Any:
        """Send JSON and return the JSON of the answer.

        `repeat`: whether a request that may have been carried out can be sent again. Raises RequestRefused, PlatformUnreachable.
        """
        asked = {
            key: ("true" if value is True else value)
            for key, value in (query or {}).items()
            if value is not None
        }
        target = f"{path}?{urlencode(asked)}" if asked else path
        headers = {"accept": JSON_TYPE}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["content-type"] = JSON_TYPE
        return json.loads(self.send(method, target, data, headers, read_s=read_s, repeat=repeat))

    def send(
        self,
        method: str,
        target: str,
        data: bytes | None,
        headers: Mapping[str, str],
        *,
        read_s: float = _READ_S,
        repeat: bool = True,
    ) -> bytes:
        """Send a request until it is answered; return the body of the answer."""
        patience = Patience(self.timeout)
        patience.begin()
        while True:
            try:
                response = self._pool.request(
                    method,
                    self.url + target,
                    body=data,
                    headers={**self._identity, **headers},
                    timeout=Timeout(connect=_CONNECT_S, read=read_s),
                )
            except HTTPError as error:
                if not repeat and not isinstance(error, (NewConnectionError, ConnectTimeoutError)):
                    raise PlatformUnreachable(
                        f"{method} {self.url}{target} was not answered: {error}"
                    ) from error
                patience.wait(f"{self.url} cannot be reached: {error}", error)
                continue
            if response.status == 200:
                return bytes(response.data)
            refused = refusal(response.status, _answer(response.data))
            if response.status not in _PASSING:
                raise refused
            patience.wait(f"{self.url} answers {response.status}: {refused}", refused, _retry_after(response))

    def open(self, method: str, target: str, body: Any, accept: str, read_s: float) -> Any:
        """Send a request and return the response, a `urllib3` one, unread, for `stream`. Tried once.

        Raises RequestRefused, or PlatformUnreachable when the API cannot be reached or cannot serve now.
        """
        try:
            response = self._pool.request(
                method,
                self.url + target,
                body=None if body is None else json.dumps(body).encode(),
                headers={
                    **self._identity,
                    "accept": accept,
                    **({} if body is None else {"content-type": JSON_TYPE}),
                },
                timeout=Timeout(connect=_CONNECT_S, read=read_s),
                preload_content=False,
            )
            if response.status == 200:
                return response
            refused = refusal(response.status, _answer(response.read()))
        except HTTPError as error:
            raise PlatformUnreachable(f"{self.url} cannot be reached: {error}") from error
        if refused.status in _PASSING:
            raise PlatformUnreachable(f"{self.url} answers {refused.status}: {refused}") from refused
        raise refused


class Patience:
    """Pauses between attempts, growing, until the time is over, which counts from the first failure or from `begin`.

    `forgive` begins anew.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._until: float | None = None
        self.forgive()

    def begin(self) -> float:
        """Count from now on, unless it counts already: where a request itself can be long in failing. Returns when it is over."""
        if self._until is None:
            self._until = time.monotonic() + self._timeout
        return self._until

    def forgive(self) -> None:
        """Something went well; however long ago that is when something fails, the whole time is left then."""
        self._until = None
        self._said = False
        self._pause_s = _FIRST_PAUSE_S

    def wait(self, why: str, cause: BaseException, asked_s: float = 0.0) -> None:
        """Pause, as long as the API has asked for or longer; raises PlatformUnreachable when the time is over.

        A pause that the API asked for is said once, since people would wonder at the silence.
        """
        left_s = self.begin() - time.monotonic()
        if left_s <= 0:
            raise PlatformUnreachable(f"{why} (tried for {self._timeout:g} s)") from cause
        if asked_s >= _SAY_FROM_S and not self._said:
            _log.warning("%s; trying again for up to %g s", why, left_s)
            self._said = True
        pause_s = max(asked_s, self._pause_s * random.uniform(0.5, 1.0))
        time.sleep(min(pause_s, left_s))
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)


def _identity(key: str) -> Mapping[str, str]:
    key = key.strip()
    if not key:
        return {}
    if not key.isascii() or not key.isprintable() or " " in key:
        # Not repeated here: it may be a key with something beside it.
        raise ValueError(
            f"the API key (api_key, {KEY_VARIABLE}) must be one word such as mpcs_..., of ASCII letters"
        )
    return {"authorization": f"Bearer {key}"}


def _retry_after(response: Any) -> float:
    """Seconds to wait that the answer asks for, 0 for none."""
    try:
        return min(max(float(response.headers.get("retry-after", "0")), 0.0), _LONGEST_ASKED_S)
    except ValueError:
        return 0.0


def _answer(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data[:500].decode("utf-8", "replace")
