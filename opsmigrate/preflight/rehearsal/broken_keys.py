"""Foreign keys in which the server believes, though rows contradict them: a copy refuses them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.transaction import SNAPSHOT, transaction
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.walk.probes import ask, orphans
from opsmigrate.preflight.walk.simulation import ForeignKey, Simulation
from opsmigrate.report import Finding, Severity

# Those of partitions come with their parent's.
KEYS = """
SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
"""
BELIEVE = """
UPDATE pg_constraint SET convalidated = true
WHERE conrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND conname = %s
"""
# What makes PostgreSQL look at the rows behind a validated foreign key again.
RECHECKS = re.compile(r"\b(?:TYPE|VALIDATE)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class BrokenKey:
    """A foreign key of the live database that its rows do not satisfy.

    `believed` says that the copy has it as the live database does: as one that is validated.
    """

    schema: str
    table: str
    name: str
    believed: bool


def add_broken_keys(
    source: BaseDatabaseWrapper,
    scratch: BaseDatabaseWrapper,
    absent: Iterable[tuple[str, str, str]],
) -> tuple[BrokenKey, ...]:
    """Add to the copy the foreign keys that it refused, unchecked, and return them.

    `absent` are those that it is to do without. Only a superuser can make the server believe in
    an unchecked one. Raises Error where one cannot be added at all.
    """
    there = {key[:3] for key in _keys(scratch)} | set(absent)
    broken = []
    for schema, table, name, definition in _keys(source):
        if (schema, table, name) in there:
            continue
        with transaction(scratch) as cursor:
            cursor.execute(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID").format(
                    sql.Identifier(schema, table), sql.Identifier(name), sql.SQL(definition)
                )
            )
        broken.append(
            BrokenKey(
                schema=schema,
                table=table,
                name=name,
                believed=_believe(scratch, schema, table, name),
            )
        )
    return tuple(broken)


def report_broken_keys(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    keys: Iterable[BrokenKey],
    ledger: Ledger,
) -> None:
    """Warn of each: no statement of the plan fails by it, unless something else says so."""
    known = {
        (key.table.schema, key.table.name, key.name): key
        for key in Simulation(catalog).foreign_keys
    }
    for broken in keys:
        key = known.get((broken.schema, broken.table, broken.name))
        table = f"{broken.schema}.{broken.table}"
        found = _orphans(connection, key) if key else None
        # Not through find(): SQL by hand in the plan does not make it less true today.
        ledger.findings.append(
            Finding(
                id="broken-foreign-key",
                severity=Severity.WARNING,
                message=f"the foreign key {broken.name} of {table} stands as valid, but "
                + (found[0] if found else "a copy of its rows does not satisfy it"),
                hint=found[1] if found else None,
                table=table,
                column=key.columns[0] if key else None,
            )
        )


def rechecks(statement: str, keys: Iterable[BrokenKey]) -> bool:
    """Say whether a statement may fail on the live database by a key the copy does not believe."""
    return RECHECKS.search(statement) is not None and any(not key.believed for key in keys)


def _orphans(connection: BaseDatabaseWrapper, key: ForeignKey) -> tuple[str, str] | None:
    """Return the rows in words, and the query that shows them."""
    probe = orphans(key.table, key.columns, key.target, key.to_columns)
    bad = ask(connection, probe) if probe else None
    return (f"{bad} rows {probe.words}", bad.query) if probe and bad and bad.count else None


def _keys(connection: BaseDatabaseWrapper) -> list[tuple[str, str, str, str]]:
    with transaction(connection, SNAPSHOT) as cursor:
        # So that every name in a definition has its schema.
        cursor.execute("SET LOCAL search_path = pg_catalog")
        cursor.execute(KEYS)
        return [(schema, table, name, text) for schema, table, name, text in cursor.fetchall()]


def _believe(scratch: BaseDatabaseWrapper, schema: str, table: str, name: str) -> bool:
    try:
        with transaction(scratch) as cursor:
            cursor.execute(BELIEVE, [schema, table, name])
    except Error:
        return False
    return True
