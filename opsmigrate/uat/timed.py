"""HTTP with a deadline for the whole answer: a site that answers byte by byte delays nothing."""

import socket
import time
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from typing import Any
from urllib.request import HTTPHandler, HTTPSHandler, Request

TIMEOUT_SECONDS = 15
# For the whole answer, from the connection to the last byte.
SECONDS_FOR_AN_ANSWER = 30.0


class _Timed(RawIOBase):
    """What a site answers, until a deadline (monotonic): each read waits no longer than to it."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        try:
            if (left := self._deadline - time.monotonic()) > 0:
                self._sock.settimeout(min(left, TIMEOUT_SECONDS))
                return self._raw.readinto(buffer)
        except TimeoutError:
            if time.monotonic() < self._deadline:
                raise
        raise TimeoutError(f"no whole answer within {SECONDS_FOR_AN_ANSWER:g} s")

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = BufferedReader(_Timed(sock, time.monotonic() + SECONDS_FOR_AN_ANSWER))


class _Connection(HTTPConnection):
    response_class = _TimedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _TimedResponse


class Plain(HTTPHandler):
    """Opens http with the deadline."""

    def http_open(self, req: Request) -> HTTPResponse:
        """Return the answer; it raises TimeoutError as it is read too late."""
        return self.do_open(_Connection, req)


class Secure(HTTPSHandler):
    """Opens https with the deadline."""

    def https_open(self, req: Request) -> HTTPResponse:
        """Return the answer; it raises TimeoutError as it is read too late."""
        return self.do_open(_SecureConnection, req)
