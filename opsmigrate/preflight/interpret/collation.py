"""What COLLATE says, and of which types it may be said."""

from __future__ import annotations

from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.coercion import base_type
from opsmigrate.preflight.interpret.schema import Column, Schema
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.names import Name
from opsmigrate.sql.types import element_type

COLLATABLE = frozenset({"text", "character varying", "character", "name", "public.citext"})
# The database's own: not noted.
DEFAULT = Name("pg_catalog", "default")
# What a `name` is sorted by.
OF_NAMES = Name("pg_catalog", "C")


def is_collatable(schema: Schema, type_: str) -> bool:
    """Return whether values of the type are sorted by a collation."""
    base = base_type(schema, type_)
    base = element_type(base) or base
    return base_type(schema, base) in COLLATABLE or base.endswith(".citext")


def own_collation(schema: Schema, column: Column) -> Name:
    """Return by what a column is sorted where nothing else is said."""
    of_type = OF_NAMES if base_type(schema, column.type) == "name" else DEFAULT
    return column.collation or of_type


def collation_of(step: Step, node: Any, type_: str) -> Name | None:
    """Return the collation that a COLLATE clause names; None for the type's own."""
    found = visible_collation(step, [as_stored(each.string.sval) for each in node.collname])
    if not is_collatable(step.schema, type_):
        step.refuse("42804", "not-collatable", name=type_)
    return None if found == DEFAULT and base_type(step.schema, type_) != "name" else found


def visible_collation(step: Step, parts: list[str]) -> Name:
    """Return the collation of this name; refuse the statement where there is none."""
    schema = step.schema
    if len(parts) > 1 and parts[0] not in ("pg_catalog", *schema.schemas):
        step.refuse("3F000", "missing-schema", name=parts[0])
    path = parts[:1] if len(parts) > 1 else ("pg_catalog", *schema.search_path)
    every = (Name(each, parts[-1]) for each in path)
    found = next((each for each in every if each in schema.collations or each == DEFAULT), None)
    if found is None:
        step.refuse("42704", "missing-collation", name=parts[-1])
    return found
