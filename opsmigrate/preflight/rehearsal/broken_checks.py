"""Checks in which the server believes, though rows contradict them: a copy refuses those rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.of_users import of_users
from opsmigrate.postgres.session import no_time_limits, set_for_session
from opsmigrate.postgres.transaction import transaction
from opsmigrate.preflight.rehearsal.broken_constraint import BrokenConstraint, add_unchecked

# Those that are inherited go and come with their parent's; those of an extension are its own.
CHECKS = of_users("""
SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'c' AND k.convalidated AND k.coninhcount = 0
  AND {of_users}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY k.oid
""")


@dataclass(frozen=True, kw_only=True)
class DroppedCheck:
    """A check as it stood before the rows came."""

    schema: str
    table: str
    name: str
    definition: str


def drop_checks(scratch: BaseDatabaseWrapper) -> tuple[DroppedCheck, ...]:
    """Drop the checks of a copy that has no rows yet, and return them.

    COPY would refuse rows that are there all the same, and pg_restore makes a check that calls a
    function look for it without a search_path.
    """
    taken: list[DroppedCheck] = []
    while found := _checks(scratch):
        # What a child has of its own is found when it is no longer inherited as well.
        for (schema, table), checks in _by_table(found).items():
            _alter(
                scratch,
                schema,
                table,
                [
                    sql.SQL("DROP CONSTRAINT {}").format(sql.Identifier(item.name))
                    for item in checks
                ],
            )
        taken += found
    # Children first: their parent's is then merged into what they have.
    return tuple(reversed(taken))


def restore_checks(
    scratch: BaseDatabaseWrapper, checks: Iterable[DroppedCheck]
) -> tuple[BrokenConstraint, ...]:
    """Add the checks again, and return those that the rows contradict, which are left unchecked.

    Raises Error where one cannot be added at all.
    """
    set_for_session(scratch, **no_time_limits(scratch))
    broken: list[BrokenConstraint] = []
    for (schema, table), items in _by_table(checks).items():
        try:
            _alter(scratch, schema, table, [_addition(item) for item in items])
        except Error:
            for item in items:
                broken += _added_alone(scratch, item)
    return tuple(broken)


def _added_alone(scratch: BaseDatabaseWrapper, check: DroppedCheck) -> list[BrokenConstraint]:
    try:
        _alter(scratch, check.schema, check.table, [_addition(check)])
    except Error:
        return [
            add_unchecked(
                scratch, check.schema, check.table, check.name, check.definition, kind="check"
            )
        ]
    return []


def _checks(scratch: BaseDatabaseWrapper) -> list[DroppedCheck]:
    with transaction(scratch) as cursor:
        # So that every name in a definition has its schema.
        cursor.execute("SET LOCAL search_path = pg_catalog")
        cursor.execute(CHECKS)
        return [
            DroppedCheck(schema=schema, table=table, name=name, definition=text)
            for schema, table, name, text in cursor.fetchall()
        ]


def _by_table(checks: Iterable[DroppedCheck]) -> dict[tuple[str, str], list[DroppedCheck]]:
    tables: dict[tuple[str, str], list[DroppedCheck]] = {}
    for check in checks:
        tables.setdefault((check.schema, check.table), []).append(check)
    return tables


def _addition(check: DroppedCheck) -> Composable:
    return sql.SQL("ADD CONSTRAINT {} {}").format(
        sql.Identifier(check.name), sql.SQL(check.definition)
    )


def _alter(
    scratch: BaseDatabaseWrapper, schema: str, table: str, changes: Sequence[Composable]
) -> None:
    statement = sql.SQL("ALTER TABLE {} {}").format(
        sql.Identifier(schema, table), sql.SQL(", ").join(changes)
    )
    with transaction(scratch) as cursor:
        cursor.execute(statement)
