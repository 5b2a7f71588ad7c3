"""seed_payment_id beside the usual ways to fill a column, with writers at work.

    python -m benchmarks.seed --rows 1000000 --runs 3

Each run takes every way once, each on a fresh copy of the same database, while another session
makes 200 writes a second. What is printed are the means, and the ratios to the one UPDATE. CPU and
WAL hold what the writers cost as well: it is the same for all, for the time that a way takes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import psycopg

from benchmarks.server_cost import CpuClock
from benchmarks.writer import Writes, writing
from opsmigrate.pgtools.embedded import running

ROOT = Path(__file__).resolve().parent.parent
IDLE_SECONDS = 4.0
BATCH = 5000
# These would take hours: they do a part, and their figures are extrapolated and marked so.
PART_OF_LOOP, PART_OF_BULK_UPDATE = 5_000, 20_000

ADD = "ALTER TABLE treasury_payment ADD COLUMN payment_id uuid"
DEFAULT = "ALTER TABLE treasury_payment ALTER payment_id SET DEFAULT gen_random_uuid()"
CONSTRAIN = (
    "CREATE UNIQUE INDEX CONCURRENTLY treasury_payment_payment_id_key"
    " ON treasury_payment (payment_id)",
    "ALTER TABLE treasury_payment ADD CONSTRAINT treasury_payment_payment_id_key"
    " UNIQUE USING INDEX treasury_payment_payment_id_key",
    "ALTER TABLE treasury_payment ADD CHECK (payment_id IS NOT NULL) NOT VALID",
    "ALTER TABLE treasury_payment VALIDATE CONSTRAINT treasury_payment_payment_id_check",
    "ALTER TABLE treasury_payment ALTER payment_id SET NOT NULL",
    "ALTER TABLE treasury_payment DROP CONSTRAINT treasury_payment_payment_id_check",
)
SEED = ("manage.py", "seed_payment_id", "--format=json", "-v0")
SIZES = (
    "SELECT pg_table_size('treasury_payment')::bigint, pg_indexes_size('treasury_payment')::bigint"
)
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a way works: the URL of its database, and how many rows it has to begin with."""

    url: str
    rows: int

    def execute(self, *statements: str) -> None:
        """Execute each statement in a transaction of its own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a way says of itself: the rows it filled, the peak memory of its process in bytes."""

    rows: int
    memory: int | None = None


def seed_with(workers: int) -> Callable[[Place], Done]:
    """Return the way that is the command itself."""

    def run(place: Place) -> Done:
        answer, memory = _django(place, *SEED, f"--workers={workers}")
        return Done(rows=json.loads(answer)["facts"]["seeded"], memory=memory)

    return run


def one_update(place: Place) -> Done:
    """Fill with one UPDATE."""
    place.execute(
        ADD,
        DEFAULT,
        "UPDATE treasury_payment SET payment_id = gen_random_uuid() WHERE payment_id IS NULL",
        *CONSTRAIN,
    )
    return Done(rows=place.rows)


def rewrite(place: Place) -> Done:
    """Add the column with a volatile default, which rewrites the table under its lock."""
    place.execute(f"{ADD} DEFAULT gen_random_uuid() NOT NULL UNIQUE")
    return Done(rows=place.rows)


def keyset(place: Place) -> Done:
    """Fill in batches by primary key, as the usual tools do."""
    place.execute(ADD, DEFAULT)
    with psycopg.connect(place.url, autocommit=True) as connection:
        last: int | None = 0
        while last is not None:
            row = connection.execute(
                "WITH batch AS (SELECT id FROM treasury_payment WHERE id > %s"
                " ORDER BY id LIMIT %s), done AS (UPDATE treasury_payment p"
                " SET payment_id = gen_random_uuid() FROM batch"
                " WHERE p.id = batch.id AND p.payment_id IS NULL)"
                " SELECT max(id) FROM batch",
                [last, BATCH],
            ).fetchone()
            last = row[0] if row else None
    place.execute(*CONSTRAIN)
    return Done(rows=place.rows)


