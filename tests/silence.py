"""A proxy that falls silent: it keeps every connection, and passes nothing on from then on."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 65_536


class Proxy:
    """Between a command and a server; `silence()` is what a firewall does that forgot us."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._silent, self._over = threading.Event(), threading.Event()
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._pass_on)

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._listening.getsockname()[1])

    @property
    def connections(self) -> int:
        """How many have come so far."""
        return len(self._open)

    def silence(self) -> None:
        """Pass nothing on from here on; connections are still accepted, and never answered."""
        self._silent.set()

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._over.set()
        self._thread.join()
        for each in [*self._open, self._listening]:
            each.close()
        self._selector.close()

    def _pass_on(self) -> None:
        while not self._over.is_set():
            for key, _ in self._selector.select(0.05):
                if key.fileobj is self._listening:
                    self._accept()
                elif self._silent.is_set():
                    self._selector.unregister(key.fileobj)
                else:
                    self._pass(key.fileobj, key.data)  # type: ignore[arg-type]

    def _accept(self) -> None:
        client = self._listening.accept()[0]
        self._open.append(client)
        if not self._silent.is_set():
            server = socket.create_connection(self._target)
            self._open.append(server)
            self._selector.register(client, selectors.EVENT_READ, server)
            self._selector.register(server, selectors.EVENT_READ, client)

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            data = source.recv(CHUNK)
            if data:
                sink.sendall(data)
                return
        except OSError:
            pass
        self._selector.unregister(source)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def proxied(host: str, port: int) -> Iterator[Proxy]:
    """Have a proxy before the server."""
    with Proxy((host, port)) as proxy:
        yield proxy
