"""One kept connection: requests in one piece, and of an answer no more than is needed, so that the client's share is small."""

import socket
from urllib.parse import urlsplit

TIMEOUT_S = 60
READ_BYTES = 256 * 1024
# What is larger costs more to copy than to send by itself.
IN_ONE_PIECE = 64 * 1024


class Line:
    """Speaks HTTP/1.1 to a server that says how long its answers are. Any error leaves it closed; the next request opens it."""

    def __init__(self, url):
        place = urlsplit(url)
        self.host, self.port = place.hostname, place.port
        self.socket = None
        self.answers = None

    def request(self, method, path, body=b"", content_type=""):
        """Return the status and the body of the answer."""
        if self.socket is None:
            self.socket = socket.create_connection((self.host, self.port), TIMEOUT_S)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.answers = self.socket.makefile("rb", READ_BYTES)
        kind = f"content-type: {content_type}\r\n" if content_type else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: {self.host}\r\n{kind}content-length: {len(body)}\r\n\r\n"
        try:
            if len(body) <= IN_ONE_PIECE:
                self.socket.sendall(head.encode() + body)
            else:
                self.socket.sendall(head.encode())
                self.socket.sendall(body)
            return self.answer()
        except BaseException:
            self.close()
            raise

    def answer(self):
        first = self.answers.readline()
        if not first:
            raise ConnectionError("the server has hung up")
        length, goes_on = None, True
        while (line := self.answers.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif name.lower() == b"connection":
                goes_on = value.strip().lower() != b"close"
        if length is None:
            raise ConnectionError(f"an answer without length: {first!r}")
        body = self.answers.read(length)
        if not goes_on:
            self.close()
        return int(first.split(b" ", 2)[1]), body

    def close(self):
        """Let go of the connection."""
        if self.socket is not None:
            self.answers.close()
            self.socket.close()
            self.socket = self.answers = None
