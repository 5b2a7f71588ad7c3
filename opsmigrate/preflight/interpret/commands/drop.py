"""DROP of every kind of object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opsmigrate.postgres.lock_modes import SHARE_UPDATE_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.commands.objects import need_of_object
from opsmigrate.preflight.interpret.dropping import drop
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.lookup import find_name
from opsmigrate.preflight.interpret.named import (
    ROUTINES,
    find_part,
    find_routine,
    find_statistics,
    find_user_type,
    name_parts,
)
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.preflight.interpret.thing import Thing, index, relation
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label

# What may be dropped by this word, and the SQLSTATE where it is not there.
RELATIONS = {
    "OBJECT_TABLE": ("rp", "42P01"),
    "OBJECT_VIEW": ("v", "42P01"),
    "OBJECT_MATVIEW": ("m", "42P01"),
    "OBJECT_SEQUENCE": ("S", "42P01"),
    "OBJECT_FOREIGN_TABLE": ("f", "42704"),
    "OBJECT_INDEX": ("i", "42704"),
}
PARTS = {"OBJECT_TRIGGER": "trigger", "OBJECT_POLICY": "policy", "OBJECT_RULE": "rule"}


def drop_objects(step: Step, node: Any) -> None:
    """Do what `node`, a DropStmt, says."""
    kind = label(node, "remove_type")
    finder = FINDERS.get(kind)
    if finder is None:
        for each in node.objects:
            need_of_object(step, kind, each, "DROP")
        raise UnknownError(f"DROP of {kind} is not interpreted", rights_told=True)
    if node.concurrent:
        _concurrently(step, node)
    found = dict.fromkeys(
        thing
        for each in node.objects
        if (thing := finder(step, kind, each, node.missing_ok)) is not None
    )
    if node.concurrent:
        _leave_index(step, list(found))
    else:
        drop(step, found, cascade=label(node, "behavior") == "DROP_CASCADE")


def _relation(step: Step, kind: str, node: Any, missing_ok: bool) -> Thing | None:
    kinds, missing = RELATIONS[kind]
    parts = name_parts(node.list.items)
    found = _visible(step, parts)
    if found is None:
        if missing_ok:
            return None
        if len(parts) == 2 and parts[0] not in step.schema.schemas:
            step.refuse("3F000", "missing-schema", name=parts[0])
        step.refuse(missing, "missing-relation", name=parts[-1])
    owner = step.schema.table_of_index(found)
    if (step.schema.relations[found].kind if owner is None else "i") not in kinds:
        step.refuse("42809", "wrong-kind", relation=found)
    step.effects.need("DROP", "relation", found if owner is None else owner.name)
    return relation(found) if owner is None else index(owner.name, found.name)


def _visible(step: Step, parts: tuple[str, ...]) -> Name | None:
    return find_name(step, Range(*parts)) if len(parts) < 3 else None


class Range:
    """A name in a list of strings, as the RangeVar that it would be."""

    def __init__(self, *parts: str) -> None:
        self.catalogname = ""
        self.relname = parts[-1]
        self.schemaname = parts[0] if len(parts) > 1 else ""


def _concurrently(step: Step, node: Any) -> None:
    if len(node.objects) > 1:
        step.refuse("0A000", "several-concurrently")
    if label(node, "behavior") == "DROP_CASCADE":
        step.refuse("0A000", "cascade-concurrently")


def _leave_index(step: Step, found: list[Thing]) -> None:
    """DROP INDEX CONCURRENTLY: the table goes on being written to."""
    for thing in found:
        table = step.known(thing.name)
        if table.persistence == "t":
            raise UnknownError("an index of a temporary table", table.name)
        if table.kind == "p":
            step.refuse("0A000", "partitioned-concurrently", relation=table.name)
        drop(step, [thing], cascade=False)
        for name in (table.name, Name(table.name.schema, thing.part)):
            step.effects.locks[name] = SHARE_UPDATE_EXCLUSIVE
        step.effects.concurrently = True


def _part(step: Step, kind: str, node: Any, missing_ok: bool) -> Thing | None:
    found = find_part(step, PARTS[kind], node, missing_ok=missing_ok)
    if found is not None:
        step.effects.need("OWNER", "relation", found.name)
    return found


def _type(step: Step, kind: str, node: Any, missing_ok: bool) -> Thing | None:
    found = find_user_type(step, node.type_name, missing_ok=missing_ok)
    if found is None:
        return None
    table = step.schema.with_rows(found)
    if kind == "OBJECT_DOMAIN" and (table is not None or step.schema.types[found].kind != "d"):
        step.refuse("42809", "wrong-kind", name=str(found))
    step.effects.need("DROP", "type", found)
    if table is None:
        return Thing("type", found)
    if table.kind != "c":
        step.refuse("2BP01", "required-by-another", name=str(found), holder=str(found))
    return relation(found)


def _routine(step: Step, kind: str, node: Any, missing_ok: bool) -> Thing | None:
    found = find_routine(step, kind, node.object_with_args, missing_ok=missing_ok)
    if found is None:
        return None
    step.effects.need("DROP", "function", (*found.name, *found.arguments))
    return Thing("function", found)


def _schema(step: Step, kind: str, node: Any, missing_ok: bool) -> Thing | None:
    name = as_stored(node.string.sval)
    if name not in step.schema.schemas:
        _missing(step, "3F000", name, missing_ok)
        return None
    step.effects.need("OWNER", "schema", (name,))
    return Thing("schema", name)


def _extension(step: Step, kind: str, node: Any, missing_ok: bool) -> Thing | None:
    name = as_stored(node.string.sval)
    if name not in step.schema.extensions:
        _missing(step, "42704", name, missing_ok)
        return None
    step.effects.need("OWNER", "extension", (name,))
    return Thing("extension", name)


def _collation(step: Step, kind: str, node: Any, missing_ok: bool) -> Thing | None:
    parts = name_parts(node.list.items)
    for schema in parts[:-1] or step.schema.search_path:
        found = Name(schema, parts[-1])
        if found in step.schema.collations:
            step.effects.need("DROP", "collation", found)
            return Thing("collation", found)
    if parts[-1:] and Name("pg_catalog", parts[-1]) in step.schema.collations:
        step.refuse("2BP01", "required-by-the-system", name=parts[-1])
    if len(parts) == 2 and parts[0] not in step.schema.schemas:
        _missing(step, "3F000", parts[0], missing_ok)
    else:
        _missing(step, "42704", parts[-1], missing_ok)
    return None


def _statistics(step: Step, kind: str, node: Any, missing_ok: bool) -> Thing | None:
    found = find_statistics(step, name_parts(node.list.items), missing_ok=missing_ok)
    if found is not None:
        step.effects.need("DROP", "statistics", found.part)
    return found


def _missing(step: Step, sqlstate: str, name: str, missing_ok: bool) -> None:
    if not missing_ok:
        step.refuse(sqlstate, "missing-object", name=name)


Finder = Callable[[Step, str, Any, bool], Thing | None]
FINDERS: Mapping[str, Finder] = {
    **dict.fromkeys(RELATIONS, _relation),
    **dict.fromkeys(PARTS, _part),
    **dict.fromkeys(ROUTINES, _routine),
    "OBJECT_TYPE": _type,
    "OBJECT_DOMAIN": _type,
    "OBJECT_SCHEMA": _schema,
    "OBJECT_EXTENSION": _extension,
    "OBJECT_COLLATION": _collation,
    "OBJECT_STATISTIC_EXT": _statistics,
}
COMMANDS: Mapping[str, Command] = {"drop_stmt": drop_objects}
