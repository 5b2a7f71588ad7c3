"""An address that leads to one server for some sessions, and then to another."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Switching:
    """A port of this machine that leads to the first server for some sessions, then on."""

    first: tuple[str, int]
    then: tuple[str, int]
    sessions: int | None = None
    opened: int = 0
    ways: list[socket.socket] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        """Return where it listens."""
        return int(self.listening.getsockname()[1])

    def serve(self) -> None:
        """Lead each session on, until the socket is shut down."""
        with suppress(OSError):
            while True:
                client, _ = self.listening.accept()
                to = self.first if self.opened < (self.sessions or 1000) else self.then
                self.opened += 1
                server = socket.create_connection(to)
                self.ways += [client, server]
                for one, other in ((client, server), (server, client)):
                    thread = threading.Thread(target=forward, args=(one, other))
                    thread.start()
                    self.threads.append(thread)

    def close(self) -> None:
        """End everything that goes through it; it must no longer serve."""
        for each in self.ways:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for each in self.ways:
            each.close()


def forward(one: socket.socket, other: socket.socket) -> None:
    """Hand on what one says, until it ends."""
    with suppress(OSError):
        while said := one.recv(65536):
            other.sendall(said)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


@contextmanager
def switching(first: tuple[str, int], then: tuple[str, int]) -> Iterator[Switching]:
    """Have such a port."""
    address = Switching(first, then)
    thread = threading.Thread(target=address.serve)
    thread.start()
    try:
        yield address
    finally:
        address.listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        address.listening.close()
        address.close()
