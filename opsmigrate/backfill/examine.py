"""What is there, and whether the goal can be reached from it; nothing is written."""

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.convert import follow_triggers, is_text, same_check, shadow_of
from opsmigrate.backfill.convertible import require_convertible
from opsmigrate.backfill.duplicates import ALL_BUT_ONE, all_but_one, new_value
from opsmigrate.backfill.expression import is_one_for_all
from opsmigrate.backfill.goal import Goal
from opsmigrate.backfill.obstacles import Ours, read_obstacles
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
    """What is there, and what is worth a warning."""

    state: State
    findings: tuple[Finding, ...] = ()


def examine(connection: BaseDatabaseWrapper, goal: Goal, options: SeedOptions) -> Examined:
    """Return what is there; raise RefusedError where the goal cannot be reached from it.

    It may read every row.
    """
    require_session(connection)
    prepare(connection)
    state = read_state(connection, goal)
    require_possible(connection, state, goal, again=options.again)
    if is_text(state, goal):
        require_convertible(connection, goal, state, again=options.again)
    if needs_fill(state, goal):
        filled = shadow_of(goal) if is_text(state, goal) else goal
        ours = Ours(checks=(CHECK, same_check(goal)), triggers=follow_triggers(goal))
        obstacles = read_obstacles(connection, filled, state, ours)
        require_no_obstacle(obstacles, state, goal, options)
        there = read_state(connection, filled) if is_text(state, goal) else state
        findings = _published(filled, there, obstacles.publications)
    else:
        findings = ()
    _require_different_values(connection, goal, state, again=options.again)
    _require_no_duplicates(connection, goal, state, again=options.again)
    return Examined(state, findings)


def needs_fill(state: State, goal: Goal) -> bool:
    """Return whether rows may be without a value."""
    return not state.not_null or is_text(state, goal)


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


def _require_different_values(
    connection: BaseDatabaseWrapper, goal: Goal, state: State, *, again: str
) -> None:
    if not goal.unique or goal.reads_row:
        return
    theirs = None if is_text(state, goal) else state.default
    if not is_one_for_all(connection, theirs or goal.expression, goal.type):
        return
    whose = f"the default of {goal.label}.{goal.column}" if theirs else "the expression"
    hint = "give an expression with a different value for each row with --expression, or leave the "
    hint += "column without uniqueness with --no-unique"
    steps: tuple[Step, ...] = ()
    if theirs and not is_one_for_all(connection, goal.expression, goal.type):
        hint = "give the column a default with a different value for each row, and run it again"
        default = f"ALTER COLUMN {goal.typed_column} SET DEFAULT {goal.expression}"
        steps = (statement(f"ALTER TABLE {goal.typed_table} {default}"), command(again))
    raise RefusedError(
        f"{whose}, {theirs or goal.expression}, is the same value for all rows, and the column is "
        "to be unique: the second row with it would be refused",
        id="unique-with-one-default",
        hint=hint,
        steps=steps,
        table=goal.label,
        column=goal.column,
    )


def _require_no_duplicates(
    connection: BaseDatabaseWrapper, goal: Goal, state: State, *, again: str
) -> None:
    if not goal.unique or not state.has_column or state.valid_index or is_text(state, goal):
        return
    _, _, duplicates = count_grouped(connection, goal)
    if duplicates:
        raise duplicates_found(connection, goal, duplicates, again=again)


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
