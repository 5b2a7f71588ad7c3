"""From whatever is there to the goal, while the application keeps writing."""

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from django.db import DatabaseError, Error, IntegrityError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.convert import COMPARE, shadow_of
from opsmigrate.backfill.estimate import estimate_scan
from opsmigrate.backfill.examine import Examined, duplicates_found, examine
from opsmigrate.backfill.fill import Tally, fill
from opsmigrate.backfill.index_progress import watched_index
from opsmigrate.backfill.phases import VALIDATE, Phase
from opsmigrate.backfill.plans import FILL, Conversion, InPlace, plan_for
from opsmigrate.backfill.sessions import (
    filling_sessions,
    is_lost,
    reconnect,
    require_writable,
    seed_lock,
)
from opsmigrate.backfill.state import State, read_state
from opsmigrate.backfill.sweep import sweep
from opsmigrate.backfill.verify import count_grouped, verify
from opsmigrate.backfill.work import OutOfTimeError, SeedOptions, Work
from opsmigrate.counted import counted
from opsmigrate.errors import OpsmigrateError, RefusedError
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.interruptible import run_interruptibly
from opsmigrate.postgres.locks import execute_with_short_locks
from opsmigrate.progress import Progress
from opsmigrate.report import Result
from opsmigrate.steps import command, statement

# How often rows may turn up without a value after the sweep found none: each time somebody wrote
# NULL, or moved a row to another partition, in the moment before NULLs were forbidden.
MOST_VALIDATIONS = 5
# What CREATE INDEX CONCURRENTLY says while nothing would be lost by ending it (PostgreSQL
# documentation, CREATE INDEX Progress Reporting).
BEFORE_THE_INDEX = ("waiting (", "initializing", "waiting for writers before build")


def seed(
    connection: BaseDatabaseWrapper, spec: ColumnSpec, options: SeedOptions, progress: Progress
) -> Result:
    """Add, fill and constrain the column of `spec`; return the verified result.

    Raises RefusedError before anything is written, UndecidedError where not even the first lock
    was obtained, PartialError where the work stopped part of the way and can be run again. A lost
    connection is got back; what was done by then is seen and not done again.
    """
    work = Work(connection, spec, options, progress)
    with work.stopped_in_good_order():
        examined = run_interruptibly(connection, lambda: _examine(work), watch=work.require_time)
        while not _bring_about(work, examined.plan.state.oid):
            work.reconnects += 1
        work.require_time_for("read every row", lambda: _expected(work, spec, index=False))
        with work.phase("verify"):
            result = verify(
                connection, spec, again=options.again, done=work.facts(), thorough=False
            )
    return result.with_findings(*examined.findings)


def _examine(work: Work) -> Examined:
    """Examine; what looks impossible beside another run is that run, half way."""
    connection, spec = work.connection, work.spec
    require_writable(connection)
    try:
        return examine(connection, spec, work.options)
    except RefusedError:
        with seed_lock(connection, read_state(connection, spec).oid, spec):
            pass
        raise


def _expected(work: Work, spec: ColumnSpec, *, index: bool) -> float:
    state = read_state(work.connection, spec)
    return estimate_scan(work.connection, state, index=index)


def _bring_about(work: Work, oid: int) -> bool:
    """Run every phase that is not done; return False where the connection was lost and is back."""
    try:
        patience = work.options.pace.patience if work.reconnects else 0.0
        with seed_lock(work.connection, oid, work.spec, patience=patience):
            _run_phases(work)
    except RefusedError as error:
        if not work.begun:
            raise
        raise work.partial(str(error)) from error
    except DatabaseError as error:
        if not work.begun or not is_lost(work.connection):
            raise
        work.progress.phase("the connection was lost; reconnecting …")
        patience = work.options.pace.patience
        if not reconnect(work.connection, patience=patience, between=work.require_time):
            raise work.partial(
                f"the connection was lost, and could not be restored within {patience:g} s"
            ) from error
        return False
    return True


def _run_phases(work: Work) -> None:
    connection, spec, again = work.connection, work.spec, work.options.again
    plan = plan_for(connection, spec, again=again)
    _run_stages(work, plan)
    if isinstance(plan, Conversion):
        _run_stages(work, plan_for(connection, spec, again=again))
    if work.begun:
        analyze = sql.SQL("ANALYZE {}").format(spec.relation)
        with work.phase("analyze"):
            _execute(work, (analyze,))


def _run_stages(work: Work, plan: InPlace) -> None:
    for stage in plan.stages():
        if stage.phases is not FILL:
            _run(work, stage.spec, stage.phases(work.connection))
            continue
        state = read_state(work.connection, stage.spec)
        if not state.not_null:
            _fill(work, stage.spec, state)


def _run(work: Work, spec: ColumnSpec, phases: Sequence[Phase]) -> None:
    for phase in phases:
        work.require_time()
        if phase.whole:
            index = not phase.in_transaction
            work.require_time_for(phase.name, partial(_expected, work, spec, index=index))
        with work.phase(phase.name):
            if phase.in_transaction:
                _run_locking(work, spec, phase)
            else:
                _run_concurrently(work, spec, phase)
        work.begun = True
        work.phases_done += 1
        work.long_phases_done += phase.whole


def _run_locking(work: Work, spec: ColumnSpec, phase: Phase) -> None:
    oids = _oids(work, spec)

    for left in reversed(range(MOST_VALIDATIONS)):
        try:
            execute_with_short_locks(
                work.connection,
                phase.statements,
                table_oids=oids,
                tries=work.tries,
                as_project=phase.as_project,
            )
            break
        except IntegrityError as error:
            if phase.name == COMPARE:
                raise _changed_past_the_triggers(work, spec) from error
            if phase.name != VALIDATE or not left:
                raise
            before = work.tally.rows
            _sweep(work, spec)
            if work.tally.rows == before:
                raise _without_value(work, spec) from None


