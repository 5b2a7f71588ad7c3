"""From whatever is there to the goal, while the application keeps writing."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.fill import Pace, Tally, fill
from opsmigrate.backfill.goal import Goal
from opsmigrate.backfill.phases import (
    ROW,
    Phase,
    before_fill,
    not_null_phases,
    require_possible,
    unique_phases,
)
from opsmigrate.backfill.state import State, read_state
from opsmigrate.errors import PartialError, RefusedError, UndecidedError
from opsmigrate.postgres.errors import first_line
from opsmigrate.postgres.locks import LockNotObtainedError, LockWaits, execute_with_short_locks
from opsmigrate.postgres.session import is_pooled_by_transaction, set_for_session
from opsmigrate.postgres.values import count_nulls_and_duplicates
from opsmigrate.progress import Progress
from opsmigrate.report import Finding, Result, Severity, Verdict

# The first half of the advisory lock's key, "seed" in ASCII; the second half is the table's oid.
LOCK_SPACE = 0x73656564


@dataclass(frozen=True, kw_only=True)
class SeedOptions:
    """How to go about it; times in seconds, `again` is what to type to go on."""

    pace: Pace
    time_budget: float | None
    triggers: str
    again: str = "python manage.py seed_payment_id"


@dataclass
class _Work:
    """What a run has done so far."""

    connection: BaseDatabaseWrapper
    goal: Goal
    options: SeedOptions
    progress: Progress
    tally: Tally = field(default_factory=Tally)
    waits: LockWaits = field(default_factory=LockWaits)
    begun: bool = False
    started: float = field(default_factory=time.monotonic)


def seed(
    connection: BaseDatabaseWrapper, goal: Goal, options: SeedOptions, progress: Progress
) -> Result:
    """Add, fill and constrain the column of `goal`; return the verified result.

    Raises RefusedError before anything is written, UndecidedError where not even the first lock
    was obtained, PartialError where the work stopped part of the way and can be run again.
    """
    state = _examine(connection, goal, options)
    work = _Work(connection, goal, options, progress)
    with _only_one(connection, state.oid, goal), _stopped_in_good_order(work):
        _run(work, before_fill(state, goal), state.oid)
        _fill(work)
        _run(work, unique_phases(read_state(connection, goal), goal), state.oid)
        _run(work, not_null_phases(read_state(connection, goal), goal), state.oid)
        _analyze(work)
    return verify(connection, goal, work.tally, work.waits, again=options.again)


def _examine(connection: BaseDatabaseWrapper, goal: Goal, options: SeedOptions) -> State:
    """Return what is there; raise RefusedError where the goal cannot be reached from it."""
    if is_pooled_by_transaction(connection):
        raise RefusedError(
            "a connection pooler in transaction mode is in between; a seed needs one session",
            id="pooled-by-transaction",
            hint="point DATABASES at the server itself, not at the pooler",
        )
    # A time-out set for the role is meant for the application, not for a table of any size.
    set_for_session(connection, statement_timeout="0", idle_in_transaction_session_timeout="0")
    state = read_state(connection, goal)
    require_possible(state, goal, triggers=options.triggers)
    _require_no_duplicates(connection, goal, state)
    return state


def plan_of(connection: BaseDatabaseWrapper, goal: Goal, options: SeedOptions) -> Result:
    """Return what `seed` would do, having written nothing."""
    state = _examine(connection, goal, options)
    before, unique = before_fill(state, goal), unique_phases(state, goal)
    phases = [*before, *unique, *not_null_phases(state, goal)]
    described = [_described(connection, phase) for phase in phases]
    if not state.not_null:
        rows = f"about {state.rows:,} rows in {state.blocks:,} blocks, without a value"
        described.insert(len(before), {"phase": f"fill {rows}", "lock": ROW, "statements": []})
    lines = [
        line
        for item in described
        for line in (
            f"  {item['phase']} ({item['lock']})",
            *(f"    {s}" for s in item["statements"]),
        )
    ]
    return Result(
        verdict=Verdict.PASSED,
        summary=f"{len(described)} phases would be run; nothing was written"
        if described
        else f"{goal.label}.{goal.column} is seeded already; nothing to do",
        facts={"phases": described, "rows": state.rows},
        detail=tuple(lines),
    )


def verify(
    connection: BaseDatabaseWrapper,
    goal: Goal,
    tally: Tally | None = None,
    waits: LockWaits | None = None,
    *,
    again: str,
) -> Result:
    """Return whether the column is as the goal wants it, having read every row."""
    state = read_state(connection, goal)
    rows = nulls = duplicates = None
    wrong = [words for there, words in _demands(state, goal) if not there]
    if state.has_column:
        rows, nulls, duplicates = _count(connection, goal)
        wrong += [f"{nulls} rows without a value"] if nulls else []
        wrong += [f"{duplicates} values on more than one row"] if duplicates else []
    facts = {
        "rows": rows,
        "seeded": tally.rows if tally else 0,
        "batches": tally.batches if tally else 0,
        "rows_per_second": round(tally.rows_per_second) if tally and tally.rows else None,
        "longest_lock_wait_ms": round(waits.longest * 1000, 1) if waits else None,
        "nulls": nulls,
        "duplicates": duplicates,
    }
    if wrong:
        return _unseeded(goal, wrong, facts, again)
    seeded = f"{facts['seeded']:,} seeded now; " if tally else ""
    return Result(
        verdict=Verdict.PASSED,
        summary=f"{goal.label}.{goal.column}: {rows:,} rows, {seeded}NOT NULL, unique, "
        "0 NULLs, 0 duplicates",
        facts=facts,
    )


def _look_at_duplicates(goal: Goal) -> str:
    column = goal.column
    return (
        f"SELECT {column}, count(*) FROM {goal.label}"  # noqa: S608 - for people to type
        f" GROUP BY {column} HAVING count({column}) > 1"
    )


def _count(connection: BaseDatabaseWrapper, goal: Goal) -> tuple[int, int, int]:
    return count_nulls_and_duplicates(connection, goal.schema, goal.table, goal.column)


def _demands(state: State, goal: Goal) -> list[tuple[bool, str]]:
    return [
        (state.has_column, "the column is not there"),
        (state.column_type in (None, goal.type), f"its type is {state.column_type}"),
        (state.not_null or not state.has_column, "it may be NULL"),
        (
            state.constraint == goal.constraint or not state.has_column,
            f"it has no unique constraint {goal.constraint}",
        ),
        (
            state.default is not None or not state.has_column,
            "it has no default in the database, which the previous release needs",
        ),
    ]


def _unseeded(goal: Goal, wrong: Sequence[str], facts: dict[str, Any], again: str) -> Result:
    finding = Finding(
        id="not-seeded",
        severity=Severity.ERROR,
        message=f"{goal.label}.{goal.column} is not as it must be: {'; '.join(wrong)}",
        hint=again,
        table=goal.label,
        column=goal.column,
    )
    return Result(verdict=Verdict.FAILED, summary=finding.message, findings=(finding,), facts=facts)


def _described(connection: BaseDatabaseWrapper, phase: Phase) -> dict[str, Any]:
    with connection.cursor() as cursor:
        statements = [statement.as_string(cursor.cursor) for statement in phase.statements]
    return {"phase": phase.name, "lock": phase.lock, "statements": statements}


def _require_no_duplicates(connection: BaseDatabaseWrapper, goal: Goal, state: State) -> None:
    if not state.has_column or state.valid_index:
        return
    _, _, duplicates = _count(connection, goal)
    if duplicates:
        raise RefusedError(
            f"{duplicates} values of {goal.label}.{goal.column} stand on more than one row, so it "
            "cannot become unique",
            id="duplicates",
            hint=_look_at_duplicates(goal),
            table=goal.label,
            column=goal.column,
            evidence={"duplicates": duplicates},
        )


@contextmanager
def _only_one(connection: BaseDatabaseWrapper, oid: int, goal: Goal) -> Iterator[None]:
    # As a signed int4: oids go to 2^32 - 1.
    key = oid - (1 << 32) if oid >= 1 << 31 else oid
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_SPACE, key])
        if not cursor.fetchone()[0]:
            raise RefusedError(
                f"another run is seeding {goal.label} at this moment",
                id="already-running",
                hint="wait for it to end; its progress stands in its own output",
                table=goal.label,
            )
    try:
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, key])


@contextmanager
def _stopped_in_good_order(work: _Work) -> Iterator[None]:
    """Turn what stops the work into the sentence and the exit code that say how it stands."""
    try:
        yield
    except LockNotObtainedError as error:
        if work.begun:
            raise _partial(work, f"the lock was not obtained: {error}") from error
        raise UndecidedError(
            f"not begun, because the lock on {work.goal.label} was not obtained: {error}",
            id="lock-not-obtained",
            hint=f"end or wait for what holds the table; then {work.options.again}",
            table=work.goal.label,
        ) from error
    except KeyboardInterrupt:
        if not work.begun:
            raise
        raise _partial(work, "interrupted") from None
    except DatabaseError as error:
        if not work.begun:
            raise
        lost = "the connection was lost: " if not work.connection.is_usable() else ""
        raise _partial(work, f"{lost}{first_line(error)}") from error


def _partial(work: _Work, why: str) -> PartialError:
    done = f"{work.tally.rows:,} rows filled in {work.tally.batches:,} batches, all committed"
    return PartialError(
        f"stopped part of the way: {why}; {done}",
        id="stopped-part-way",
        hint=work.options.again,
        table=work.goal.label,
        facts={"seeded": work.tally.rows, "batches": work.tally.batches},
    )


def _run(work: _Work, phases: Sequence[Phase], oid: int) -> None:
    for phase in phases:
        _require_time(work)
        work.progress.phase(f"{phase.name} …")
        if phase.in_transaction:
            execute_with_short_locks(
                work.connection,
                phase.statements,
                table_oid=oid,
                lock_timeout=work.options.pace.lock_timeout,
                patience=work.options.pace.patience,
                waits=work.waits,
            )
        else:
            _run_concurrently(work, phase)
        work.begun = True


def _run_concurrently(work: _Work, phase: Phase) -> None:
    with work.connection.cursor() as cursor:
        # CONCURRENTLY waits for older transactions; a time-out would leave an INVALID index.
        cursor.execute("SELECT set_config('lock_timeout', '0', false)")
        for statement in phase.statements:
            cursor.execute(statement)


def _fill(work: _Work) -> None:
    state = read_state(work.connection, work.goal)
    if state.not_null:
        return
    work.progress.phase(f"fill about {state.rows:,} rows …")
    work.begun = True
    work.tally = Tally()
    fill(
        work.connection,
        work.goal,
        rows=state.rows,
        blocks=state.blocks,
        pace=work.options.pace,
        tally=work.tally,
        between=_between(work, state.rows),
    )


def _between(work: _Work, rows: int) -> Callable[[Tally], None]:
    def between(tally: Tally) -> None:
        share = f" of about {rows:,} ({min(tally.rows / rows, 1):.0%})" if rows else ""
        work.progress.update(f"{tally.rows:,} rows{share}, {tally.rows_per_second:,.0f} rows/s")
        _require_time(work)

    return between


def _require_time(work: _Work) -> None:
    budget = work.options.time_budget
    if work.begun and budget is not None and time.monotonic() - work.started > budget:
        raise _partial(work, f"the time budget of {budget:g} s is used up")


def _analyze(work: _Work) -> None:
    if not work.begun:
        return
    work.progress.phase("analyze …")
    with work.connection.cursor() as cursor:
        cursor.execute(sql.SQL("ANALYZE {}").format(work.goal.relation))
