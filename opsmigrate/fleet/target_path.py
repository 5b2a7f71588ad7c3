"""The search_path with which the commands see a target: its schema first, then what all share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.fleet.targets import Target
from opsmigrate.postgres.opening import SET_LOCAL, pin_of
from opsmigrate.postgres.transaction import transaction

EXISTING = "SELECT pg_catalog.current_schemas(false)::pg_catalog.text[]"


def shared_schemas(connection: BaseDatabaseWrapper) -> tuple[str, ...]:
    """Return the schemas that exist in the connection's own search_path, in its order."""
    pin = pin_of(connection)
    with transaction(connection, "READ ONLY") as cursor:
        if pin is not None:
            cursor.execute(SET_LOCAL, [pin.project])
        cursor.execute(EXISTING)
        return tuple(cursor.fetchone()[0])


def schemas_of(target: Target, shared: tuple[str, ...]) -> tuple[str, ...]:
    """Return the schemas in which names of the target resolve, the first one first."""
    if target.schema is None:
        return shared
    return (target.schema, *(each for each in shared if each != target.schema))


def as_path(schemas: tuple[str, ...]) -> str:
    """Return schemas as a value of search_path."""
    return ", ".join(f'"{each.replace(chr(34), chr(34) * 2)}"' for each in schemas)


@contextmanager
def names_of(connection: BaseDatabaseWrapper, target: Target) -> Iterator[None]:
    """Let `connection` resolve names as the target's own does, for Django's code.

    django-tenants sets the search_path anew for each cursor, to what set_schema() was told.
    """
    if target.schema is None:
        yield
        return
    tenants: Any = connection
    if hasattr(tenants, "set_schema"):
        before, included = tenants.schema_name, tenants.include_public_schema
        tenants.set_schema(target.schema)
        try:
            yield
        finally:
            tenants.set_schema(before, include_public=included)
        return
    pin = pin_of(connection)
    assert pin is not None  # noqa: S101 - the fleet's own connections have one
    before = pin.project
    pin.project = as_path(schemas_of(target, shared_schemas(connection)))
    try:
        yield
    finally:
        pin.project = before
