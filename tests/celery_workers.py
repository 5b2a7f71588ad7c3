"""Real Celery workers, started and stopped by a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from opsmigrate.pgtools.run import dying_with_us
from tests.conftest import ROOT

APP = "tests.fleet_on_celery.celery_app"
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
        return children_of(self.process.pid)

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
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(SECONDS_TO_END)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(SECONDS_TO_END)


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # After the name, which may hold anything: the state, and the parent.
            if each.read_text().rpartition(")")[2].split()[1] == str(pid):
                found.append(int(each.parent.name))
    return found


def start_worker(
    name: str,
    folder: Path,
    environment: Mapping[str, str],
    *,
    processes: int = 1,
    pool: str = "prefork",
    prefetch: int = 1,
    app: str = APP,
) -> Worker:
    """Start a worker; it is not waited for."""
    log = folder / f"{name}.log"
    process = subprocess.Popen(
        [
            *dying_with_us(),
            *(sys.executable, "-m", "celery", "-A", app, "worker", "-n", f"{name}@%h"),
            *(
                "--pool",
                pool,
                "--concurrency",
                str(processes),
                "--prefetch-multiplier",
                str(prefetch),
            ),
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
