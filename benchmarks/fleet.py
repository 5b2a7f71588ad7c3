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
   to have a run of its own;
4. a process for each target, of `fleet check_drift`: on this machine, and on Celery workers
   (benchmarks/fleet_workers.py).

Seconds are those of the clock; processor seconds are those of all processes of the command, and of
the server's where it runs on this machine. django-tenants must be installed: pip install
django-tenants.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import django
import environ
from django.conf import settings

from benchmarks.fleet_tenants import Cost, Project, database, make_tenants, name_of
from benchmarks.fleet_workers import add_workers, compare_workers
from opsmigrate.counted import counted

MULTIPROCESSING = ("migrate_schemas", "--executor=multiprocessing", "-v0")
PLAN = ("migrate_schemas", "--plan", "--tenant")
SHOW = ("all_tenants_command", "showmigrations", "--plan")
FLEET = ("fleet", "preflight_migrate", "--format", "json")


def main() -> int:
    """Measure, and print the ratios; 0 where everything could be run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--singles", type=int, default=10)
    add_workers(parser)
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
        compare_workers(project, options.tenants, options)
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


if __name__ == "__main__":
    sys.exit(main())
