"""python -m benchmarks.preflight: preflight beside sqldiff, and beside what migrate itself takes.

Two comparisons, each side by side in one run, on the server of DATABASE_URL:

1. Catalog and drift, against `sqldiff -a` of django-extensions, with 100, 1,000 and 5,000 tables.
   Either runs in a process of its own in one environment, made for this run, and times itself from
   the connected database to its last answer; the queries are counted.
2. `preflight_migrate` of a plan without a rehearsal, against the start of `migrate --plan`; and
   with one, of the schema and of a clone, against the copy and the real `migrate` on a clone; and a
   second rehearsal of the same plan, on what the first one kept, against the first.

Of several runs, the sides taking turns, the fastest counts: what else the machine does only adds.
Beside the elapsed seconds stand those of the processors, of all processes that were waited for (so
not of the server): on a busy machine, only they compare. The ratio that is held against a target
is that of the elapsed seconds. Python keeps what it has compiled, of this project as of an
installed one.
Databases named bench_* are made and dropped; the role must be able to create databases.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import django
import environ
from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).parent / "many_tables"
RUNS = 3


class Taken(NamedTuple):
    """What a run takes: elapsed seconds, and those of the processors."""

    seconds: float
    processors: float


def best(runs: Sequence[Taken]) -> Taken:
    """Return the least of either."""
    return Taken(min(each.seconds for each in runs), min(each.processors for each in runs))


def words(runs: Sequence[Taken]) -> str:
    """Return the least elapsed seconds, the least of the processors, and the median of those."""
    usual = median(each.processors for each in runs)
    least = best(runs)
    return (
        f"{least.seconds:.2f} s ({least.processors:.2f} s of the processors, usually {usual:.2f})"
    )


def ratio(ours: Sequence[Taken], theirs: Sequence[Taken]) -> str:
    """Return the ratio of the elapsed seconds, and that of the processors'."""
    mine, other = best(ours), best(theirs)
    by_processors = mine.processors / other.processors
    return f"{mine.seconds / other.seconds:.2f}x ({by_processors:.2f}x of the processors)"


def main() -> int:
    """Run both comparisons and print their ratios; 0 where both could be run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 1000, 5000])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of a second rehearsal")
    parser.add_argument("--settings", default="staging_settings", help="the project of part 2")
    parser.add_argument(
        "--from", dest="start", nargs=2, default=["treasury", "0001"], metavar=("APP", "MIGRATION")
    )
    parser.add_argument(
        "--whole-history", action="store_true", help="in part 2, no migration is applied before"
    )
    parser.add_argument("--runs", type=int, default=RUNS, help="of each side")
    options = parser.parse_args()
    url = os.environ["DATABASE_URL"]
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}", flush=True)
    settings.configure(DATABASES={"default": environ.Env.db_url_config(url)})
    django.setup()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "compiled")
        python = make_environment(Path(folder))
        for size in options.sizes:
            with database(f"bench_{size}") as name:
                compare_with_sqldiff(python, url_of(url, name), size, options.runs)
    with database("bench_plan") as name:
        start = [] if options.whole_history else options.start
        compare_with_migrate(options.settings, url, name, start, options.runs)
    if options.whole_history:
        return 0
    with database("bench_second") as name:
        own = url_of(url, name)
        compare_with_first(options.settings, own, options.start, options.rows, options.runs)
    return 0


# The databases


@contextmanager
def database(name: str, template: str = "template1") -> Iterator[str]:
    """Yield the name of a new database, a copy of `template`; dropped at the end."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    try:
        execute(drop)
        execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        yield name
    finally:
        execute(drop)


