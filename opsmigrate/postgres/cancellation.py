"""How a wait for the server is ended from another thread: by a cancel, or by closing the line."""

import os
import socket
import stat
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from opsmigrate.interrupts import SECONDS_IN_GOOD_ORDER

# After a deadline the lines are closed where the server answers nobody: so often, each so long.
SECONDS_AFTER_DEADLINE = 1.5
TRIES = 3
SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_FOR_AN_ANSWER = 1.0
# PostgreSQL documentation, Message Formats, SSLRequest: any server, and any pooler, answers it.
SSL_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 47))
ACTIVE = 1  # PQTRANS_ACTIVE, in both drivers
# Family and address, as the socket module has them.
Peer = tuple[int, Any]
DESCRIPTORS = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


class Waits:
    """The waits of this process for its database servers, during a run."""

    def __init__(self, there: Iterable[BaseDatabaseWrapper] = ()) -> None:
        """Begin to know of the sessions that are opened; `there` are open already."""
        self._sessions = WeakSet(there)
        known = {_identity(descriptor) for each in there if (descriptor := _descriptor(each))}
        # What the process had before does not belong to opsmigrate.
        self._spared = {_identity(descriptor) for descriptor in _descriptors()} - known
        self._unanswered = 0
        self._given_up = False
        self._next_look = 0.0

    @contextmanager
    def known(self) -> Iterator["Waits"]:
        """Know of each session that the main thread opens in the block."""
        connection_created.connect(self._note)
        try:
            yield self
        finally:
            connection_created.disconnect(self._note)

    def insist(self, seconds: float, heard: bool) -> None:
        """Have waits of the main thread end, so many seconds after it was told to end.

        Where it has not heard of it, it waits in C: what it waits for is cancelled. In the end, or
        where no server answers, every line is closed again and again, also those of connections
        that are being made.
        """
        if not self._given_up:
            self._given_up = seconds > SECONDS_IN_GOOD_ORDER or not self._any_answers()
        if self._given_up:
            close_lines(self._spared)
        elif not heard:
            for session in list(self._sessions):
                cancel(session)

    def end_where_silent(self, seconds: float, heard: bool) -> None:
        """Close every line, so many seconds after a deadline, where the server does not answer.

        A long statement that is let finish goes on where it does.
        """
        if seconds < max(SECONDS_AFTER_DEADLINE, self._next_look):
            return
        if self._any_answers():
            self._unanswered, self._next_look = 0, seconds + SECONDS_BETWEEN_LOOKS
            return
        self._unanswered += 1
        if self._unanswered >= TRIES:
            close_lines(self._spared)

    def _any_answers(self) -> bool:
        """Return whether a server of an open session answers; where there is none, nobody does."""
        peers = {peer for each in list(self._sessions) if (peer := peer_of(each)) is not None}
        return any(answers(peer) for peer in peers)

    def _note(self, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            self._sessions.add(connection)


def cancel(session: BaseDatabaseWrapper) -> None:
    """Cancel the statement that runs on the session, in another thread; never wait for long.

    The drivers' own cancel() waits in C until the server has answered, and psycopg2's keeps every
    other thread of the process from running meanwhile: so nothing is asked of a silent server.
    """
    driver = session.connection
    with suppress(Exception):
        peer = peer_of(session)
        if peer is not None and driver.info.transaction_status == ACTIVE and answers(peer):
            if hasattr(driver, "cancel_safe"):
                driver.cancel_safe(timeout=SECONDS_FOR_AN_ANSWER)
            else:
                driver.cancel()


def peer_of(session: BaseDatabaseWrapper) -> Peer | None:
    """Return where the server of a session is; None where the session is not open."""
    with suppress(Exception), _socket_of(session.connection.fileno()) as line:
        return line.family, line.getpeername()
    return None


def answers(peer: Peer) -> bool:
    """Return whether a server answers a new connection, within a second."""
    family, address = peer
    with suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as line:
        line.settimeout(SECONDS_FOR_AN_ANSWER)
        line.connect(address)
        line.sendall(SSL_REQUEST)
        return bool(line.recv(1))
    return False


def close_line(session: BaseDatabaseWrapper) -> None:
    """End every wait on the session, in whichever thread: it is lost."""
    with suppress(Exception), _socket_of(session.connection.fileno()) as line:
        line.shutdown(socket.SHUT_RDWR)


def close_lines(spared: Iterable[tuple[int, int]]) -> None:
    """End every wait for a server; the sockets in `spared` stay as they are.

    Also those of connections that are just being made, which no driver tells of. Nothing happens
    on Windows, where a process cannot list what it has open.
    """
    spared = set(spared)
    for descriptor in _descriptors():
        with suppress(OSError), _socket_of(descriptor) as line:
            if _identity(line.fileno()) not in spared and _leads_out(line):
                line.shutdown(socket.SHUT_RDWR)


def _leads_out(line: socket.socket) -> bool:
    if line.type != socket.SOCK_STREAM:
        return False
    if line.family in (socket.AF_INET, socket.AF_INET6):
        return not line.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    # libpq's name for the socket of a server (PostgreSQL documentation, unix_socket_directories).
    return ".s.PGSQL." in str(line.getpeername())


@contextmanager
def _socket_of(descriptor: int) -> Iterator[socket.socket]:
    """Yield a socket of our own for what another has open, which may be closed meanwhile."""
    if sys.platform == "win32":
        borrowed = socket.socket(fileno=descriptor)
        try:
            yield borrowed
        finally:
            borrowed.detach()
    else:
        with socket.socket(fileno=os.dup(descriptor)) as own:
            yield own


def _descriptors() -> list[int]:
    if sys.platform == "win32":
        return []
    found = []
    for name in os.listdir(DESCRIPTORS):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                found.append(int(name))
    return found


def _descriptor(session: BaseDatabaseWrapper) -> int | None:
    with suppress(Exception):
        return int(session.connection.fileno())
    return None


def _identity(descriptor: int) -> tuple[int, int]:
    with suppress(OSError):
        status = os.fstat(descriptor)
        return status.st_dev, status.st_ino
    return (0, 0)