def _without_value(work: Work, spec: ColumnSpec) -> OpsmigrateError:
    select = f"SELECT * FROM {spec.typed_table} WHERE {spec.typed_column} IS NULL"  # noqa: S608
    return OpsmigrateError(
        f"rows of {spec.label} get no value from {spec.expression!r}, so "
        f"{spec.column} cannot become NOT NULL",
        id="not-seeded",
        hint="give those rows a value by hand, and run it again",
        steps=(statement(select), command(work.options.again)),
        table=spec.label,
        column=spec.column,
        facts=work.facts(),
    )


def _changed_past_the_triggers(work: Work, spec: ColumnSpec) -> OpsmigrateError:
    shadow = shadow_of(spec)
    text = f"{spec.typed_column}::uuid"
    update = (
        f"UPDATE {spec.typed_table} SET {shadow.typed_column} = {text}"  # noqa: S608
        f" WHERE {shadow.typed_column} IS DISTINCT FROM {text}"
    )
    return OpsmigrateError(
        f"{spec.column} of {spec.label} was changed while its triggers were disabled, so "
        f"{shadow.column} does not match; nothing is lost, and the text column is unchanged",
        id="not-seeded",
        hint="copy the text to the uuid column again, and continue",
        steps=(statement(update), command(work.options.again)),
        table=spec.label,
        column=spec.column,
        facts=work.facts(),
    )


def _oids(work: Work, spec: ColumnSpec) -> list[int]:
    state = read_state(work.connection, spec)
    return list({state.oid, *(leaf.oid for leaf in state.leaves)})


def _run_concurrently(work: Work, spec: ColumnSpec, phase: Phase) -> None:
    # CONCURRENTLY waits for older transactions; a time-out would leave an INVALID index.
    no_timeout = sql.SQL("SET lock_timeout = 0")
    building = False

    def say(text: str, share: float | None) -> None:
        nonlocal building
        building = building or not text.startswith(BEFORE_THE_INDEX)
        work.progress.update(text, share=share)

    try:
        with watched_index(work.connection, say) as look:

            def watch() -> None:
                look()
                if not building:
                    work.require_time()

            statements = (no_timeout, *phase.statements)
            run_interruptibly(work.connection, lambda: _execute(work, statements), watch=watch)
    except IntegrityError as error:
        _drop_invalid_index(work, spec)
        _, _, duplicates = count_grouped(work.connection, spec)
        found = duplicates_found(work.connection, spec, duplicates, again=work.options.again)
        raise OpsmigrateError(
            str(found),
            id="duplicates",
            hint=found.hint,
            steps=found.steps,
            table=found.table,
            column=found.column,
            evidence=found.evidence,
            facts=work.facts(),
        ) from error
    except (KeyboardInterrupt, OutOfTimeError):
        _drop_invalid_index(work, spec)
        raise


def _drop_invalid_index(work: Work, spec: ColumnSpec) -> None:
    """Drop what a failure left: it costs every writer. Where that fails, the next run does it."""
    with suppress(Error):
        invalid = read_state(work.connection, spec).invalid_index
        if invalid is not None:
            with work.connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '100ms'")
                drop = sql.SQL("DROP INDEX IF EXISTS {}")
                cursor.execute(drop.format(sql.Identifier(spec.schema, invalid)))


def _execute(work: Work, statements: Sequence[Composable]) -> None:
    with work.connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _fill(work: Work, spec: ColumnSpec, state: State) -> None:
    work.begun = True
    if not work.tally.rows:
        work.tally.started = time.monotonic()
    options = work.options
    with work.phase("fill"):
        work.progress.phase(
            f"  about {counted(state.rows, 'row')} in {counted(state.blocks, 'block')}"
        )
        fill(
            work.connection,
            spec,
            state.leaves,
            pace=options.pace,
            tally=work.tally,
            open_session=filling_sessions(
                options.pace.lock_timeout, skip_triggers=options.triggers == "skip"
            ),
            between=lambda tally: _between(work, tally, state.rows),
        )
    _sweep(work, spec)
    work.tally.seconds = time.monotonic() - work.tally.started


def _sweep(work: Work, spec: ColumnSpec) -> None:
    """Fill what is left, on a session like those of the fill."""
    options = work.options
    open_session = filling_sessions(
        options.pace.lock_timeout, skip_triggers=options.triggers == "skip"
    )
    with work.phase("sweep"):
        other = open_session(work.connection)
        try:
            run_interruptibly(
                other,
                lambda: sweep(
                    other,
                    spec,
                    lambda: read_state(other, spec).leaves,
                    pace=options.pace,
                    tally=work.tally,
                    between=lambda tally: work.require_time(),
                ),
                watch=work.require_time,
            )
        finally:
            other.close()


def _between(work: Work, tally: Tally, rows: int) -> None:
    share = tally.share
    expected = max(rows, tally.rows)
    text = f"{tally.rows:,} of about {counted(expected, 'row')} ({share:.0%})"
    text += f", {tally.rows_per_second:,.0f} rows/s"
    elapsed = time.monotonic() - tally.started
    if 0.01 < share < 1:
        text += f", {elapsed * (1 - share) / share:,.0f} s left"
    text += f", batches of {tally.batch_rows:,}"
    if tally.throttled_by:
        text += f", slowed down by {tally.throttled_by}"
    work.progress.update(text, share=share)
    work.require_time()
