"""How long a seed will take, from the size of the table and the speed of the server."""

import time

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backfill.pace import Pace
from opsmigrate.backfill.state import State

# The server does this once to show its speed; it reads no table.
PROBE = "SELECT count(md5(n::text)) FROM generate_series(1, 50000) n"
PROBES = 3
# What the parts cost where one probe takes a second, measured beside 200 writes a second.
FILL_SECONDS_PER_ROW = 0.0006
SCAN_SECONDS_PER_BLOCK = 0.0008
INDEX_SECONDS_PER_ROW = 0.0001
SECONDS_PER_PHASE = 0.05
# The second worker does not double the speed, and more do little.
GAIN_OF_WORKERS = 0.4


def estimate(connection: BaseDatabaseWrapper, state: State, pace: Pace, *, fills: bool) -> float:
    """Return about how many seconds the whole seed takes, within a factor of two or so."""
    speed = _probe(connection)
    rows, blocks = state.rows, state.blocks
    seconds = SECONDS_PER_PHASE * 8 + 2 * blocks * SCAN_SECONDS_PER_BLOCK * speed
    seconds += rows * INDEX_SECONDS_PER_ROW * speed
    if fills:
        fill = rows * FILL_SECONDS_PER_ROW * speed / (1 + GAIN_OF_WORKERS * (pace.workers - 1))
        if pace.max_rows_per_second:
            fill = max(fill, rows / pace.max_rows_per_second)
        seconds += fill
    return seconds


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
