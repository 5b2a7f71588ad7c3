"""Which tables descend from one: partitions and INHERITS are the same thing here."""

from __future__ import annotations

from collections.abc import Iterable

from opsmigrate.preflight.interpret.schema import Relation, Schema
from opsmigrate.sql.names import Name


def children_of(schema: Schema, table: Name) -> tuple[Name, ...]:
    """Return the tables that have this one as a parent."""
    cache = schema.__dict__.get("_children")
    if cache is None:
        cache = {}
        for relation in schema.relations.values():
            for parent in relation.parents:
                cache.setdefault(parent, []).append(relation.name)
        schema.__dict__["_children"] = cache
    return tuple(cache.get(table, ()))


def descendants_of(schema: Schema, table: Name) -> tuple[Name, ...]:
    """Return all that have this one as a parent, or as a parent's parent, each once."""
    found: dict[Name, None] = {}
    waiting = list(children_of(schema, table))
    while waiting:
        child = waiting.pop(0)
        if child not in found:
            found[child] = None
            waiting += children_of(schema, child)
    return tuple(found)


def ancestors_of(schema: Schema, table: Relation) -> tuple[Name, ...]:
    """Return the parents of a table, their parents, and so on, each once."""
    found: dict[Name, None] = {}
    waiting = list(table.parents)
    while waiting:
        parent = waiting.pop(0)
        if parent not in found:
            found[parent] = None
            waiting += schema.relations[parent].parents
    return tuple(found)


def surroundings(schema: Schema, tables: Iterable[Name]) -> frozenset[Name]:
    """Return the tables, their descendants and sequences, and what refers to or reads these."""
    family = {each for table in tables for each in (table, *descendants_of(schema, table))}
    others = {
        relation.name
        for relation in schema.relations.values()
        if any(each.target in family for each in relation.constraints.values())
        or (
            relation.sequence is not None
            and relation.sequence.owner is not None
            and relation.sequence.owner[0] in family
        )
    }
    targets = {
        each.target
        for table in family
        if table in schema.relations
        for each in schema.relations[table].constraints.values()
        if each.target is not None
    }
    found = family | others | targets
    size = 0
    while size < len(found):
        size = len(found)
        # What a view reads is called as it is now.
        found |= {
            relation.name
            for relation in schema.relations.values()
            if any(use.relation in found for use in relation.uses)
        }
    return frozenset(found)
