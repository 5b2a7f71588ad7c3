"""python -m benchmarks.fleet_workers: a command on a thousand tenants, here and on Celery workers.

Part of benchmarks/fleet.py (there: what must be installed); alone it makes the same tenants, on the
server of DATABASE_URL. One process for each target, of `fleet check_drift`: on this machine, as
many at a time as it has processors, and then through a Redis of its own (Debian's redis-server) on
2 and on 4 workers of one process each. They are on this machine too: what the way over the broker
costs is measured, in seconds of the clock and of processors (with the start of the workers), and
how long a worker stands still between two targets. What further machines add, benchmarks/fleet.py
computes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import django
import environ
from django.conf import settings

from benchmarks.fleet_tenants import ROOT, Cost, Project, database, make_tenants
from scripts.demonstration.background import free_port

COMMAND = ("fleet", "check_drift", "--format", "json")
ON_CELERY = (*COMMAND, "--engine", "celery")
SETTINGS = "benchmarks.fleet_on_celery.settings"
APP = "benchmarks.fleet_on_celery.celery_app"
SECONDS_TO_START = 60.0
ENDED = re.compile(r"succeeded in ([0-9.]+)s")


def main() -> int:
    """Measure, and print what is computed of it; 0 where everything could be run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=1000)
    add_workers(parser)
    options = parser.parse_args()
    url = os.environ["DATABASE_URL"]
    settings.configure(DATABASES={"default": environ.Env.db_url_config(url)})
    django.setup()
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder, database("bench_fleet_on_celery") as name:
        project = Project(url.rpartition("/")[0] + "/" + name, Path(folder))
        make_tenants(project, options.tenants, to="0001")
        compare_workers(project, options.tenants, options)
    return 0


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add how many workers there are, and how many of the tenants they work on."""
    parser.add_argument("--workers", type=int, nargs="*", default=[2, 4])
    parser.add_argument(
        "--each",
        type=int,
        default=1,
        metavar="N",
        help="of each N tenants, run the processes of one only (default: of all)",
    )


def compare_workers(project: Project, tenants: int, options: argparse.Namespace) -> None:
    """Run a process for each target here, and on so many workers; print what it took."""
    processors, part = os.cpu_count() or 1, f"1/{options.each}"
    number = len(range(0, tenants, options.each))
    print(f"\nA process of check_drift for each of {number:,} tenants", flush=True)
    here = project.measured(
        *COMMAND,
        *("--part", part),
        say=f"on this machine, {processors} at a time",
        OPSMIGRATE_RUN_ID="here",
    )
    require_all(project, number)
    with redis(project.folder) as broker:
        variables = {
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "DATABASE_URL": project.url,
            "BENCH_BROKER": broker,
        }
        for count in options.workers:
            on_workers(project, part, variables, count, number, here)


def on_workers(
    project: Project,
    part: str,
    variables: dict[str, str],
    count: int,
    tenants: int,
    here: Cost,
) -> None:
    """Run the fleet on so many workers, and print what it took against `here`."""
    logs = project.folder / f"workers-{count}"
    logs.mkdir()
    before = used()
    with workers(project.folder, logs, count, variables):
        cost = project.measured(
            *ON_CELERY, "--part", part, OPSMIGRATE_RUN_ID=f"on-{count}", **variables
        )
        at_work = [sum(map(float, ENDED.findall(each.read_text()))) for each in logs.iterdir()]
    require_all(project, tenants)
    # Only when the workers have ended it shows what they took.
    cost = replace(cost, client=used() - before)
    print(f"  {f'on {count} Celery workers':<42}{cost}")
    between = (count * cost.seconds - sum(at_work)) / tenants
    print(
        f"  {cost.seconds / here.seconds:.2f}x the time and {cost.processor / here.processor:.2f}x "
        "the processor time of this machine alone; "
        f"between two targets a worker stands still for {between * 1000:.0f} ms",
        flush=True,
    )


def used() -> float:
    """Return the processor seconds of all processes that this one has started, and that ended."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def require_all(project: Project, tenants: int) -> None:
    """Raise SystemExit where not every target has passed."""
    report = json.loads(project.output)
    counts = report["facts"]["counts"]
    if sum(counts.values()) < tenants or set(counts) != {"passed"}:
        raise SystemExit(f"fleet said: {report['facts']['summary']}")


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Yield the URL of a Redis of one's own."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not installed: apt install redis-server")
    port = free_port("127.0.0.1")
    argv = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen([*argv, "--logfile", str(folder / "redis.log")]) as process:
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


@contextmanager
def workers(folder: Path, logs: Path, count: int, variables: dict[str, str]) -> Iterator[None]:
    """Run so many workers of one process each while the block runs."""
    with ExitStack() as stack:
        for number in range(count):
            log = logs / f"{number}.log"
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "celery", "-A", APP, "worker", "-n", f"{number}@%h"),
                    *("--concurrency", "1", "--prefetch-multiplier", "1"),
                    *("--loglevel", "INFO", "--logfile", str(log)),
                ],
                env={**os.environ, **variables},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(_end, process)
        deadline = time.monotonic() + SECONDS_TO_START
        while sum(" ready." in each.read_text() for each in logs.iterdir()) < count:
            if time.monotonic() > deadline:
                raise SystemExit("the workers do not start")
            time.sleep(0.1)
        yield


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
