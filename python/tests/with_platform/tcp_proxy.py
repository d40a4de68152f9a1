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
        self._passing = threading.Event()
        self._passing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
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

    def silence(self):
        """Keep connections, and take new ones, but let nothing pass, until `mend`."""
        self._passing.clear()

    def mend(self):
        self._broken = False
        self._passing.set()

    def stop(self):
        self.break_off()
        self._passing.set()
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
                threading.Thread(target=self._pass, args=(client, target), daemon=True).start()
                threading.Thread(target=self._pass, args=(target, client), daemon=True).start()

    def _pass(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._passing.wait()
                target.sendall(data)
        for one in (source, target):
            _shut(one)


def _shut(one):
    # Closing alone would not wake who waits in `recv` or `accept`.
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
