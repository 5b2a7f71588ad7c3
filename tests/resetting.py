"""A way to a server that can be cut while something runs over it, as a network does."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Way:
    """A relay on 127.0.0.1; `reset()` cuts what runs over it, and lets nobody in any more."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._cuts: list[threading.Event] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError), self._listening:
            while True:
                client, _ = self._listening.accept()
                pair = (client, socket.create_connection(self._target))
                cut = threading.Event()
                self._cuts.append(cut)
                threading.Thread(target=_both_ways, args=(pair, cut), daemon=True).start()

    def reset(self, *, for_good: bool) -> None:
        """Send a RST to both ends of every connection; `for_good`: and take no new one."""
        if for_good:
            # A close() would not wake who waits in it.
            with suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
        while self._cuts:
            self._cuts.pop().set()


def _both_ways(pair: tuple[socket.socket, socket.socket], cut: threading.Event) -> None:
    for each in pair:
        each.settimeout(0.1)
    back = threading.Thread(target=_relay, args=(*pair[::-1], cut), daemon=True)
    back.start()
    _relay(*pair, cut)
    back.join()
    for each in pair:
        if cut.is_set():
            # A socket that lingers for no time is closed by a RST; nobody waits in it any more.
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        each.close()


def _relay(one: socket.socket, other: socket.socket, cut: threading.Event) -> None:
    with suppress(OSError):
        while not cut.is_set():
            with suppress(TimeoutError):
                piece = one.recv(65536)
                if not piece:
                    break
                other.sendall(piece)
    with suppress(OSError):
        if not cut.is_set():
            other.shutdown(socket.SHUT_WR)


@contextmanager
def way_to(host: str, port: int) -> Iterator[Way]:
    """Have a way to a server."""
    way = Way(host, port)
    try:
        yield way
    finally:
        way.reset(for_good=True)