def django_loop(place: Place) -> Done:
    """Fill as Django's documentation shows it: save() for every row."""
    place.execute(ADD, DEFAULT)
    _django(place, "-m", "benchmarks.django_ways", "loop", str(PART_OF_LOOP))
    return Done(rows=min(PART_OF_LOOP, place.rows))


def bulk_update(place: Place) -> Done:
    """Fill with bulk_update()."""
    place.execute(ADD, DEFAULT)
    _django(place, "-m", "benchmarks.django_ways", "bulk_update", str(PART_OF_BULK_UPDATE))
    return Done(rows=min(PART_OF_BULK_UPDATE, place.rows))


WAYS: dict[str, Callable[[Place], Done]] = {
    "seed, 1 worker": seed_with(1),
    "one UPDATE": one_update,
    "seed, 2 workers": seed_with(2),
    "rewrite": rewrite,
    "keyset batches": keyset,
    "Django's loop": django_loop,
    "bulk_update": bulk_update,
}
WORKERS = {"seed, 1 worker": 1, "seed, 2 workers": 2}
BASE = "one UPDATE"


def expected_seconds(name: str, place: Place) -> float | None:
    """Return what the command expects beforehand; None for the other ways."""
    if name not in WORKERS:
        return None
    answer, _ = _django(place, *SEED, f"--workers={WORKERS[name]}", "--dry-run")
    return float(json.loads(answer)["facts"]["seconds_expected"])


def _django(place: Place, *argv: str) -> tuple[str, int]:
    """Run Python in the project's folder; return its stdout and its peak memory in bytes."""
    env = {
        **os.environ,
        "DATABASE_URL": place.url,
        "SECRET_KEY": "benchmark " * 6,
        "OPSMIGRATE_ENVIRONMENT": "development",
        "DJANGO_SETTINGS_MODULE": "staging_settings",
    }
    with tempfile.TemporaryFile("w+") as answer:
        process = subprocess.Popen([sys.executable, *argv], cwd=ROOT, env=env, stdout=answer)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        answer.seek(0)
        text = answer.read()
    if process.returncode:
        sys.exit(f"{' '.join(argv)} ended with {process.returncode}:\n{text}")
    return text, usage.ru_maxrss * 1024


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One way, once; seconds, bytes, and the writers' latencies in milliseconds."""

    seconds: float
    rows: int
    cpu: float | None
    wal: int
    growth: int
    idle: Writes
    during: Writes
    memory: int | None
    expected_seconds: float | None


def measure(name: str, place: Place, clock: CpuClock | None) -> Measured:
    """Run a way with the writer beside it."""
    with psycopg.connect(place.url, autocommit=True) as connection:

        def ask(query: str) -> tuple[int, ...]:
            row = connection.execute(query).fetchone()
            assert row is not None  # noqa: S101
            return tuple(row)

        connection.execute("VACUUM ANALYZE treasury_payment")
        connection.execute("CHECKPOINT")
        expected = expected_seconds(name, place)
        with writing(place.url) as writer:
            time.sleep(IDLE_SECONDS)
            sizes, wal = sum(ask(SIZES)), ask(WAL)[0]
            cpu, began = clock.seconds() if clock else 0.0, time.time()
            done = WAYS[name](place)
            ended = time.time()
            cpu_used = clock.seconds() - cpu if clock else None
            wal_used, growth = ask(WAL)[0] - wal, sum(ask(SIZES)) - sizes
        return Measured(
            seconds=ended - began,
            rows=done.rows,
            cpu=cpu_used,
            wal=wal_used,
            growth=growth,
            idle=writer.between(began - IDLE_SECONDS + 0.5, began),
            during=writer.between(began, ended),
            memory=done.memory,
            expected_seconds=expected,
        )


HEAD = (
    f"{'way':<16}{'wall s':>9}{'rows/s':>10}{'CPU s':>8}{'WAL MB':>8}{'growth MB':>11}"
    f"{'p50':>7}{'p99':>8}{'longest ms (idle p99)':>24}{'memory MB':>11}{'expected s':>12}"
)


