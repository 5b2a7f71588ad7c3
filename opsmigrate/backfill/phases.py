"""The phases from what is there to the goal, each one recognised when it is already done."""

from dataclasses import dataclass

from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.goal import Goal
from opsmigrate.backfill.state import CHECK, State
from opsmigrate.postgres.compose import Composable
from opsmigrate.schema.types import in_full

ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE, for milliseconds"
SHARE_UPDATE = "SHARE UPDATE EXCLUSIVE, which does not block readers or writers"
ROW = "row locks, one batch at a time"
VALIDATE = "check the existing rows"
FORBID_NULLS = "ALTER TABLE {table} ADD CONSTRAINT {old} CHECK ({column} IS NOT NULL) NOT VALID"


@dataclass(frozen=True)
class Phase:
    """One step: its statements, the lock they take, and whether they may run in a transaction.

    `whole` says that it goes through the whole table: stopped half way, it begins anew.
    """

    name: str
    statements: tuple[Composable, ...]
    lock: str
    in_transaction: bool = True
    whole: bool = False
    # Of the project's are the types and expressions in them; nothing else in them has a name.
    as_project: bool = False


def before_fill(state: State, goal: Goal) -> tuple[Phase, ...]:
    """Return what makes the column, and gives a value to rows that are inserted from now on."""
    phases = []
    if not state.has_column:
        # Without the default: one ALTER with a volatile default would rewrite the table.
        add = _sql("ALTER TABLE {table} ADD COLUMN {column} {type}", goal)
        phases.append(Phase("add the column", (add,), ACCESS_EXCLUSIVE, as_project=True))
    if state.default is None and goal.wants_default:
        default = _sql("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {expression}", goal)
        phases.append(Phase("set the default", (default,), ACCESS_EXCLUSIVE, as_project=True))
    return tuple(phases)


def unique_phases(state: State, goal: Goal) -> tuple[Phase, ...]:
    """Return what makes the column unique, under the name that Django's own DDL gives."""
    if not goal.unique or state.constraint == goal.constraint:
        return ()
    if state.constraint:
        rename = _sql(
            "ALTER TABLE {table} RENAME CONSTRAINT {old} TO {constraint}", goal, state.constraint
        )
        return (Phase("rename the unique constraint", (rename,), ACCESS_EXCLUSIVE),)
    phases = []
    if state.invalid_index:
        drop = _sql("DROP INDEX CONCURRENTLY {schema}.{old}", goal, state.invalid_index)
        phases.append(Phase("drop the INVALID index of a failed run", (drop,), SHARE_UPDATE, False))
    index = state.valid_index or goal.constraint
    if not state.valid_index:
        create = _sql("CREATE UNIQUE INDEX CONCURRENTLY {constraint} ON {table} ({column})", goal)
        phases.append(Phase("build the unique index", (create,), SHARE_UPDATE, False, whole=True))
    attach = _sql(
        "ALTER TABLE {table} ADD CONSTRAINT {constraint} UNIQUE USING INDEX {old}", goal, index
    )
    phases.append(Phase("turn it into a constraint", (attach,), ACCESS_EXCLUSIVE))
    return tuple(phases)


def not_null_phases(state: State, goal: Goal) -> tuple[Phase, ...]:
    """Return what forbids NULLs without reading the table under a strong lock."""
    if state.not_null or goal.nullable:
        return ()
    if state.unvalidated_not_null:
        name = state.unvalidated_not_null
        statement = _sql("ALTER TABLE {table} VALIDATE CONSTRAINT {old}", goal, name)
        return (Phase(VALIDATE, (statement,), SHARE_UPDATE, whole=True),)
    drop = _sql("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {old}", goal, CHECK)
    forbid = Phase(
        "forbid NULLs in new rows", (drop, _sql(FORBID_NULLS, goal, CHECK)), ACCESS_EXCLUSIVE
    )
    validate = Phase(
        VALIDATE,
        (_sql("ALTER TABLE {table} VALIDATE CONSTRAINT {old}", goal, CHECK),),
        SHARE_UPDATE,
        whole=True,
    )
    # Two ALTERs: in one, PostgreSQL would not use the check and read the table again.
    set_not_null = Phase(
        "set NOT NULL",
        (_sql("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL", goal), drop),
        ACCESS_EXCLUSIVE,
    )
    if state.check is None:
        return (forbid, validate, set_not_null)
    return (set_not_null,) if state.check else (validate, set_not_null)


def _sql(template: str, goal: Goal, old: str = "") -> Composable:
    return sql.SQL(template).format(
        schema=sql.Identifier(goal.schema),
        table=goal.relation,
        column=sql.Identifier(goal.column),
        type=sql.SQL(in_full(goal.type)),
        expression=goal.value,
        constraint=sql.Identifier(goal.constraint),
        old=sql.Identifier(old),
    )
