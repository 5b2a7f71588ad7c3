"""What is there, and whether the goal can be reached from it; nothing is written."""

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.convert import follow_triggers, same_check
from opsmigrate.backfill.duplicate_remedies import ALL_BUT_ONE, all_but_one, new_value
from opsmigrate.backfill.expression import is_one_for_all
from opsmigrate.backfill.obstacles import OwnObjects, read_obstacles
from opsmigrate.backfill.plans import Conversion, InPlace, plan_for
from opsmigrate.backfill.preconditions import require_no_obstacle, require_preconditions
from opsmigrate.backfill.sessions import prepare, require_session
from opsmigrate.backfill.state import CHECK, State, read_state
from opsmigrate.backfill.verify import count_grouped
from opsmigrate.backfill.work import SeedOptions
from opsmigrate.counted import counted
from opsmigrate.errors import RefusedError
from opsmigrate.report import Finding, Severity
from opsmigrate.steps import Step, command, statement

SHOWN = 5


@dataclass(frozen=True)
class Examined:
    """How the goal is reached from what is there, and what is worth a warning."""

    plan: InPlace | Conversion
    findings: tuple[Finding, ...] = ()


def examine(connection: BaseDatabaseWrapper, spec: ColumnSpec, options: SeedOptions) -> Examined:
    """Return how the goal is reached from what is there; raise RefusedError where it cannot be.

    It may read every row.
    """
    require_session(connection)
    prepare(connection)
    plan = plan_for(connection, spec, again=options.again)
    require_preconditions(connection, plan)
    plan.require_convertible(connection)
    findings: tuple[Finding, ...] = ()
    if plan.needs_fill:
        ours = OwnObjects(checks=(CHECK, same_check(spec)), triggers=follow_triggers(spec))
        obstacles = read_obstacles(connection, plan.filled, plan.state, ours)
        require_no_obstacle(obstacles, plan.state, spec, options)
        there = read_state(connection, plan.filled)
        findings = _published(plan.filled, there, obstacles.publications)
    _require_different_values(connection, plan)
    _require_no_duplicates(connection, plan)
    return Examined(plan, findings)


def _published(
    spec: ColumnSpec, state: State, publications: tuple[str, ...]
) -> tuple[Finding, ...]:
    if not publications or state.has_column:
        return ()
    add = f"ALTER TABLE {spec.typed_table} ADD COLUMN {spec.typed_column} {spec.type}"
    finding = Finding(
        id="published-table",
        severity=Severity.WARNING,
        message=f"{spec.label} is published for logical replication ({', '.join(publications)}); "
        f"a subscriber whose table has no column {spec.column} stops replicating",
        hint="on each subscriber, before the seed: add the column",
        steps=(statement(add),),
        table=spec.label,
        column=spec.column,
    )
    return (finding,)


def _require_different_values(connection: BaseDatabaseWrapper, plan: InPlace) -> None:
    spec, theirs = plan.spec, plan.default
    if not spec.unique or spec.reads_row:
        return
    if not is_one_for_all(connection, theirs or spec.expression, spec.type):
        return
    whose = f"the default of {spec.label}.{spec.column}" if theirs else "the expression"
    hint = "give an expression with a different value for each row with --expression, or leave the "
    hint += "column without uniqueness with --no-unique"
    steps: tuple[Step, ...] = ()
    if theirs and not is_one_for_all(connection, spec.expression, spec.type):
        hint = "give the column a default with a different value for each row, and run it again"
        default = f"ALTER COLUMN {spec.typed_column} SET DEFAULT {spec.expression}"
        steps = (statement(f"ALTER TABLE {spec.typed_table} {default}"), command(plan.again))
    raise RefusedError(
        f"{whose}, {theirs or spec.expression}, is the same value for all rows, and the column is "
        "to be unique: the second row with it would be refused",
        id="unique-with-one-default",
        hint=hint,
        steps=steps,
        table=spec.label,
        column=spec.column,
    )


def _require_no_duplicates(connection: BaseDatabaseWrapper, plan: InPlace) -> None:
    if not plan.spec.unique or plan.adds_column or plan.state.valid_index:
        return
    _, _, duplicates = count_grouped(connection, plan.spec)
    if duplicates:
        raise duplicates_found(connection, plan.spec, duplicates, again=plan.again)


def duplicates_found(
    connection: BaseDatabaseWrapper, spec: ColumnSpec, duplicates: int, *, again: str
) -> RefusedError:
    """Return the refusal that shows some of the values that stand on more than one row."""
    column = sql.Identifier(spec.column)
    query = sql.SQL(
        "SELECT {column}::text, count(*) FROM {table} WHERE {column} IS NOT NULL"
        " GROUP BY {column} HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT {shown}"
    ).format(column=column, table=spec.relation, shown=sql.Literal(SHOWN))
    with connection.cursor() as cursor:
        cursor.execute(query)
        values = dict(cursor.fetchall())
    shown = ", ".join(f"{value} in {rows}" for value, rows in values.items())
    return RefusedError(
        f"{counted(duplicates, 'value')} of {spec.label}.{spec.column} "
        f"{'is' if duplicates == 1 else 'are'} in more than one row, so it cannot become unique: "
        f"{shown}",
        id="duplicates",
        hint=ALL_BUT_ONE,
        steps=all_but_one(spec, spec.typed_column, new_value(spec), again=again),
        table=spec.label,
        column=spec.column,
        evidence={"duplicates": duplicates, "values": values},
    )
