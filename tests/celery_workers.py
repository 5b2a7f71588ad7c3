"""Real Celery workers, started and stopped by a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

APP = "tests.fleet_on_celery.celery_app"
SECONDS_TO_START = 90.0
SECONDS_TO_END = 20.0


@dataclass
class Worker:
    """A worker: the process, which has others of its own, and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Return its log."""
        return self.log.read_text() if self.log.exists() else ""

    def processes(self) -> list[int]:
        """Return the processes of its pool."""
        done = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return [int(pid) for pid in done.stdout.split()]

    def kill(self) -> None:
        """Kill the worker and all of its processes at once, as a machine that is gone."""
        pool = self.processes()
        for pid in (self.process.pid, *pool):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(SECONDS_TO_END)

    def end(self) -> None:
        """End it in good order; kill what does not."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            pass
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(SECONDS_TO_END)


def start_worker(
    name: str,
    folder: Path,
    environment: Mapping[str, str],
    *,
    processes: int = 1,
    pool: str = "prefork",
) -> Worker:
    """Start a worker; it is not waited for."""
    log = folder / f"{name}.log"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "-A", APP, "worker", "-n", f"{name}@%h"),
            *("--pool", pool, "--concurrency", str(processes), "--prefetch-multiplier", "1"),
            *("--loglevel", "INFO", "--logfile", str(log), "--without-gossip", "--without-mingle"),
        ],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return Worker(name, process, log)


@contextmanager
def workers(
    count: int,
    folder: Path,
    environment: Mapping[str, str],
    *,
    processes: int = 1,
    pool: str = "prefork",
) -> Iterator[list[Worker]]:
    """Run so many workers, each with so many processes, until the block ends."""
    started: list[Worker] = []
    try:
        for number in range(1, count + 1):
            started.append(
                start_worker(f"w{number}", folder, environment, processes=processes, pool=pool)
            )
        deadline = time.monotonic() + SECONDS_TO_START
        while not all(" ready." in each.said() for each in started):
            for each in started:
                assert each.process.poll() is None, each.said()
            assert time.monotonic() < deadline, [each.said() for each in started]
            time.sleep(0.1)
        yield started
    finally:
        for each in started:
            each.end()
