"""CREATE SCHEMA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.roles import role_named
from opsmigrate.preflight.interpret.step import Command, Step


def create(step: Step, node: Any) -> None:
    """Do what `node`, a CreateSchemaStmt, says."""
    owner = role_named(step, node.authrole) if node.HasField("authrole") else step.schema.role
    name = as_stored(node.schemaname) if node.schemaname else owner
    step.effects.need("CREATE", "database", ())
    if name.startswith("pg_"):
        step.refuse("42939", "reserved-name", name=name)
    if name in step.schema.schemas:
        if node.if_not_exists:
            return
        step.refuse("42P06", "name-taken", name=name)
    if node.schema_elts:
        raise UnknownError("what CREATE SCHEMA makes in the schema")
    if name in ("public", step.schema.role):
        raise UnknownError("a schema that may be in search_path")
    step.schema = replace(step.schema, schemas={**step.schema.schemas, name: owner})


COMMANDS: Mapping[str, Command] = {"create_schema_stmt": create}
