"""What each index method can do, and which operator class it has for a type."""

from __future__ import annotations

from typing import NamedTuple

from opsmigrate.preflight.interpret.coercion import base_type, facts_of, is_binary, row_types
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.preflight.interpret.system import OperatorClass
from opsmigrate.sql.types import element_type, without_modifier


class Method(NamedTuple):
    """What an index of this method may be (amcanunique, amcaninclude, … in amapi.h)."""

    unique: bool = False
    include: bool = False
    several: bool = True
    ordered: bool = False
    exclusion: bool = True
    options: frozenset[str] = frozenset({"fillfactor"})


METHODS = {
    "btree": Method(True, True, True, True, options=frozenset({"fillfactor", "deduplicate_items"})),
    "hash": Method(several=False),
    "gist": Method(include=True, options=frozenset({"fillfactor", "buffering"})),
    "spgist": Method(include=True, several=False),
    "gin": Method(exclusion=False, options=frozenset({"fastupdate", "gin_pending_list_limit"})),
    "brin": Method(exclusion=False, options=frozenset({"pages_per_range", "autosummarize"})),
}


def default_class(schema: Schema, method: str, type_: str) -> OperatorClass | None:
    """Return the class that an index takes for a type by itself (GetDefaultOpClass)."""
    base = base_type(schema, type_)
    facts = facts_of(schema, base)
    defaults = [each for each in schema.system.classes.get(method, ()) if each.default]
    exact = [each for each in defaults if each.type == base]
    if len(exact) == 1:
        return exact[0]
    preferred: list[OperatorClass] = []
    coercible: list[OperatorClass] = []
    for each in defaults:
        if each.type != base and is_binary(schema, base, each.type):
            ours = facts_of(schema, each.type)
            same = facts is not None and ours is not None and ours.category == facts.category
            (preferred if same and ours and ours.preferred else coercible).append(each)
    for found in (preferred, coercible):
        if len(found) == 1:
            return found[0]
    return None


def is_ordered(schema: Schema, type_: str) -> bool:
    """Return whether values of a type, and all in them, can be sorted (TYPECACHE_LT_OPR)."""
    base = base_type(schema, type_)
    if (element := element_type(base)) is not None:
        return is_ordered(schema, element)
    if (row := row_types(schema).get(base)) is not None:
        columns = schema.relations[row].columns.values()
        return all(is_ordered(schema, each.type) for each in columns)
    return default_class(schema, "btree", base) is not None


def named_class(
    schema: Schema, method: str, parts: list[str], type_: str
) -> OperatorClass | str | None:
    """Return the class of a name; None where there is none, a word where it takes another type."""
    path = parts[:1] if len(parts) > 1 else ["pg_catalog", *schema.search_path]
    every = schema.system.classes.get(method, ())
    found = next(
        (each for place in path for each in every if each.name == (place, parts[-1])), None
    )
    if found is None:
        return None
    return found if is_binary(schema, without_modifier(type_), found.type) else "another type"


def equality(schema: Schema, found: OperatorClass, other: str) -> int | None:
    """Return the operator by which a class compares its type with another; None for none."""
    strategy = 1 if found in schema.system.classes.get("hash", ()) else 3
    return schema.system.members.get((found.family, found.type, other), {}).get(strategy)
