"""Schemas of tenants, each with what the zoo's first migration makes."""

from __future__ import annotations

from django.core.management import call_command
from django.db import connections

from opsmigrate.fleet.targets import Target
from opsmigrate.postgres.names import quoted
from tests.conftest import execute


def target(alias: str, schema: str | None) -> Target:
    """Return a target of an alias."""
    return Target(alias=alias, schema=schema, label=schema or alias, server="here")


def schemas(alias: str, *names: str, to: str = "0001") -> list[Target]:
    """Make the schemas and migrate the zoo in each, up to a migration."""
    connection = connections[alias]
    for name in names:
        execute(connection, f"CREATE SCHEMA {quoted(name)}")
        execute(connection, f"SET search_path = {quoted(name)}")
        call_command("migrate", "zoo", to, database=alias, verbosity=0)
    execute(connection, "RESET search_path")
    return [target(alias, name) for name in names]
