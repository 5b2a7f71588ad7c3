"""What a collation needs: to be there, to be new, and to suit the indexes of its columns."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.names import former_name, quoted
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.privileges import BY_OTHERS, on_schema
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.steps import statement

# PostgreSQL takes any locale for ICU: icu_validation_level only warns (documentation, Locale).
# A server that was built without ICU has the collation "unicode" nevertheless.
KNOWN = """
SELECT EXISTS (SELECT FROM pg_collation WHERE CASE %s WHEN 'icu' THEN collname = 'und-x-icu'
               WHEN 'libc' THEN collprovider = 'c' AND collcollate = %s AND collctype = %s END)
"""
THERE = """
SELECT FROM pg_collation WHERE collname = %s AND collnamespace = to_regnamespace(quote_ident(%s))
"""
IS_DETERMINISTIC = "SELECT bool_and(collisdeterministic) FROM pg_collation WHERE collname = %s"


def create_collation(walk: SchemaWalk, operation: Any) -> None:
    """CREATE COLLATION: its name must be free, and the server must have the locale."""
    name, catalog = operation.name, walk.catalog
    if _is_taken(walk, name):
        former = quoted(former_name(name, catalog.collations))
        walk.ledger.find(
            "collation-exists",
            f"the migration creates the collation {name}, which already exists",
            hint="rename the existing one: objects that use it keep it",
            steps=(statement(f"ALTER COLLATION {quoted(name)} RENAME TO {former}"),),
            name=name,
        )
    if operation.provider != "icu" and not operation.deterministic:
        walk.ledger.find(
            "unsupported-by-server",
            f"the collation {name} is nondeterministic, which only those of ICU can be",
            hint='CreateCollation(…, provider="icu") with a locale of ICU',
            name=name,
        )
    if not catalog.may_create:
        walk.ledger.find(
            "missing-privilege",
            f"the role may not create in the schema {walk.schema.schema}",
            hint=BY_OTHERS,
            steps=on_schema("CREATE", walk.schema.schema).steps(catalog.role),
        )
    with walk.connection.cursor() as cursor:
        cursor.execute(KNOWN, [operation.provider, operation.locale, operation.locale])
        known = cursor.fetchone()[0]
    if not known:
        walk.ledger.mark_undecided(f"whether the server has the locale {operation.locale}")
    walk.schema.collations[name] = operation.deterministic


def _is_taken(walk: SchemaWalk, name: str) -> bool:
    """Return whether the schema has one of that name; one of PostgreSQL's own is in another."""
    if name in walk.schema.collations:
        return walk.schema.collations[name] is not None
    return bool(seen_by_project(walk.connection, THERE, [name, walk.schema.schema]))


def remove_collation(walk: SchemaWalk, name: str) -> None:
    """DROP COLLATION: it must be there, and no column may use it."""
    walk.require_collation(name)
    walk.ledger.mark_undecided(f"whether anything uses the collation {name}")
    walk.schema.collations[name] = None


def is_deterministic(connection: BaseDatabaseWrapper, walk: SchemaWalk, name: str) -> bool | None:
    """Return whether equal texts have equal bytes; None where the collation is not there."""
    if name in walk.schema.collations:
        return walk.schema.collations[name]
    with connection.cursor() as cursor:
        cursor.execute(IS_DETERMINISTIC, [name])
        found: bool | None = cursor.fetchone()[0]
    return found


def require_no_patterns(
    walk: SchemaWalk, table: SimulatedTable, column: str, collation: str
) -> None:
    """Report the indexes that PostgreSQL cannot rebuild under a nondeterministic collation."""
    for index in table.indexes.values():
        classes = dict(zip(index.columns, index.opclasses, strict=False))
        if (classes.get(column) or "").endswith("_pattern_ops"):
            walk.ledger.find(
                "no-operator-class",
                f"index {index.name} of {table.label} has {classes[column]} for {column}, which "
                f"is impossible with the nondeterministic collation {collation}",
                hint="without it, LIKE on the column reads the whole table",
                steps=(statement(f"DROP INDEX {quoted(table.schema, index.name)}"),),
                table=table.label,
                column=column,
                name=index.name,
            )
