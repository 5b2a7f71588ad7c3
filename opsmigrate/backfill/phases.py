"""The phases from what is there to the goal, each one recognised when it is already done."""

from dataclasses import dataclass

from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.goal import Goal
from opsmigrate.backfill.state import State
from opsmigrate.errors import RefusedError
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import generated_name

ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE, for milliseconds"
SHARE_UPDATE = "SHARE UPDATE EXCLUSIVE, which lets readers and writers go on"
ROW = "row locks, one batch at a time"
FORBID_NULLS = "ALTER TABLE {table} ADD CONSTRAINT {old} CHECK ({column} IS NOT NULL) NOT VALID"


@dataclass(frozen=True)
class Phase:
    """One step: its statements, the lock they take, and whether they may run in a transaction."""

    name: str
    statements: tuple[Composable, ...]
    lock: str
    in_transaction: bool = True


def require_possible(state: State, goal: Goal, *, triggers: str) -> None:
    """Raise RefusedError where the goal cannot be reached, before anything is written."""
    if state.kind != "r" or state.in_hierarchy:
        raise RefusedError(
            f"{goal.label} is partitioned or inherited, which cannot be seeded yet",
            id="table-hierarchy",
            hint="add the column by hand, partition by partition",
            table=goal.label,
        )
    if not state.owned:
        raise RefusedError(
            f"only the owner of {goal.label} may add a column to it",
            id="missing-privilege",
            hint="use the alias of the table's owner: --database ALIAS",
            table=goal.label,
        )
    if not state.may_create and state.constraint is None:
        raise RefusedError(
            f"the role may not create an index in schema {goal.schema}",
            id="missing-privilege",
            hint=f'GRANT CREATE ON SCHEMA "{goal.schema}" TO the role of this alias',
            table=goal.label,
        )
    if state.triggers and triggers == "refuse" and not _is_done(state):
        raise RefusedError(
            f"UPDATE triggers of {goal.label} would fire for every row that is filled: "
            f"{', '.join(state.triggers)}",
            id="update-triggers",
            hint="--triggers fire, where that does no harm",
            table=goal.label,
        )
    if state.has_column:
        _require_column(state, goal)
    if state.name_taken and not state.constraint:
        raise RefusedError(
            f"the name {goal.constraint} is taken by another relation in schema {goal.schema}",
            id="index-exists",
            hint=f'ALTER INDEX "{goal.schema}"."{goal.constraint}" RENAME TO …',
            table=goal.label,
        )


def _require_column(state: State, goal: Goal) -> None:
    if state.column_type != goal.type or state.generated:
        what = "generated" if state.generated else str(state.column_type)
        raise RefusedError(
            f"column {goal.column} of {goal.label} is there, but it is {what}, not {goal.type}",
            id="column-type",
            hint=f"rename or convert it: ALTER TABLE {goal.label} ALTER COLUMN {goal.column} "
            f"TYPE {goal.type} USING {goal.column}::{goal.type}",
            table=goal.label,
            column=goal.column,
        )


def _is_done(state: State) -> bool:
    return state.not_null and state.constraint is not None


def before_fill(state: State, goal: Goal) -> tuple[Phase, ...]:
    """Return what makes the column, and gives a value to rows that are inserted from now on."""
    phases = []
    if not state.has_column:
        # Without the default: one ALTER with a volatile default would rewrite the table.
        add = _sql("ALTER TABLE {table} ADD COLUMN {column} {type}", goal)
        phases.append(Phase("add the column", (add,), ACCESS_EXCLUSIVE))
    if state.default is None:
        default = _sql("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {expression}", goal)
        phases.append(Phase("set the default", (default,), ACCESS_EXCLUSIVE))
    return tuple(phases)


def unique_phases(state: State, goal: Goal) -> tuple[Phase, ...]:
    """Return what makes the column unique, under the name that Django's own DDL gives."""
    if state.constraint == goal.constraint:
        return ()
    if state.constraint:
        rename = _sql(
            "ALTER TABLE {table} RENAME CONSTRAINT {old} TO {constraint}", goal, state.constraint
        )
        return (Phase("rename the unique constraint", (rename,), ACCESS_EXCLUSIVE),)
    phases = []
    if state.invalid_index:
        drop = _sql("DROP INDEX CONCURRENTLY {schema}.{old}", goal, state.invalid_index)
        phases.append(
            Phase("drop the INVALID index left by a failure", (drop,), SHARE_UPDATE, False)
        )
    index = state.valid_index or goal.constraint
    if not state.valid_index:
        create = _sql("CREATE UNIQUE INDEX CONCURRENTLY {constraint} ON {table} ({column})", goal)
        phases.append(Phase("make the unique index", (create,), SHARE_UPDATE, False))
    attach = _sql(
        "ALTER TABLE {table} ADD CONSTRAINT {constraint} UNIQUE USING INDEX {old}", goal, index
    )
    phases.append(Phase("make it a constraint", (attach,), ACCESS_EXCLUSIVE))
    return tuple(phases)


def not_null_phases(state: State, goal: Goal) -> tuple[Phase, ...]:
    """Return what forbids NULLs without reading the table under a strong lock."""
    if state.not_null:
        return ()
    check = generated_name(goal.table, goal.column, "seeded")
    drop = "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {old}"
    return (
        Phase(
            "forbid NULLs in new rows",
            (
                _sql(drop, goal, check),
                _sql(FORBID_NULLS, goal, check),
            ),
            ACCESS_EXCLUSIVE,
        ),
        Phase(
            "check the rows that are there",
            (_sql("ALTER TABLE {table} VALIDATE CONSTRAINT {old}", goal, check),),
            SHARE_UPDATE,
        ),
        # Two ALTERs: in one, PostgreSQL would not use the check and read the table again.
        Phase(
            "set NOT NULL",
            (
                _sql("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL", goal),
                _sql(drop, goal, check),
            ),
            ACCESS_EXCLUSIVE,
        ),
    )


def _sql(template: str, goal: Goal, old: str = "") -> Composable:
    return sql.SQL(template).format(
        schema=sql.Identifier(goal.schema),
        table=goal.relation,
        column=sql.Identifier(goal.column),
        type=sql.SQL(goal.type),
        expression=sql.SQL(goal.expression),
        constraint=sql.Identifier(goal.constraint),
        old=sql.Identifier(old),
    )