def execute(statement: Composable) -> None:
    """Execute one statement where the role is at home."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


def url_of(url: str, name: str) -> str:
    """Return the URL with another database."""
    return url.rpartition("/")[0] + "/" + name


# Catalog and drift against sqldiff


def make_environment(folder: Path) -> Path:
    """Return the Python of an environment with our Django and driver, and django-extensions."""
    print("installing django-extensions into an environment of its own …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    wanted = [f"django=={django.get_version()}", "django-extensions", "psycopg[binary]"]
    subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    return python


def compare_with_sqldiff(python: Path, url: str, size: int, runs: int) -> None:
    """Print the time and the queries of either with so many tables."""
    parts = environ.Env.db_url_config(url)
    env = {**os.environ, "BENCH_TABLES": str(size), "PYTHONPATH": f"{HERE}{os.pathsep}{ROOT}"}
    env |= {"BENCH_DATABASE": json.dumps(parts), "DJANGO_SETTINGS_MODULE": "bench_settings"}

    def run(*argv: str) -> dict[str, float]:
        found: dict[str, float] = json.loads(
            output_of([str(python), *argv], env, HERE).splitlines()[-1]
        )
        return found

    run("measure.py", "make")
    ours, theirs = [], []
    for number in range(runs):
        ours.append(run("measure.py", "drift"))
        if size <= 1000 or number == 0:
            theirs.append(run("measure.py", "sqldiff"))
    mine = min(item["seconds"] for item in ours)
    other = min(item["seconds"] for item in theirs)
    print(
        f"{size:>5} tables: catalog and drift {mine:.2f} s in {ours[0]['queries']:.0f} queries, "
        f"{ours[0]['found']:.0f} differences; sqldiff {other:.2f} s in "
        f"{theirs[0]['queries']:.0f} queries, {theirs[0]['found']:.0f} differences: "
        f"{other / mine:.1f}x" + (" (aim: at least 20x)" if size == 1000 else ""),
        flush=True,
    )


# The whole preflight against migrate


def compare_with_migrate(module: str, url: str, name: str, start: list[str], runs: int) -> None:
    """Print what preflight takes of a plan, beside migrate of the same plan."""
    own = url_of(url, name)
    if start:
        manage(module, own, "migrate", *start, "-v0")
    begin, explain, real = [], [], []
    for number in range(runs):
        begin.append(timed(module, own, "migrate", "--plan", "-v0"))
        explain.append(timed(module, own, *PREFLIGHT, "off"))
        with database(f"bench_clone_{number}", template=name) as clone:
            real.append(timed(module, url_of(url, clone), "migrate", "-v0"))
    since = " ".join(start) or "nothing"
    print(f"{module} from {since}: start of migrate --plan {words(begin)}, migrate {words(real)}")
    print(
        f"  explanation alone {words(explain)}: {ratio(explain, begin)} of the start (aim: under "
        f"1.5x), {ratio(explain, real)} of migrate (of 330 migrations: at most 0.8x)",
        flush=True,
    )
    plan, explained = peak(module, own, "migrate", "--plan"), peak(module, own, *PREFLIGHT, "off")
    print(
        f"  its memory at most {explained / 1e6:.0f} MB: {explained / plan:.2f}x that of migrate "
        "--plan (aim: under 1.5x)",
        flush=True,
    )
    for mode in ("schema", "clone"):
        compare_with_rehearsal(module, own, mode, best(real).seconds, runs)


def compare_with_rehearsal(module: str, own: str, mode: str, real: float, runs: int) -> None:
    """Print what preflight takes with a rehearsal, beside the copy and migrate's `real` seconds."""
    found = []
    for _ in range(runs):
        before = time.perf_counter()
        report = json.loads(manage(module, own, *PREFLIGHT, mode, "--format", "json"))
        seconds = time.perf_counter() - before
        rehearsal = report["facts"]["rehearsal"]
        if rehearsal is None:
            raise SystemExit(f"nothing was rehearsed: {report['facts']['summary']}")
        found.append((seconds, rehearsal["copy_seconds"]))
    seconds, copy = min(found)
    print(
        f"  with a rehearsal of the {mode} {seconds:.2f} s: migrate itself {real:.2f} s, "
        f"copy {copy:.2f} s: {seconds / (real + copy):.2f}x their sum (aim: under 2.5x)",
        flush=True,
    )


def compare_with_first(module: str, own: str, start: list[str], rows: int, runs: int) -> None:
    """Print what a second rehearsal of the same plan takes, on what the first has kept."""
    manage(module, own, "migrate", *start, "-v0")
    there = connection.copy()
    there.settings_dict = {**there.settings_dict, "NAME": own.rpartition("/")[2]}
    with there.cursor() as cursor:
        for statement in ROWS:
            cursor.execute(statement, [rows] if "%s" in statement else None)
        cursor.execute("SELECT pg_database_size(current_database())")
        size = cursor.fetchone()[0]
    there.close()
    first, second = [], []
    for _ in range(runs):
        # What was kept is in this folder, and goes with it.
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            where = {"TMPDIR": folder}
            first.append(timed(module, own, *PREFLIGHT, "clone", "--keep-copy", **where))
            second.append(timed(module, own, *PREFLIGHT, "clone", **where))
    print(
        f"  a second rehearsal, {rows:,} rows, {size / 1e6:,.0f} MB: {words(second)}, the first "
        f"{words(first)}: {ratio(second, first)} (aim: at most 0.4x)",
        flush=True,
    )


ROWS = (
    "INSERT INTO treasury_account (name, number, currency, opened_on, is_active)"
    " VALUES ('bench', 'bench', 'EUR', '2020-01-01', true)",
    "INSERT INTO treasury_payment (reference, payee, amount, currency, status, due_date,"
    " created_at, updated_at, memo, account_id, payment_id) SELECT 'P' || n, 'payee ' || n, 1,"
    " 'EUR', 'draft', '2026-01-01', now(), now(), 'memo', a.id, gen_random_uuid()"
    " FROM treasury_account AS a, generate_series(1, %s) AS n",
    "VACUUM ANALYZE",
)
PREFLIGHT = ("preflight_migrate", "--accept-undecided", "--rehearse")


def manage(module: str, url: str, *argv: str, **variables: str) -> str:
    """Run a command of the project, and return what it printed."""
    env = {**os.environ, "DATABASE_URL": url, "SECRET_KEY": "b" * 50, "PYTHONPATH": str(ROOT)}
    env |= {"OPSMIGRATE_ENVIRONMENT": "test", "DJANGO_SETTINGS_MODULE": module, **variables}
    return output_of([sys.executable, "-m", "django", *argv], env, ROOT)


def peak(module: str, url: str, *argv: str) -> int:
    """Return the most memory, in bytes, that the process of a command has had at a time."""
    env = {**os.environ, "DATABASE_URL": url, "SECRET_KEY": "b" * 50, "PYTHONPATH": str(ROOT)}
    env |= {"OPSMIGRATE_ENVIRONMENT": "test", "DJANGO_SETTINGS_MODULE": module}
    process = subprocess.Popen(
        [sys.executable, "-m", "django", *argv],
        env=env,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return os.wait4(process.pid, 0)[2].ru_maxrss * 1024


def output_of(argv: list[str], env: dict[str, str], folder: Path) -> str:
    """Return what the program printed; where it fails, say so in its own words and exit."""
    done = subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} failed:\n{done.stderr}{done.stdout}")
    return done.stdout


def timed(module: str, url: str, *argv: str, **variables: str) -> Taken:
    """Return what a command of the project takes, from the start of its process to its end."""
    before, begun = time.perf_counter(), of_children()
    manage(module, url, *argv, **variables)
    return Taken(time.perf_counter() - before, of_children() - begun)


def of_children() -> float:
    """Return the processors' seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
