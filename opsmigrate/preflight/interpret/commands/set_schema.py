"""ALTER … SET SCHEMA, of relations, types and functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.commands.objects import need_of_object
from opsmigrate.preflight.interpret.commands.rename import (
    KINDS,
    function_anew,
    relation_anew,
    type_anew,
)
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.lookup import SYSTEM_SCHEMAS, find_relation, visible_type
from opsmigrate.preflight.interpret.named import (
    ROUTINES,
    require_no_rows,
    routine_named,
    type_named,
)
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label


def set_schema(step: Step, node: Any) -> None:
    """Do what `node`, an AlterObjectSchemaStmt, says."""
    kind, new = label(node, "object_type"), as_stored(node.newschema)
    if kind in KINDS:
        _move_relation(step, node, new)
    elif kind in ROUTINES:
        found = routine_named(step, kind, node.object.object_with_args)
        _require_schema(step, new)
        if found.name.schema != new:
            function_anew(step, found, Name(new, found.name.name))
    elif kind in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
        _move_type(step, type_named(step, kind, node.object.list.items), new)
    else:
        need_of_object(step, kind, node.object)
        step.effects.need("CREATE", "schema", (new,))
        raise UnknownError(f"SET SCHEMA of {kind}", rights_told=True)


def _require_schema(step: Step, name: str) -> None:
    if name in SYSTEM_SCHEMAS or name.startswith("pg_"):
        step.effects.may_need_superuser()
        raise UnknownError(f"the schema {name} is PostgreSQL's own")
    if name not in step.schema.schemas:
        step.refuse("3F000", "missing-schema", name=name)
    step.effects.need("CREATE", "schema", (name,))


def _move_type(step: Step, name: Name, new: str) -> None:
    _require_schema(step, new)
    if name.schema != new and visible_type(step.schema, new, name.name) is not None:
        step.refuse("42710", "name-taken", name=name.name)
    require_no_rows(step, name)
    if name.schema != new:
        type_anew(step, name, Name(new, name.name))


def _move_relation(step: Step, node: Any, new: str) -> None:
    word = label(node, "object_type")
    table = find_relation(step, node.relation, missing_ok=node.missing_ok)
    if table is None:
        return
    if table.kind not in KINDS[word]:
        step.refuse("42809", "wrong-kind", relation=table.name)
    step.effects.lock(table.name, ACCESS_EXCLUSIVE)
    step.effects.need("OWNER", "relation", table.name)
    if table.sequence is not None and table.sequence.owner is not None:
        step.refuse("0A000", "owned-sequence", relation=table.name)
    _require_schema(step, new)
    owned = [
        each
        for each in step.schema.relations.values()
        if each.sequence is not None
        and each.sequence.owner is not None
        and each.sequence.owner[0] == table.name
    ]
    for each in owned:
        step.effects.lock(each.name, ACCESS_EXCLUSIVE)
    if new == table.name.schema:
        return
    for index in table.indexes:
        if step.schema.is_taken(Name(new, index)):
            step.refuse("42P07", "name-taken", relation=table.name, name=index)
    relation_anew(step, table, Name(new, table.name.name))
    for each in owned:
        relation_anew(step, step.known(each.name), Name(new, each.name.name))


COMMANDS: Mapping[str, Command] = {"alter_object_schema_stmt": set_schema}
