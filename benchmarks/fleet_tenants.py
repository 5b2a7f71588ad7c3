"""The project of django-tenants that fleets are measured on: its tenants, and what a command costs.

Of benchmarks/fleet.py and benchmarks/fleet_workers.py. The server is that of DATABASE_URL, whose
role is a superuser that may create databases.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.backends.postgresql.psycopg_any import sql

from benchmarks.server_cost import CpuClock

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = "benchmarks.fleet_settings"
MODEL = "tenant_0001"
SCHEMAS_TOGETHER = 25
ROWS = """
INSERT INTO shop_customer (email, note) SELECT 'c' || i || '@example.com', 'n' || i
FROM generate_series(1, 100) i;
INSERT INTO shop_order (customer_id, amount) SELECT id, 10 FROM shop_customer;
"""


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds of the clock, and of processors, here and in the server."""

    seconds: float
    client: float
    server: float

    @property
    def processor(self) -> float:
        """The seconds of all processors."""
        return self.client + self.server

    def times(self, factor: float) -> Cost:
        """Return so many times as much."""
        return Cost(self.seconds * factor, self.client * factor, self.server * factor)

    def __str__(self) -> str:
        return f"{self.seconds:8.1f} s, {self.processor:8.1f} processor seconds"


class Project:
    """The project of benchmarks/fleet_settings.py on a database."""

    def __init__(self, url: str, folder: Path) -> None:
        """Take the URL of the database, and a folder for what the commands write."""
        self._environment = {
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "PYTHONPATH": str(ROOT),
        }
        self.folder = folder
        self.url = url
        self._server = _server_clock()
        self.output = ""

    def run(self, *arguments: str, **variables: str) -> None:
        """Run a command of manage.py."""
        done = subprocess.run(
            [sys.executable, "-m", "django", *arguments],
            env={**self._environment, **variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        self.output = done.stdout
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def measured(self, *arguments: str, say: str = "", **variables: str) -> Cost:
        """Run a command of manage.py; return what it took, and print that as `say`."""
        client, server, begun = self._here(), self._there(), time.perf_counter()
        self.run(*arguments, **variables)
        cost = Cost(time.perf_counter() - begun, self._here() - client, self._there() - server)
        if say:
            print(f"  {say:<42}{cost}", flush=True)
        return cost

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Yield a cursor in the database."""
        other = connection.copy()
        other.settings_dict["NAME"] = self.url.rpartition("/")[2]
        try:
            with other.cursor() as cursor:
                yield cursor
        finally:
            other.close()

    def _here(self) -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def _there(self) -> float:
        return self._server.seconds() if self._server else 0.0


def _server_clock() -> CpuClock | None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        data = Path(cursor.fetchone()[0])
    try:
        return CpuClock.of(data)
    except OSError:
        print("the server is not on this machine: its processor time is left out")
        return None


def name_of(number: int) -> str:
    """Return the schema of a tenant."""
    return f"tenant_{number:04}"


def make_tenants(project: Project, count: int, to: str) -> None:
    """Make tenants whose shop is migrated up to a migration, from one made by migrate_schemas."""
    project.run("migrate_schemas", "--shared", "-v0")
    with project.session() as cursor:
        cursor.execute(
            "INSERT INTO customers_client (schema_name, name)"
            " SELECT 'tenant_' || lpad(i::text, 4, '0'), i::text FROM generate_series(1, %s) i",
            [count],
        )
        cursor.execute(f"CREATE SCHEMA {MODEL}")
    project.run("migrate_schemas", f"--schema={MODEL}", "shop", to, "-v0")
    project.run("migrate_schemas", f"--schema={MODEL}", "auth", "-v0")
    project.run("migrate_schemas", f"--schema={MODEL}", "sessions", "-v0")
    with project.session() as cursor:
        cursor.execute(f"SET search_path = {MODEL}; {ROWS}")
        text = _dump(project, cursor)
        for first in range(2, count + 1, SCHEMAS_TOGETHER):
            some = range(first, min(first + SCHEMAS_TOGETHER, count + 1))
            parts = [text.replace(MODEL, name_of(number)) for number in some]
            cursor.execute(f"BEGIN; {''.join(parts)} COMMIT")
        cursor.execute("ANALYZE")


def _dump(project: Project, cursor: Any) -> str:
    """Return the SQL that makes the first schema, with its rows."""
    from opsmigrate.pgtools.clients import find_clients

    cursor.execute("SHOW server_version_num")
    program = find_clients(int(cursor.fetchone()[0]) // 10_000, None).program("pg_dump")
    argv = [str(program), "--schema", MODEL, "--inserts", "--no-owner", "-d", project.url]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    lines = (each for each in text.splitlines() if not each.startswith(("\\", "--", "SET ")))
    return "\n".join(lines)


@contextmanager
def database(name: str) -> Iterator[str]:
    """Yield the name of a new database; dropped at the end."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with connection.cursor() as cursor:
        cursor.execute(drop)
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield name
    finally:
        with connection.cursor() as cursor:
            cursor.execute(drop)
