"""What is there, and whether the goal can be reached from it; nothing is written."""

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.convert import follow_triggers, same_check
from opsmigrate.backfill.duplicates import ALL_BUT_ONE, all_but_one, new_value
from opsmigrate.backfill.expression import is_one_for_all
from opsmigrate.backfill.goal import Goal
from opsmigrate.backfill.obstacles import Ours, read_obstacles
from opsmigrate.backfill.plans import Conversion, InPlace, plan_for
from opsmigrate.backfill.possible import require_no_obstacle, require_possible
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


def examine(connection: BaseDatabaseWrapper, goal: Goal, options: SeedOptions) -> Examined:
    """Return how the goal is reached from what is there; raise RefusedError where it cannot be.

    It may read every row.
    """
    require_session(connection)
    prepare(connection)
    plan = plan_for(connection, goal, again=options.again)
    require_possible(connection, plan)
    plan.require_convertible(connection)
    findings: tuple[Finding, ...] = ()
    if plan.needs_fill:
        ours = Ours(checks=(CHECK, same_check(goal)), triggers=follow_triggers(goal))
        obstacles = read_obstacles(connection, plan.filled, plan.state, ours)
        require_no_obstacle(obstacles, plan.state, goal, options)
        there = read_state(connection, plan.filled)
        findings = _published(plan.filled, there, obstacles.publications)
    _require_different_values(connection, plan)
    _require_no_duplicates(connection, plan)
    return Examined(plan, findings)


def _published(goal: Goal, state: State, publications: tuple[str, ...]) -> tuple[Finding, ...]:
    if not publications or state.has_column:
        return ()
    add = f"ALTER TABLE {goal.typed_table} ADD COLUMN {goal.typed_column} {goal.type}"
    finding = Finding(
        id="published-table",
        severity=Severity.WARNING,
        message=f"{goal.label} is published for logical replication ({', '.join(publications)}); "
        f"a subscriber whose table has no column {goal.column} stops replicating",
        hint="on each subscriber, before the seed: add the column",
        steps=(statement(add),),
        table=goal.label,
        column=goal.column,
    )
    return (finding,)


def _require_different_values(connection: BaseDatabaseWrapper, plan: InPlace) -> None:
    goal, theirs = plan.goal, plan.default
    if not goal.unique or goal.reads_row:
        return
    if not is_one_for_all(connection, theirs or goal.expression, goal.type):
        return
    whose = f"the default of {goal.label}.{goal.column}" if theirs else "the expression"
    hint = "give an expression with a different value for each row with --expression, or leave the "
    hint += "column without uniqueness with --no-unique"
    steps: tuple[Step, ...] = ()
    if theirs and not is_one_for_all(connection, goal.expression, goal.type):
        hint = "give the column a default with a different value for each row, and run it again"
        default = f"ALTER COLUMN {goal.typed_column} SET DEFAULT {goal.expression}"
        steps = (statement(f"ALTER TABLE {goal.typed_table} {default}"), command(plan.again))
    raise RefusedError(
        f"{whose}, {theirs or goal.expression}, is the same value for all rows, and the column is "
        "to be unique: the second row with it would be refused",
        id="unique-with-one-default",
        hint=hint,
        steps=steps,
        table=goal.label,
        column=goal.column,
    )


def _require_no_duplicates(connection: BaseDatabaseWrapper, plan: InPlace) -> None:
    if not plan.goal.unique or plan.adds_column or plan.state.valid_index:
        return
    _, _, duplicates = count_grouped(connection, plan.goal)
    if duplicates:
        raise duplicates_found(connection, plan.goal, duplicates, again=plan.again)


def duplicates_found(
    connection: BaseDatabaseWrapper, goal: Goal, duplicates: int, *, again: str
) -> RefusedError:
    """Return the refusal that shows some of the values that stand on more than one row."""
    column = sql.Identifier(goal.column)
    query = sql.SQL(
        "SELECT {column}::text, count(*) FROM {table} WHERE {column} IS NOT NULL"
        " GROUP BY {column} HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT {shown}"
    ).format(column=column, table=goal.relation, shown=sql.Literal(SHOWN))
    with connection.cursor() as cursor:
        cursor.execute(query)
        values = dict(cursor.fetchall())
    shown = ", ".join(f"{value} in {rows}" for value, rows in values.items())
    return RefusedError(
        f"{counted(duplicates, 'value')} of {goal.label}.{goal.column} "
        f"{'is' if duplicates == 1 else 'are'} in more than one row, so it cannot become unique: "
        f"{shown}",
        id="duplicates",
        hint=ALL_BUT_ONE,
        steps=all_but_one(goal, goal.typed_column, new_value(goal), again=again),
        table=goal.label,
        column=goal.column,
        evidence={"duplicates": duplicates, "values": values},
    )
