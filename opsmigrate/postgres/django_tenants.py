"""django-tenants (and its kin): an engine that sets the search_path anew for each cursor.

Our sessions resolve names in pg_catalog only; this engine is kept from changing that, and asked
which search_path its own sessions have.
"""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Any

from django.core.management.base import BaseCommand
from django.core.management.commands.migrate import Command
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.tenant import schema_of

PATH = "SELECT pg_catalog.current_setting('search_path')"


def sets_path_itself(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the engine of a connection is one of these."""
    return hasattr(connection, "set_schema") and hasattr(connection, "schema_name")


def enter_schema(connection: Any, schema: str | None) -> None:
    """Let the engine work in a schema: its router asks for it, too."""
    if schema is not None and sets_path_itself(connection):
        connection.set_schema(schema)


def path_of_engine(connection: BaseDatabaseWrapper) -> str:
    """Return the search_path that the engine gives to the project's cursors; it is then set."""
    kind: Any = type(connection)
    with closing(kind._cursor(connection)) as cursor:
        cursor.execute(PATH)
        return str(cursor.fetchone()[0])


def migrate_command(connection: BaseDatabaseWrapper) -> str | BaseCommand:
    """Return what call_command() is to run as `migrate` on a connection.

    The `migrate` of django-tenants is for all tenants. Of one of them it runs the command that it
    runs itself, in the tenant's schema.
    """
    if schema_of(connection) is None or not sets_path_itself(connection):
        return "migrate"
    kind: type[BaseCommand] = Command
    with suppress(ImportError):
        from django_tenants.utils import get_tenant_base_migrate_command_class

        kind = get_tenant_base_migrate_command_class()
    return kind()
