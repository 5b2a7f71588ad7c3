"""A schema that the role can use, where the search_path names none."""

from __future__ import annotations

import re
from typing import TypedDict

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.names import quoted, unquoted
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.steps import Step, statement

NAMED = "SELECT current_setting('search_path')"
NAME = re.compile(r'"(?:[^"]|"")+"|[^\s,"]+')


class SchemaRemedy(TypedDict):
    """What a finding says to do: words, and what to type."""

    hint: str
    steps: tuple[Step, ...]


def usable_schema(connection: BaseDatabaseWrapper, catalog: Catalog) -> SchemaRemedy:
    """Return what makes the first schema of the search_path one that the role can use."""
    [(path,)] = seen_by_project(connection, NAMED)
    named = [unquoted(name) for name in NAME.findall(path) if name != '"$user"']
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
