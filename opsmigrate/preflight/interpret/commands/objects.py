"""Who may alter, drop or comment on an object of a kind that the schema does not have."""

from __future__ import annotations

from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.effects import Right, UnknownError
from opsmigrate.preflight.interpret.named import name_parts
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.names import Name

# What the grammar calls a kind of object -> Right.object_kind, which is what ALTER calls it.
IN_SCHEMA = {
    "OBJECT_COLLATION": "collation",
    "OBJECT_CONVERSION": "conversion",
    "OBJECT_OPCLASS": "operator class",
    "OBJECT_OPERATOR": "operator",
    "OBJECT_OPFAMILY": "operator family",
    "OBJECT_STATISTIC_EXT": "statistics",
    "OBJECT_TSCONFIGURATION": "text search configuration",
    "OBJECT_TSDICTIONARY": "text search dictionary",
}
IN_NO_SCHEMA = {
    "OBJECT_DATABASE": "database",
    "OBJECT_EVENT_TRIGGER": "event trigger",
    "OBJECT_EXTENSION": "extension",
    "OBJECT_FDW": "foreign data wrapper",
    "OBJECT_FOREIGN_SERVER": "server",
    "OBJECT_LANGUAGE": "language",
    "OBJECT_PUBLICATION": "publication",
    "OBJECT_SCHEMA": "schema",
}
KINDS = {**IN_SCHEMA, **IN_NO_SCHEMA}


def object_named(kind: str, node: Any) -> tuple[str, ...]:
    """Return the name of an object as a statement has it, with its schema where it says one."""
    found = node.WhichOneof("node")
    if found == "string":
        parts: tuple[str, ...] = (as_stored(node.string.sval),)
    elif found == "object_with_args":
        parts = name_parts(node.object_with_args.objname)
    else:
        parts = name_parts(node.list.items)
    # The index's access method stands before it.
    return parts[1:] if kind in ("operator class", "operator family") else parts


def need_of_object(step: Step, label: str, node: Any, privilege: str = "OWNER") -> None:
    """Note who may do something with an object of the kind that the grammar calls `label`.

    End the statement as unknown where that is not known either.
    """
    kind = KINDS.get(label)
    if kind is None:
        step.effects.may_need_superuser()
        words = label.removeprefix("OBJECT_").replace("_", " ").lower()
        raise UnknownError(f"who may alter a {words}")
    name = object_named(kind, node)
    right = Right(privilege=privilege, object_kind=kind, name=name)
    # Of operators, the types of the operands tell which it is.
    if kind == "operator" or privilege == "GRANT":
        step.effects.may_need(right)
    else:
        step.effects.rights.append(right)


def need_of_another_name(step: Step, label: str, node: Any) -> None:
    """Note what an object needs that is called anew: in a schema, it is as a new object."""
    need_of_object(step, label, node)
    if label in IN_SCHEMA:
        need_to_make(step, object_named(IN_SCHEMA[label], node))


def need_to_make(step: Step, parts: tuple[str, ...]) -> str | None:
    """Note that an object of this name is made in its schema; return that, None where none is."""
    home = step.schema.home(parts[-2] if len(parts) > 1 else None)
    step.effects.need("CREATE", "schema", (home or parts[0],))
    return home


def need_of_relation(step: Step, node: Any, privilege: str = "OWNER") -> None:
    """Note who may do something with the relation that a RangeVar names; it may be missing."""
    schema = as_stored(node.schemaname) if node.schemaname else None
    name = as_stored(node.relname)
    found = step.schema.visible(schema, name)
    table = step.schema.at(found) if found is not None else None
    known = table.name if table is not None else Name(step.schema.home(schema) or "", name)
    step.effects.need(privilege, "relation", known)
