"""A proxy that falls silent: it keeps every connection, and passes nothing on from then on."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from contextlib import suppress

CHUNK = 65_536


class Proxy:
    """Between a command and a server; silent from the moment that a client says `words`.

    That is what a firewall does which forgot us, and a server that hangs. Connections are still
    accepted then, and never answered. Without words it is silent from the start.
    """

    def __init__(self, host: str, port: int, words: str | None) -> None:
        self.silent = threading.Event()
        if words is None:
            self.silent.set()
        self._words = (words or "").encode()
        self._target = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._over = threading.Event()
        self._resetting = threading.Event()
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._pass_on)

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._listening.getsockname()[1])

    @property
    def connections(self) -> int:
        """How many sockets it has, or had: two for each connection that it passes on."""
        return len(self._open)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._over.set()
        self._thread.join()
        for each in [*self._open, self._listening]:
            each.close()
        self._selector.close()

    def reset(self) -> None:
        """End every connection with a reset, as a dying host does; new ones are passed on."""
        self._resetting.set()
        while self._resetting.is_set():
            time.sleep(0.01)

    def _reset(self) -> None:
        for each in self._open:
            if each.fileno() in self._selector.get_map():
                self._selector.unregister(each)
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            each.close()
        self._open.clear()
        self._resetting.clear()

    def _pass_on(self) -> None:
        while not self._over.is_set():
            if self._resetting.is_set():
                self._reset()
            for key, _ in self._selector.select(0.05):
                if key.fileobj is self._listening:
                    self._accept()
                elif not self.silent.is_set():
                    source, sink, is_client = key.data
                    self._pass(source, sink, is_client)
                else:
                    self._selector.unregister(key.fileobj)

    def _accept(self) -> None:
        client = self._listening.accept()[0]
        self._open.append(client)
        if not self.silent.is_set():
            server = socket.create_connection(self._target)
            self._open.append(server)
            self._selector.register(client, selectors.EVENT_READ, (client, server, True))
            self._selector.register(server, selectors.EVENT_READ, (server, client, False))

    def _pass(self, source: socket.socket, sink: socket.socket, is_client: bool) -> None:
        data = b""
        with suppress(OSError):
            data = source.recv(CHUNK)
        if is_client and self._words in data:
            self.silent.set()
            return
        with suppress(OSError):
            if data:
                sink.sendall(data)
                return
            sink.shutdown(socket.SHUT_WR)
        self._selector.unregister(source)
