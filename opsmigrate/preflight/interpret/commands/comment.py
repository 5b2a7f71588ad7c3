"""COMMENT ON: it changes nothing that others see, but locks what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsmigrate.postgres.lock_modes import SHARE_UPDATE_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS
from opsmigrate.preflight.interpret.commands.drop import RELATIONS
from opsmigrate.preflight.interpret.commands.objects import KINDS, need_of_object
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.named import (
    ROUTINES,
    find_part,
    find_user_type,
    name_parts,
    relation_named,
    routine_named,
)
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label

PARTS = {
    "OBJECT_COLUMN": "column",
    "OBJECT_TABCONSTRAINT": "constraint",
    "OBJECT_TRIGGER": "trigger",
    "OBJECT_POLICY": "policy",
    "OBJECT_RULE": "rule",
}
OF_SEQUENCE = ("last_value", "log_cnt", "is_called")
IN_NO_SCHEMA = {
    "OBJECT_SCHEMA": ("schema", "3F000", "schemas"),
    "OBJECT_EXTENSION": ("extension", "42704", "extensions"),
}


def comment(step: Step, node: Any) -> None:
    """Do what `node`, a CommentStmt, says."""
    kind = label(node, "objtype")
    if kind in RELATIONS:
        _relation(step, kind, node.object)
    elif kind in PARTS:
        _part(step, kind, node.object)
    elif kind in ROUTINES:
        found = routine_named(step, kind, node.object.object_with_args)
        step.effects.need("OWNER", "function", (*found.name, *found.arguments))
    elif kind in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
        _type(step, kind, node.object)
    elif kind in IN_NO_SCHEMA:
        word, state, field = IN_NO_SCHEMA[kind]
        name = as_stored(node.object.string.sval)
        if name not in getattr(step.schema, field):
            step.refuse(state, f"missing-{word}", name=name)
        step.effects.need("OWNER", word, (name,))
    else:
        # What is commented on stays what it is: nothing is tainted that this tells of.
        place = Name("pg_catalog", "pg_description")
        if kind in KINDS:
            need_of_object(step, kind, node.object)
        else:
            step.effects.may_need_superuser()
        raise UnknownError(f"COMMENT ON {kind}", place, rights_told=kind in KINDS)


def _relation(step: Step, kind: str, node: Any) -> None:
    parts = name_parts(node.list.items)
    if len(parts) > 2 or parts[-1].startswith("pg_") or parts[0] == "pg_catalog":
        step.effects.may_need_superuser()
        raise UnknownError("COMMENT ON a relation of PostgreSQL's own", Name("pg_catalog", ""))
    found = step.schema.visible(parts[0] if len(parts) > 1 else None, parts[-1])
    if found is None:
        if len(parts) == 2 and parts[0] not in step.schema.schemas:
            step.refuse("3F000", "missing-schema", name=parts[0])
        step.refuse("42P01", "missing-table", name=parts[-1])
    table = step.schema.relations.get(found)
    if (table.kind if table is not None else "i") not in RELATIONS[kind][0]:
        step.refuse("42809", "wrong-kind", relation=found)
    owner = step.schema.at(found)
    step.known(owner.name if owner is not None else found)
    step.effects.lock(found, SHARE_UPDATE_EXCLUSIVE)
    step.effects.need("OWNER", "relation", owner.name if owner is not None else found)


def _part(step: Step, kind: str, node: Any) -> None:
    if kind == "OBJECT_COLUMN" and _is_of_system(step, name_parts(node.list.items)):
        return
    if kind == "OBJECT_COLUMN":
        owner = relation_named(step, name_parts(node.list.items)[:-1], missing_ok=False)
        if owner is not None and owner.kind == "S":
            name = node.list.items[-1].string.sval
            there = name in OF_SEQUENCE or name in SYSTEM_COLUMNS
            step.refuse("42809" if there else "42703", "wrong-kind", relation=owner.name)
    found = find_part(step, PARTS[kind], node)
    if found is None:
        return
    if kind == "OBJECT_COLUMN":
        step.effects.lock(found.name, SHARE_UPDATE_EXCLUSIVE)
    step.effects.need("OWNER", "relation", found.name)


def _is_of_system(step: Step, parts: tuple[str, ...]) -> bool:
    """Return whether it is a system's column of a table, and note what commenting on it does."""
    if parts[-1] not in SYSTEM_COLUMNS or len(parts) < 2:
        return False
    table = relation_named(step, parts[:-1], missing_ok=False)
    if table is None or table.kind not in "rpmf":
        return False
    step.effects.lock(table.name, SHARE_UPDATE_EXCLUSIVE)
    step.effects.need("OWNER", "relation", table.name)
    return True


def _type(step: Step, kind: str, node: Any) -> None:
    found = find_user_type(step, node.type_name)
    if found is None:
        return
    table = step.schema.with_rows(found)
    if kind == "OBJECT_DOMAIN" and (table is not None or step.schema.types[found].kind != "d"):
        step.refuse("42809", "wrong-kind", name=found.name)
    step.effects.need("OWNER", "type", found)


COMMANDS: Mapping[str, Command] = {"comment_stmt": comment}
