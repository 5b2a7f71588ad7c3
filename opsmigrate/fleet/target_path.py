"""Where the names of a target resolve: its own schema first, then what it shares with others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.fleet.targets import Target
from opsmigrate.postgres.django_tenants import sets_path_itself
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.opening import SET_LOCAL, pin_of
from opsmigrate.postgres.tenant import SHARED, search_path_in
from opsmigrate.postgres.transaction import transaction

EXISTING = "SELECT pg_catalog.current_schemas(false)::pg_catalog.text[]"


def path_of(connection: BaseDatabaseWrapper, target: Target) -> str:
    """Return the search_path of the target, as the process of its own has it."""
    if target.schema is None:
        pin = pin_of(connection)
        assert pin is not None and pin.project is not None  # noqa: S101, PT018 - ours, and open
        return pin.project
    if not sets_path_itself(connection):
        return search_path_in(connection, target.schema)
    # As django-tenants does (its _get_cursor_search_paths(), and its documentation).
    shared = getattr(settings, "PUBLIC_SCHEMA_NAME", SHARED)
    others = [shared, *getattr(settings, "PG_EXTRA_SEARCH_PATHS", ())]
    return ", ".join(quoted(each) for each in dict.fromkeys([target.schema, *others]))


def schemas_of(connection: BaseDatabaseWrapper, target: Target) -> tuple[str, ...]:
    """Return the schemas in which the target's names resolve and that exist, the first one first.

    Tenants of one alias differ in the first of them only.
    """
    connection.ensure_connection()
    with transaction(connection, "READ ONLY") as cursor:
        cursor.execute(SET_LOCAL, [path_of(connection, target)])
        cursor.execute(EXISTING)
        return tuple(cursor.fetchone()[0])


@contextmanager
def names_of(connection: BaseDatabaseWrapper, target: Target) -> Iterator[None]:
    """Let `connection` resolve names as the target's own does, for Django's code."""
    pin = pin_of(connection)
    if target.schema is None or pin is None:
        yield
        return
    before, found = pin.project, path_of(connection, target)
    with _tenant(connection, target.schema):
        pin.project = found
        try:
            yield
        finally:
            pin.project = before


@contextmanager
def _tenant(connection: Any, schema: str) -> Iterator[None]:
    """Let django-tenants' router and introspection look at a tenant."""
    if not sets_path_itself(connection):
        yield
        return
    before, included = connection.schema_name, connection.include_public_schema
    connection.set_schema(schema)
    try:
        yield
    finally:
        connection.set_schema(before, include_public=included)
