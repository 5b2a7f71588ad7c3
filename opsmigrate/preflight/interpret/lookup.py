"""What the names in a statement mean: relations and types, or how the server refuses them."""

from __future__ import annotations

from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.effects import Refusal, RefusedError, UnknownError
from opsmigrate.preflight.interpret.schema import Relation, Schema
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.names import Name, range_name
from opsmigrate.sql.types import AS_NAMED, KNOWN, SHOWN, SYSTEM, type_of

SYSTEM_SCHEMAS = (SYSTEM, "information_schema", "pg_toast")


def find_name(step: Step, node: Any) -> Name | None:
    """Return what a RangeVar finds, an index too; None where there is nothing of this name."""
    schema, name = range_name(node)
    if node.catalogname:
        raise UnknownError("a relation with the name of its database")
    if schema in SYSTEM_SCHEMAS or (schema is None and name.startswith("pg_")):
        raise UnknownError("a relation of PostgreSQL's own")
    if schema == "pg_temp" or (schema or "").startswith("pg_"):
        raise UnknownError("a temporary relation")
    found = step.schema.visible(schema, name)
    for each in (schema,) if schema else step.schema.search_path:
        # What may be there before it would be found.
        if found == Name(each, name):
            break
        _require_known(step, Name(each, name))
    return found


def _require_known(step: Step, name: Name) -> None:
    if name in step.schema.tainted and name not in step.schema.relations:
        raise UnknownError(f"whether {name} is there", name)


def find_relation(step: Step, node: Any, *, missing_ok: bool = False) -> Relation | None:
    """Return the relation that a RangeVar names; None where it is missing, and may be."""
    if missing_ok and find_name(step, node) is None:
        return None
    return relation_of(step, node)


def relation_of(step: Step, node: Any) -> Relation:
    """Return the relation that a RangeVar names, not an index.

    Refuse the statement as the server where it is not there: 3F000 or 42P01.
    """
    found = find_name(step, node)
    schema, name = range_name(node)
    if found is None:
        if schema is not None and schema not in step.schema.schemas:
            step.refuse("3F000", "missing-schema", name=schema)
        step.refuse("42P01", "missing-table", name=name)
    if found not in step.schema.relations:
        step.refuse("42809", "is-an-index", name=name)
    return step.known(found)


def opened(step: Step, node: Any) -> Relation:
    """Return the relation of a RangeVar as a statement opens it that looks at its kind later."""
    relation = relation_of(step, node)
    if relation.kind == "c":
        step.refuse("42809", "wrong-kind", relation=relation.name)
    return relation


def home_of(step: Step, node: Any) -> str:
    """Return the schema in which a CREATE puts what a RangeVar names; 3F000 where there is none."""
    schema, name = range_name(node)
    if node.relpersistence == "t" or (schema or "").startswith("pg_"):
        step.effects.need("TEMPORARY", "database", ())
        raise UnknownError("a temporary relation")
    home = step.schema.home(schema)
    if home is None:
        step.refuse("3F000", "missing-schema", name=schema or name)
    _require_known(step, Name(home, name))
    return home


def find_type(schema: Schema, node: Any) -> str:
    """Return the type that a TypeName means; raise RefusedError where there is none such."""
    found = type_of(node, lambda where, name: visible_type(schema, where, name))
    if found is not None:
        return found
    parts = [as_stored(each.string.sval) for each in node.names]
    name = parts[-1]
    ours = SHOWN.keys() | AS_NAMED | KNOWN
    plain = len(parts) < 3 and not node.pct_type and not node.setof
    of_system = name.startswith(("_", "pg_")) or parts[0] in SYSTEM_SCHEMAS
    if plain and name not in ours and not of_system:
        where = parts[0] if len(parts) == 2 else None
        if where is not None and where not in schema.schemas:
            raise RefusedError(Refusal(sqlstate="3F000", kind="missing-schema", name=where))
        if visible_type(schema, where, name) is None and schema.incomplete is None:
            raise RefusedError(Refusal(sqlstate="42704", kind="missing-type", name=name))
    raise UnknownError(f"the type {'.'.join(parts)}")


def visible_type(schema: Schema, where: str | None, name: str) -> Name | None:
    """Return the user's type, or relation, that a name finds as a type."""
    return schema.visible_type(where, name)