def line_of(name: str, runs: list[Measured], rows: int) -> str:
    """Return the line of a way: the means of its runs, extrapolated where it did a part."""
    factor = rows / runs[0].rows if runs[0].rows < rows else 1.0
    seconds = mean(run.seconds for run in runs) * factor
    cpu = [run.cpu * factor for run in runs if run.cpu is not None]
    memory = [run.memory for run in runs if run.memory]
    expected = [run.expected_seconds for run in runs if run.expected_seconds]
    text = f"{name:<16}{seconds:>9.1f}{rows / seconds:>10,.0f}"
    text += f"{mean(cpu):>8.1f}" if cpu else f"{'-':>8}"
    text += f"{mean(run.wal for run in runs) * factor / 1e6:>8.0f}"
    text += f"{mean(run.growth for run in runs) * factor / 1e6:>11.0f}"
    text += (
        f"{mean(run.during.p50 for run in runs):>7.1f}{mean(run.during.p99 for run in runs):>8.1f}"
    )
    longest = max(run.during.longest for run in runs)
    text += f"{longest:>15.0f} ({mean(run.idle.p99 for run in runs):>5.1f})"
    text += f"{max(memory) / 1e6:>11.0f}" if memory else f"{'':>11}"
    text += f"{mean(expected):>12.1f}" if expected else ""
    return text + (f"  extrapolated from {runs[0].rows:,} rows" if factor > 1 else "")


def ratios(name: str, runs: list[Measured], base: list[Measured]) -> str:
    """Return the line with the ratios to the one UPDATE."""
    parts = [f"wall {_ratio(runs, base, lambda run: run.seconds):.2f}x"]
    if all(run.cpu is not None for run in (*runs, *base)):
        parts.append(f"CPU {_ratio(runs, base, lambda run: run.cpu or 0.0):.2f}x")
    parts.append(f"WAL {_ratio(runs, base, lambda run: run.wal):.2f}x")
    parts.append(f"growth {_ratio(runs, base, lambda run: run.growth):.2f}x")
    p99 = mean(run.during.p99 for run in runs) / max(mean(run.idle.p99 for run in runs), 1e-3)
    return f"  {name:<16} " + ", ".join(parts) + f"; writers' p99 {p99:.1f}x idle"


def _ratio(
    runs: list[Measured], base: list[Measured], figure: Callable[[Measured], float]
) -> float:
    return mean(figure(run) for run in runs) / max(mean(figure(run) for run in base), 1e-9)


def prepare(url: str, rows: int) -> None:
    """Make the template: the database of the story with that many payments."""
    place = Place(url=url, rows=rows)
    os.environ["TREASURY_STAGING_PASSWORD"] = "of no use to anybody"  # noqa: S105
    _django(place, "manage.py", "make_legacy_staging", f"--rows={rows}", "-v0")
    place.execute("VACUUM ANALYZE")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000, help="payments (default: 1000000)")
    parser.add_argument("--runs", type=int, default=3, help="of each way (default: 3)")
    parser.add_argument("--major", type=int, help="of the server (default: the newest at hand)")
    parser.add_argument("--way", action="append", choices=WAYS, help="only this one; repeatable")
    options = parser.parse_args()
    found: dict[str, list[Measured]] = {name: [] for name in options.way or WAYS}
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), major=options.major, durable=True) as server,
    ):
        clock = CpuClock.of(server.data)
        admin = Place(url=server.url, rows=0)
        admin.execute("CREATE DATABASE template")
        base = server.url.rsplit("/", 1)[0]
        prepare(f"{base}/template", options.rows)
        for number in range(options.runs):
            for name in found:
                admin.execute("CREATE DATABASE measured TEMPLATE template")
                place = Place(url=f"{base}/measured", rows=options.rows)
                found[name].append(measure(name, place, clock))
                admin.execute("DROP DATABASE measured WITH (FORCE)")
                print(
                    f"run {number + 1}: {line_of(name, found[name][-1:], options.rows)}", flush=True
                )
        print(f"\nPostgreSQL {server.major}, {options.rows:,} rows, means of {options.runs} runs")
    print(HEAD)
    for name, runs in found.items():
        print(line_of(name, runs, options.rows))
    if BASE in found:
        print(f"\nagainst {BASE}:")
        for name, runs in found.items():
            if name != BASE and runs[0].rows >= options.rows:
                print(ratios(name, runs, found[BASE]))


if __name__ == "__main__":
    main()
