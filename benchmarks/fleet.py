"""python -m benchmarks.fleet: a thousand tenants of django-tenants, by its ways and by `fleet`.

The project is that of the tests for django-tenants, here with auth, content types, sessions and a
shop for each tenant (11 tables), on the server of DATABASE_URL, whose role is a superuser that may
create databases. The schemas are made from one that the project's own migrate has made. Compared
side by side, in one run:

1. nothing pending: `fleet preflight_migrate` against `migrate_schemas --executor=multiprocessing`,
   `migrate_schemas --plan` and `all_tenants_command showmigrations`;
2. one migration pending: `fleet preflight_migrate`, a verdict for each tenant, against
   `migrate_schemas --plan`, which says what would be done, and against
   `migrate_schemas --executor=multiprocessing`, which does it;
3. the same class of a thousand against single runs of `preflight_migrate`, of which --singles are
   run, and the sum for all is computed; so is what further machines would add, if every target had
   to have a run of its own.

Seconds are those of the clock; processor seconds are those of all processes of the command, and of
the server's where it runs on this machine. django-tenants must be installed: pip install
django-tenants.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
import environ
from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.psycopg_any import sql

from benchmarks.server_cost import CpuClock
from opsmigrate.counted import counted

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = "benchmarks.fleet_settings"
MODEL = "tenant_0001"
SCHEMAS_TOGETHER = 25
ROWS = """
INSERT INTO shop_customer (email, note) SELECT 'c' || i || '@example.com', 'n' || i
FROM generate_series(1, 100) i;
INSERT INTO shop_order (customer_id, amount) SELECT id, 10 FROM shop_customer;
"""
MULTIPROCESSING = ("migrate_schemas", "--executor=multiprocessing", "-v0")
PLAN = ("migrate_schemas", "--plan", "--tenant")
SHOW = ("all_tenants_command", "showmigrations", "--plan")
FLEET = ("fleet", "preflight_migrate", "--format", "json")


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


def main() -> int:
    """Measure, and print the ratios; 0 where everything could be run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--singles", type=int, default=10)
    options = parser.parse_args()
    url = os.environ["DATABASE_URL"]
    settings.configure(DATABASES={"default": environ.Env.db_url_config(url)})
    django.setup()
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder, database("bench_tenants_old") as old:
        project = Project(url.rpartition("/")[0] + "/" + old, Path(folder))
        begun = time.perf_counter()
        make_tenants(project, options.tenants, to="0001")
        took = time.perf_counter() - begun
        print(f"{options.tenants:,} schemas made in {took:.0f} s", flush=True)
        looks = pending(project, options.tenants)
        singles(project, options.tenants, options.singles, looks)
        project.measured(*MULTIPROCESSING, say="migrate_schemas, which applies it")
        nothing_pending(project)
    return 0


def pending(project: Project, tenants: int) -> Cost:
    """Compare what says of each tenant whether one pending migration will apply."""
    print(f"\nOne migration pending in each of {tenants:,} tenants", flush=True)
    plan = project.measured(*PLAN, say="migrate_schemas --plan")
    ours = project.measured(*FLEET, say="fleet preflight_migrate")
    report = json.loads(project.output)
    if report["verdict"] != "passed" or len(report["facts"]["targets"]) < tenants:
        raise SystemExit(f"fleet said: {report['facts']['summary']}")
    print(f"  {report['facts']['summary']}")
    ratio("migrate_schemas --plan", plan, ours)
    return ours


def singles(project: Project, tenants: int, number: int, ours: Cost) -> None:
    """Compare the classes with single runs."""
    found = [
        project.measured(
            "preflight_migrate", "--format", "json", OPSMIGRATE_TARGET=f"default/{name_of(each)}"
        )
        for each in range(1, number + 1)
    ]
    mean = Cost(
        sum(each.seconds for each in found),
        sum(each.client for each in found),
        sum(each.server for each in found),
    ).times(1 / number)
    every = mean.times(tenants)
    print(f"  {'1 preflight_migrate of its own (mean)':<42}{mean}")
    print(f"  {f'computed of {tenants:,} of them, one by one':<42}{every}")
    ratio(f"{tenants:,} single runs (computed)", every, ours, aim="aim: 50x less processor time")
    processors = os.cpu_count() or 1
    print("  computed, not measured: such runs on further machines like this one, the server on it")
    for machines in (1, 2, 3):
        # The server's part stays where the server is.
        least = max(every.server, every.processor / machines) / processors
        print(f"    {counted(machines, 'machine')}: at least {least:,.0f} s", flush=True)


def nothing_pending(project: Project) -> None:
    """Compare what says that nothing is pending."""
    print("\nNothing pending", flush=True)
    migrate = project.measured(*MULTIPROCESSING, say="migrate_schemas --executor=multiprocessing")
    plan = project.measured(*PLAN, say="migrate_schemas --plan")
    show = project.measured(*SHOW, say="all_tenants_command showmigrations")
    ours = project.measured(*FLEET, say="fleet preflight_migrate")
    print(f"  {json.loads(project.output)['facts']['summary']}")
    for name, theirs in (
        ("migrate_schemas --executor=multiprocessing", migrate),
        ("migrate_schemas --plan", plan),
        ("all_tenants_command showmigrations", show),
    ):
        ratio(name, theirs, ours)


def ratio(name: str, theirs: Cost, ours: Cost, aim: str = "") -> None:
    """Print how many times as much another way takes."""
    print(
        f"  {name}: {theirs.seconds / ours.seconds:.1f}x the time, "
        f"{theirs.processor / ours.processor:.1f}x the processor time of fleet"
        f"{f' ({aim})' if aim else ''}",
        flush=True,
    )


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
        self._folder = folder
        self._url = url
        self._server = _server_clock()
        self.output = ""

    def run(self, *arguments: str, **variables: str) -> None:
        """Run a command of manage.py."""
        done = subprocess.run(
            [sys.executable, "-m", "django", *arguments],
            env={**self._environment, **variables},
            cwd=self._folder,
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
        other.settings_dict["NAME"] = self._url.rpartition("/")[2]
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
    argv = [str(program), "--schema", MODEL, "--inserts", "--no-owner", "-d", project._url]
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


if __name__ == "__main__":
    sys.exit(main())
