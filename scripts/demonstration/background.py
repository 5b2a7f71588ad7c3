"""What runs beside the steps: the old release, which writes, and the new one's site."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scripts.environment import DEMO, ROOT

START_SECONDS = 30
LOOK_SECONDS = 0.1
STOP_SECONDS = 20
LOG_LINES = 6


class BackgroundProblem(Exception):
    """A background process did not start, or ended by itself."""


@dataclass(frozen=True)
class Background:
    """A process of its own group, which ends when its standard input does."""

    name: str
    process: subprocess.Popen[bytes]

    @property
    def output(self) -> Path:
        """Where its stdout goes."""
        return DEMO / f"{self.name}.out"

    @property
    def log(self) -> Path:
        """Where its stderr goes."""
        return DEMO / f"{self.name}.log"

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until it does what it is for."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BackgroundProblem(f"the {self.name} did not start; {self._log_tail()}")
            time.sleep(LOOK_SECONDS)

    def finish(self) -> None:
        """Let it end, or make it."""
        if self.process.stdin is None:
            self.process.terminate()
        try:
            self.process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def figures(self) -> dict[str, Any]:
        """Let it end, and return the JSON of its last line on stdout."""
        self.finish()
        try:
            last = self.output.read_text(encoding="utf-8").splitlines()[-1]
            figures: dict[str, Any] = json.loads(last)
        except (IndexError, ValueError):
            problem = f"the {self.name} ended without its figures; {self._log_tail()}"
            raise BackgroundProblem(problem) from None
        return figures

    def _log_tail(self) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return f"the end of {self.log}:\n" + "\n".join(text.splitlines()[-LOG_LINES:])


@contextmanager
def background(
    name: str,
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    lasting: bool = False,
) -> Iterator[Background]:
    """Have a process for the length of a `with` block; a lasting one ends only with an error."""
    started = _start(name, command, environment, lasting=lasting)
    try:
        yield started
    except BaseException:
        started.finish()
        raise
    if not lasting:
        started.finish()


def _start(
    name: str, command: Sequence[str | Path], environment: Mapping[str, str], *, lasting: bool
) -> Background:
    with (DEMO / f"{name}.out").open("wb") as output, (DEMO / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL if lasting else subprocess.PIPE,
            stdout=output,
            stderr=log,
            **_own_group(lasting=lasting),
        )
    return Background(name, process)


def _own_group(*, lasting: bool) -> dict[str, Any]:
    """Keep Ctrl-C for the steps: a background process ends when its standard input does."""
    if sys.platform == "win32":
        detached = subprocess.DETACHED_PROCESS if lasting else 0
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | detached}
    return {"start_new_session": True}


def answers(url: str) -> bool:
    """Return whether something at an http URL answers with success (200)."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=5)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port(host: str) -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
