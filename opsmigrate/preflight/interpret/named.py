"""Objects that a statement names in lists of words: parts of relations, types, routines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.lookup import SYSTEM_SCHEMAS, find_type, visible_type
from opsmigrate.preflight.interpret.made_names import constraint_named
from opsmigrate.preflight.interpret.schema import Relation, Signature
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.preflight.interpret.thing import Thing
from opsmigrate.sql.names import Name
from opsmigrate.sql.types import KNOWN, type_of, without_modifier

# What the grammar calls a routine -> the kinds (pg_proc.prokind) that go by that word.
ROUTINES = {
    "OBJECT_FUNCTION": "fw",
    "OBJECT_PROCEDURE": "p",
    "OBJECT_ROUTINE": "fwpa",
    "OBJECT_AGGREGATE": "a",
}
# The fields of a relation in which its parts are.
FIELDS = {
    "trigger": "triggers",
    "policy": "policies",
    "rule": "rules",
    "constraint": "constraints",
    "column": "columns",
}
MISSING = {"column": "42703"}
DOMAIN = "OBJECT_DOMAIN"


def name_parts(nodes: Iterable[Any]) -> tuple[str, ...]:
    """Return the parts of a name, as PostgreSQL stores them."""
    return tuple(as_stored(each.string.sval) for each in nodes)


def relation_named(step: Step, parts: tuple[str, ...], *, missing_ok: bool) -> Relation | None:
    """Return the relation of a name in a list; refuse as the server where it is not there."""
    schema, name = (parts[-2] if len(parts) > 1 else None), parts[-1]
    if schema in SYSTEM_SCHEMAS or name.startswith("pg_") or (schema or "").startswith("pg_"):
        step.effects.may_need_superuser()
        raise UnknownError("a relation of PostgreSQL's own, or a temporary one")
    found = step.schema.visible(schema, name)
    if found is None:
        if missing_ok:
            return None
        if schema is not None and schema not in step.schema.schemas:
            step.refuse("3F000", "missing-schema", name=schema)
        step.refuse("42P01", "missing-table", name=name)
    if found not in step.schema.relations:
        owner = step.schema.table_of_index(found)
        raise UnknownError("a part of an index", *([owner.name] if owner else []))
    return step.known(found)


def find_part(step: Step, kind: str, node: Any, *, missing_ok: bool = False) -> Thing | None:
    """Return a part of a relation that a list names: schema, relation, part."""
    parts = name_parts(node.list.items)
    table = relation_named(step, parts[:-1], missing_ok=missing_ok)
    if table is None:
        return None
    # Of a composite type, columns are all that there may be.
    if table.kind == "c" and kind != "column":
        step.refuse("42809", "not-a-table", relation=table.name)
    if kind == "constraint":
        constraint_named(table, parts[-1])
    if parts[-1] not in getattr(table, FIELDS[kind]):
        if missing_ok:
            return None
        state = MISSING.get(kind, "42704")
        step.refuse(state, f"missing-{kind}", relation=table.name, name=parts[-1])
    return Thing(kind, table.name, parts[-1])


def find_user_type(step: Step, node: Any, *, missing_ok: bool = False) -> Name | None:
    """Return the type, or relation as a type, that a TypeName means; no type of PostgreSQL's."""
    found = visible_type(step.schema, *_two(name_parts(node.names)))
    if found is not None and not node.array_bounds:
        return found
    if missing_ok and type_of(node, lambda *where: None) is None:
        return None
    find_type(step.schema, node)
    raise UnknownError("a type of PostgreSQL's own")


def user_type_named(step: Step, nodes: Iterable[Any]) -> Name:
    """Return the type, or relation as a type, of a name in a list; refuse as the server."""
    schema, name = _two(name_parts(nodes))
    found = visible_type(step.schema, schema, name)
    if found is None:
        if schema is not None and schema not in step.schema.schemas:
            step.refuse("3F000", "missing-schema", name=schema)
        if name in KNOWN or name.startswith(("_", "pg_")):
            raise UnknownError("a type of PostgreSQL's own")
        step.refuse("42704", "missing-type", name=name)
    return found


def type_named(step: Step, word: str, nodes: Iterable[Any]) -> Name:
    """Return the type of a name in a list; refuse one that is no domain where the word is that."""
    name = user_type_named(step, nodes)
    own = step.schema.types.get(name)
    if word == DOMAIN and (own is None or own.kind != "d"):
        step.refuse("42809", "wrong-kind", name=name.name)
    return name


def require_no_rows(step: Step, name: Name) -> None:
    """Refuse the type of a table's rows: it goes with the table."""
    table = step.schema.with_rows(name)
    if table is not None and table.kind != "c":
        step.refuse("42809", "wrong-kind", name=name.name)


def _two(parts: tuple[str, ...]) -> tuple[str | None, str]:
    return (parts[-2] if len(parts) > 1 else None), parts[-1]


def find_routine(step: Step, kind: str, node: Any, *, missing_ok: bool = False) -> Signature | None:
    """Return the routine that an ObjectWithArgs names; refuse where there is none, or several."""
    parts = name_parts(node.objname)
    named = _routines_named(step, parts)
    kinds = ROUTINES[kind]
    if node.args_unspecified:
        fitting = [each for each in named if step.schema.functions[each].kind in kinds]
        if len(fitting) > 1:
            step.refuse("42725", "ambiguous-routine", name=parts[-1])
        if fitting:
            return fitting[0]
        arguments = None
    else:
        arguments = tuple(
            without_modifier(find_type(step.schema, each.type_name)) for each in node.objargs
        )
    for each in named:
        if arguments in (None, each.arguments):
            if step.schema.functions[each].kind not in kinds:
                step.refuse("42809", "wrong-kind", name=parts[-1])
            return each
    if not missing_ok:
        if len(parts) == 2 and parts[0] not in step.schema.schemas:
            step.refuse("3F000", "missing-schema", name=parts[0])
        step.refuse("42883", "missing-routine", name=parts[-1])
    return None


def routine_named(step: Step, kind: str, node: Any) -> Signature:
    """Return the routine that an ObjectWithArgs names; refuse where there is none, or several."""
    routine = find_routine(step, kind, node)
    if routine is None:
        raise AssertionError(node)
    return routine


def _routines_named(step: Step, parts: tuple[str, ...]) -> list[Signature]:
    qualified = parts[0] in SYSTEM_SCHEMAS and len(parts) > 1
    # Those come first, wherever others are.
    if qualified or (len(parts) == 1 and parts[0] in step.schema.system.functions):
        step.effects.may_need_superuser()
        raise UnknownError("a routine of PostgreSQL's own")
    homes = parts[-2:-1] or step.schema.search_path
    return [
        each
        for home in homes
        for each in step.schema.functions
        if each.name == Name(home, parts[-1])
    ]


def find_statistics(
    step: Step, parts: tuple[str, ...], *, missing_ok: bool = False
) -> Thing | None:
    """Return the extended statistics of this name."""
    for home in parts[-2:-1] or step.schema.search_path:
        for table in step.schema.relations.values():
            if Name(home, parts[-1]) in table.statistics:
                return Thing("statistics", table.name, Name(home, parts[-1]))
    if not missing_ok:
        if len(parts) == 2 and parts[0] not in step.schema.schemas:
            step.refuse("3F000", "missing-schema", name=parts[0])
        step.refuse("42704", "missing-statistics", name=parts[-1])
    return None
