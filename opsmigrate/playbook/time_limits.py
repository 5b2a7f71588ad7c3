"""How long a lock of the migration may be waited for, and a statement may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.migrations import Migration, RunPython

from opsmigrate.schema.applied import flat

# The forecast is that of an idle server, or of a copy: only what is far beyond it has gone wrong.
TIMES_THE_FORECAST = 20.0
SHORTEST_SECONDS = 60.0
# CREATE INDEX CONCURRENTLY and its like block nobody while they wait, and leave an INVALID index
# behind where they are ended.
SECONDS_CONCURRENTLY = 600.0


@dataclass(frozen=True, kw_only=True)
class TimeLimits:
    """In seconds; a `statement` of None is not limited, and one that runs CONCURRENTLY never is."""

    lock: float
    statement: float | None


def statement_limit(
    expected: Sequence[float | None], migrations: Sequence[Migration], *, rehearsed: bool
) -> float | None:
    """Return the statement_timeout, in seconds, that the forecast allows; None where it cannot say.

    `expected` is what each statement may take, in seconds, None where that is not known. What the
    code of a migration executes is known after a rehearsal only.
    """
    has_code = any(
        isinstance(operation, RunPython)
        for migration in migrations
        for operation in flat(migration.operations)
    )
    known = [seconds for seconds in expected if seconds is not None]
    if len(known) < len(expected) or (has_code and not rehearsed):
        return None
    return max(SHORTEST_SECONDS, TIMES_THE_FORECAST * max(known, default=0.0))
