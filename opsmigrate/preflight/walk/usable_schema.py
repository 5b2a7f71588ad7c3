"""A schema that the role can use, where the search_path names none."""

from __future__ import annotations

from typing import TypedDict

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.steps import Step, statement

NAMED = "SELECT current_setting('search_path')"


class SchemaRemedy(TypedDict):
    """What a finding says to do: words, and what to type."""

    hint: str
    steps: tuple[Step, ...]


def _names_in(path: str) -> list[str]:
    """Return the schemas of a search_path, as PostgreSQL reads it."""
    statements = statements_if_readable(f"SET search_path = {path}") or ()
    return [str(each.a_const.sval.sval) for found in statements for each in found.node.args]


def usable_schema(connection: BaseDatabaseWrapper, catalog: Catalog) -> SchemaRemedy:
    """Return what makes the first schema of the search_path one that the role can use."""
    [(path,)] = seen_by_project(connection, NAMED)
    named = [name for name in _names_in(path) if name != "$user"]
    role = quoted(catalog.role)
    there = [name for name in named if name in catalog.schemas]
    if there:
        grant = statement(f"GRANT USAGE, CREATE ON SCHEMA {quoted(there[0])} TO {role}")
        return SchemaRemedy(
            hint="the owner of the schema or a superuser types this", steps=(grant,)
        )
    if named:
        make = statement(f"CREATE SCHEMA {quoted(named[0])} AUTHORIZATION {role}")
        return SchemaRemedy(
            hint="a superuser types this, or correct the search_path", steps=(make,)
        )
    return SchemaRemedy(
        hint="correct the search_path of the role or in OPTIONS: it is empty", steps=()
    )
