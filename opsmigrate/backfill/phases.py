"""The phases from what is there to the goal, each one recognised when it is already done."""

from dataclasses import dataclass

from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.column_spec import ColumnSpec
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


def before_fill(state: State, spec: ColumnSpec) -> tuple[Phase, ...]:
    """Return what makes the column, and gives a value to rows that are inserted from now on."""
    phases = []
    if not state.has_column:
        # Without the default: one ALTER with a volatile default would rewrite the table.
        add = _sql("ALTER TABLE {table} ADD COLUMN {column} {type}", spec)
        phases.append(Phase("add the column", (add,), ACCESS_EXCLUSIVE, as_project=True))
    if state.default is None and spec.wants_default:
        default = _sql("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {expression}", spec)
        phases.append(Phase("set the default", (default,), ACCESS_EXCLUSIVE, as_project=True))
    return tuple(phases)


def unique_phases(state: State, spec: ColumnSpec) -> tuple[Phase, ...]:
    """Return what makes the column unique, under the name that Django's own DDL gives."""
    if not spec.unique or state.constraint == spec.constraint:
        return ()
    if state.constraint:
        rename = _sql(
            "ALTER TABLE {table} RENAME CONSTRAINT {old} TO {constraint}", spec, state.constraint
        )
        return (Phase("rename the unique constraint", (rename,), ACCESS_EXCLUSIVE),)
    phases = []
    if state.invalid_index:
        drop = _sql("DROP INDEX CONCURRENTLY {schema}.{old}", spec, state.invalid_index)
        phases.append(Phase("drop the INVALID index of a failed run", (drop,), SHARE_UPDATE, False))
    index = state.valid_index or spec.constraint
    if not state.valid_index:
        create = _sql("CREATE UNIQUE INDEX CONCURRENTLY {constraint} ON {table} ({column})", spec)
        phases.append(Phase("build the unique index", (create,), SHARE_UPDATE, False, whole=True))
    attach = _sql(
        "ALTER TABLE {table} ADD CONSTRAINT {constraint} UNIQUE USING INDEX {old}", spec, index
    )
    phases.append(Phase("turn it into a constraint", (attach,), ACCESS_EXCLUSIVE))
    return tuple(phases)


def not_null_phases(state: State, spec: ColumnSpec) -> tuple[Phase, ...]:
    """Return what forbids NULLs without reading the table under a strong lock."""
    if state.not_null or spec.nullable:
        return ()
    if state.unvalidated_not_null:
        name = state.unvalidated_not_null
        statement = _sql("ALTER TABLE {table} VALIDATE CONSTRAINT {old}", spec, name)
        return (Phase(VALIDATE, (statement,), SHARE_UPDATE, whole=True),)
    drop = _sql("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {old}", spec, CHECK)
    forbid = Phase(
        "forbid NULLs in new rows", (drop, _sql(FORBID_NULLS, spec, CHECK)), ACCESS_EXCLUSIVE
    )
    validate = Phase(
        VALIDATE,
        (_sql("ALTER TABLE {table} VALIDATE CONSTRAINT {old}", spec, CHECK),),
        SHARE_UPDATE,
        whole=True,
    )
    # Two ALTERs: in one, PostgreSQL would not use the check and read the table again.
    set_not_null = Phase(
        "set NOT NULL",
        (_sql("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL", spec), drop),
        ACCESS_EXCLUSIVE,
    )
    if state.check is None:
        return (forbid, validate, set_not_null)
    return (set_not_null,) if state.check else (validate, set_not_null)


def _sql(template: str, spec: ColumnSpec, old: str = "") -> Composable:
    return sql.SQL(template).format(
        schema=sql.Identifier(spec.schema),
        table=spec.relation,
        column=sql.Identifier(spec.column),
        type=sql.SQL(in_full(spec.type)),
        expression=spec.value,
        constraint=sql.Identifier(spec.constraint),
        old=sql.Identifier(old),
    )
