"""How long a seed will take, from the size of the table and the speed of the server."""

import time

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.pace import Pace
from opsmigrate.backfill.state import State
from opsmigrate.backfill.tables import Leaf

# The server does this once to show its speed; it reads no table.
PROBE = "SELECT count(md5(n::text)) FROM generate_series(1, 50000) n"
PROBES = 3
# What the parts cost where one probe takes a second, measured beside 200 writes a second. Each
# index takes a part of the updates, those that find no room in their page; each page is written to
# the WAL as a whole once.
FILL_SECONDS_PER_ROW = 0.0003
FILL_SECONDS_PER_ROW_AND_INDEX = 0.00008
FILL_SECONDS_PER_BLOCK = 0.008
SCAN_SECONDS_PER_BLOCK = 0.0006
INDEX_SECONDS_PER_ROW = 0.0001
# The index reads the table twice, the check and the verification once.
SCANS = 4
SECONDS_PER_PHASE = 0.05
# The second worker does not double the speed, and more do little.
GAIN_OF_WORKERS = 0.4

INDEXES = "SELECT count(*) FROM pg_index WHERE indrelid = %s"


def estimate(connection: BaseDatabaseWrapper, state: State, pace: Pace, *, fills: bool) -> float:
    """Return about how many seconds the whole seed takes, within a factor of two or so."""
    speed = _probe(connection)
    seconds = SECONDS_PER_PHASE * 8 + SCANS * state.blocks * SCAN_SECONDS_PER_BLOCK * speed
    seconds += state.rows * INDEX_SECONDS_PER_ROW * speed
    if fills:
        fill = speed * sum(_fill(connection, leaf) for leaf in state.leaves)
        fill /= 1 + GAIN_OF_WORKERS * (pace.workers - 1)
        if pace.max_rows_per_second:
            fill = max(fill, state.rows / pace.max_rows_per_second)
        seconds += fill
    return seconds


def _fill(connection: BaseDatabaseWrapper, leaf: Leaf) -> float:
    with connection.cursor() as cursor:
        cursor.execute(INDEXES, [leaf.oid])
        indexes = cursor.fetchone()[0]
    row = FILL_SECONDS_PER_ROW + indexes * FILL_SECONDS_PER_ROW_AND_INDEX
    return float(leaf.rows * row + leaf.blocks * FILL_SECONDS_PER_BLOCK)


def estimate_scan(connection: BaseDatabaseWrapper, state: State, *, index: bool) -> float:
    """Return about how many seconds it takes to read every row once, or to make the index."""
    seconds = state.blocks * SCAN_SECONDS_PER_BLOCK
    seconds += state.rows * INDEX_SECONDS_PER_ROW if index else 0.0
    return seconds * _probe(connection)


def _probe(connection: BaseDatabaseWrapper) -> float:
    started = time.monotonic()
    with connection.cursor() as cursor:
        for _ in range(PROBES):
            cursor.execute(PROBE)
            cursor.fetchone()
    # The mean and not the best: where others use the server, they will do so during the seed.
    return (time.monotonic() - started) / PROBES
