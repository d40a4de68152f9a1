"""A way to the platform that can be broken at will."""

import contextlib
import os
import socket
import threading
from urllib.parse import urlsplit


class TcpProxy:
    """Listens at `url` and passes bytes on to the platform at MPCSFAAS_URL."""

    def __init__(self):
        to = urlsplit(os.environ["MPCSFAAS_URL"])
        self._to = (to.hostname, to.port)
        self._lock = threading.Lock()
        self._sockets = set()
        self._broken = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        # What has gone to the platform, for tests to look for.
        self.requests = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Break all connections; new ones can be made at once."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for one in sockets:
            _shut(one)

    def break_off(self):
        """Break all connections, and new ones at once, until `mend`."""
        self._broken = True
        self.cut()

    def mend(self):
        self._broken = False

    def stop(self):
        self.break_off()
        _shut(self._listener)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._broken:
                    client.close()
                    continue
                target = socket.create_connection(self._to)
                with self._lock:
                    self._sockets |= {client, target}
                threading.Thread(target=self._pass, args=(client, target, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(target, client, False), daemon=True).start()

    def _pass(self, source, target, is_request):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_request:
                    self.requests += data
                target.sendall(data)
        for one in (source, target):
            _shut(one)


def _shut(one):
    # Closing alone would not wake who waits in `recv` or `accept`.
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
