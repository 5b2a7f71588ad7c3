"""A session that writes as the application does, and knows how long each write took."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

WRITES_PER_SECOND = 200
INSERT = """
INSERT INTO treasury_payment (
    reference, payee, amount, currency, status, due_date, created_at, updated_at, memo, account_id
)
SELECT 'LIVE-' || %(number)s, 'Benchmark', 100, currency, 'pending', current_date + 30,
       now(), now(), '', id
FROM treasury_account ORDER BY id LIMIT 1
"""
UPDATE = "UPDATE treasury_payment SET updated_at = now() WHERE id = %(id)s"
INSERTS_PER_UPDATE = 4


@dataclass(frozen=True)
class Writes:
    """How long the writes of a time took, in milliseconds."""

    p50: float
    p99: float
    longest: float


@dataclass
class Writer:
    """What the writer wrote: for each write, when it began and how many seconds it took."""

    writes: list[tuple[float, float]] = field(default_factory=list)

    def between(self, began: float, ended: float) -> Writes:
        """Return the latencies of the writes that began in that time."""
        took = sorted(took * 1000 for at, took in self.writes if began <= at <= ended)
        if not took:
            return Writes(math.nan, math.nan, math.nan)
        return Writes(took[len(took) // 2], took[int(len(took) * 0.99)], took[-1])


@contextmanager
def writing(url: str) -> Iterator[Writer]:
    """Write from a process of its own; the figures are in the writer at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.writer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None  # noqa: S101
    # Not on the command line: the URL has a password.
    process.stdin.write(url + "\n")
    process.stdin.flush()
    writer = Writer()
    try:
        yield writer
    finally:
        said, _ = process.communicate(timeout=60)
        writer.writes += [(at, took) for at, took in json.loads(said)]


def write(url: str, stop: threading.Event) -> list[tuple[float, float]]:
    """Write at the given rate until told to stop; a late write does not shift the others."""
    writes: list[tuple[float, float]] = []
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT max(id) FROM treasury_payment").fetchone()
        newest, began = (row[0] if row else 1), time.monotonic()
        while not stop.is_set():
            number = len(writes)
            stop.wait(max(0.0, began + number / WRITES_PER_SECOND - time.monotonic()))
            at, started = time.time(), time.perf_counter()
            if number % (INSERTS_PER_UPDATE + 1):
                connection.execute(INSERT, {"number": number})
            else:
                connection.execute(UPDATE, {"id": number * 7919 % newest + 1})
            writes.append((at, time.perf_counter() - started))
    return writes


def main() -> None:
    """Write until standard input ends, then print the writes as JSON."""
    url, stop = sys.stdin.readline().strip(), threading.Event()

    def wait() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait, daemon=True).start()
    print(json.dumps(write(url, stop)))


if __name__ == "__main__":
    main()
