"""Back up, and roll back, beside plain pg_dump and django-dbbackup, in one run.

    python benchmarks/backup.py [--rows 2000000] [--without-dbbackup]

Needs the project's development dependencies; installs django-dbbackup into a folder of its own.
Prints wall time, CPU (of all processes on both sides of the connection), peak memory of the
clients, and size; each as a ratio to `pg_dump -Fc`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from opsmigrate.pgtools.embedded import EmbeddedServer, running  # noqa: E402

DATABASE = "benchmark"
LINE = "{:<42} {:>7.2f} s {:>5.2f}x {:>7.2f} s {:>5.2f}x {:>7.0f} MB {:>8.1f} MB"
# What is django-dbbackup's: its settings, on top of ours.
DBBACKUP_SETTINGS = """
from staging_settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "dbbackup"]
STORAGES = {{
    "default": {{"BACKEND": "django.core.files.storage.FileSystemStorage"}},
    "staticfiles": {{"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}},
    "dbbackup": {{
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {{"location": {folder!r}}},
    }},
}}
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds of wall and CPU, and bytes at the peak and on the disk."""

    wall: float
    cpu: float
    memory: int
    size: int


def main() -> None:
    """Run everything once, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--without-dbbackup", action="store_true")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="opsmigrate", ignore_cleanup_errors=True) as folder,
        running(Path(folder) / "server", durable=True) as server,
    ):
        Benchmark(server, Path(folder), options.rows).run(dbbackup=not options.without_dbbackup)


class Benchmark:
    """One server with one database, and what is done with it."""

    def __init__(self, server: EmbeddedServer, folder: Path, rows: int) -> None:
        self.server, self.folder, self.rows = server, folder, rows
        self.url = re.sub(r"/[^/]*$", f"/{DATABASE}", server.url)
        self.env = {
            **os.environ,
            "PATH": f"{server.bindir}{os.pathsep}{os.environ['PATH']}",
            "DATABASE_URL": self.url,
            "SECRET_KEY": "benchmark-" + "x" * 50,
            "OPSMIGRATE_ENVIRONMENT": "staging",
            "LOCAL_HTTP": "1",
        }

    def run(self, *, dbbackup: bool) -> None:
        """Measure one after the other, the plain pg_dump first and last."""
        self._make()
        out = self.folder / "out"
        dump = [str(self.server.bindir / "pg_dump"), "-Fc", "--dbname", self.url]
        backup = [sys.executable, "manage.py", "backup_db", "-v", "0", "--directory", str(out)]
        cases: list[tuple[str, list[str]]] = [
            ("pg_dump -Fc", [*dump, "-f", str(out / "a")]),
            ("pg_dump -Fc -Z1", [*dump, "-Z1", "-f", str(out / "b")]),
            ("backup_db --verify none", [*backup, "--compress", "1", "--verify", "none"]),
            ("backup_db", [*backup, "--compress", "1"]),
            ("backup_db --verify restore", [*backup, "--compress", "1", "--verify", "restore"]),
            ("backup_db --compress 6 --verify none", [*backup, "--compress=6", "--verify=none"]),
        ]
        if dbbackup:
            cases.append(("django-dbbackup: dbbackup", self._dbbackup(out)))
        cases.append(("pg_dump -Fc, again", [*dump, "-f", str(out / "c")]))
        print(f"{self.rows:,} payments, PostgreSQL {self.server.major}, {os.cpu_count()} cores\n")
        print(f"{'':<42} {'wall':>9} {'':>6} {'CPU':>9} {'':>6} {'memory':>10} {'size':>11}")
        base: Measured | None = None
        for name, argv in cases:
            measured = self._measure(argv, out)
            base = base or measured
            print(
                LINE.format(
                    name,
                    measured.wall,
                    measured.wall / base.wall,
                    measured.cpu,
                    measured.cpu / base.cpu,
                    measured.memory / 1e6,
                    measured.size / 1e6,
                ),
                flush=True,
            )
        self._rollback(out)

    def _make(self) -> None:
        admin = [str(self.server.bindir / "psql"), "-Xqc", f"CREATE DATABASE {DATABASE}"]
        subprocess.run([*admin, self.server.url], check=True)
        self._manage("make_legacy_staging", "--rows", str(self.rows))
        subprocess.run(
            [str(self.server.bindir / "psql"), "-Xqc", "VACUUM ANALYZE", self.url], check=True
        )

    def _manage(self, *argv: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *argv],
            cwd=ROOT,
            env=self.env,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def _dbbackup(self, out: Path) -> list[str]:
        site = self.folder / "site"
        pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(site)]
        subprocess.run([*pip, "--no-deps", "django-dbbackup"], check=True)
        text = DBBACKUP_SETTINGS.format(folder=str(out))
        (site / "dbbackup_settings.py").write_text(text, encoding="utf-8")
        self.env["PYTHONPATH"] = os.pathsep.join([str(site), str(ROOT)])
        return [sys.executable, "manage.py", "dbbackup", "-v0", "--settings=dbbackup_settings"]

    def _measure(self, argv: Sequence[str], out: Path) -> Measured:
        out.mkdir(exist_ok=True)
        before, begun = self._server_cpu(), time.monotonic()
        process = subprocess.Popen(
            argv, cwd=ROOT, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        memory = Memory(process.pid)
        memory.start()
        _, words = process.communicate()
        memory.over.set()
        memory.join()
        wall = time.monotonic() - begun
        if process.returncode:
            raise SystemExit(f"{' '.join(argv[:4])}: {words.decode()}")
        usage = os.times()
        children = usage.children_user + usage.children_system
        cpu = children - memory.children_before + self._server_cpu() - before
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        for path in out.rglob("*"):
            if path.is_file() and argv[-1] != "keep":
                path.unlink()
        return Measured(wall=wall, cpu=cpu, memory=memory.peak, size=size)

    def _server_cpu(self) -> float:
        """Return the seconds of CPU that the server and its ended children took."""
        pid = int((self.server.data / "postmaster.pid").read_text().split()[0])
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def _rollback(self, out: Path) -> None:
        out.mkdir(exist_ok=True)
        taken = json.loads(self._manage("backup_db", "--directory", str(out), "--format", "json"))
        outage = Outage(self.url, str(self.server.bindir / "psql"))
        outage.start()
        begun = time.monotonic()
        done = json.loads(
            self._manage("restore_db", taken["facts"]["file"], "--no-input", "--format", "json")
        )
        wall = time.monotonic() - begun
        outage.over.set()
        outage.join()
        said = done["facts"]["outage_seconds"]
        print(
            f"\nrestore_db: {wall:.1f} s, of which nobody could connect for {said:.2f} s; a client"
            f" that connects all the time waited at most {outage.longest:.2f} s"
        )


class Memory(threading.Thread):
    """The peak of what a process and its children have in memory of their own, in bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak, self.over = pid, 0, threading.Event()
        usage = os.times()
        self.children_before = usage.children_user + usage.children_system

    def run(self) -> None:
        """Look until it is over."""
        while not self.over.wait(0.05):
            self.peak = max(self.peak, sum(map(self._bytes, self._family())))

    def _family(self) -> list[int]:
        family, waiting = [], [self.pid]
        while waiting:
            pid = waiting.pop()
            family.append(pid)
            for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    waiting += map(int, tasks.read_text().split())
                except OSError:
                    continue
        return family

    def _bytes(self, pid: int) -> int:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            return 0
        return sum(int(size) for size in re.findall(r"^Pss_Anon:\s+(\d+) kB", text, re.M)) * 1024


class Outage(threading.Thread):
    """A client that connects, asks, and goes, again and again; the longest that took."""

    def __init__(self, url: str, psql: str) -> None:
        super().__init__(daemon=True)
        self.url, self.psql = url, psql
        self.longest, self.over = 0.0, threading.Event()

    def run(self) -> None:
        """Ask until it is over; what fails is asked again."""
        begun = time.monotonic()
        while not self.over.is_set():
            argv = [self.psql, "-Xqc", "SELECT 1", self.url]
            if subprocess.run(argv, capture_output=True, check=False).returncode == 0:
                self.longest = max(self.longest, time.monotonic() - begun)
                begun = time.monotonic()


if __name__ == "__main__":
    main()
