"""The names that PostgreSQL makes up for what is created without one, on the interpreted schema."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from opsmigrate.postgres.names import LONGEST_NAME
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.schema import Constraint, Index, Relation, Schema
from opsmigrate.sql.names import Name, chosen_name

# pg_constraint.contype -> how the name of its index ends.
LABELS = {"p": "pkey", "u": "key", "x": "excl"}


def has_constraint(table: Relation, name: str) -> bool:
    """Return whether a table has a constraint of this name; constraint triggers are some too."""
    of_triggers = (each.of_constraint for each in table.triggers.values())
    return name in table.constraints or name in of_triggers


def constraint_named(table: Relation, name: str) -> Constraint | None:
    """Return a table's constraint; raise UnknownError for that of a constraint trigger.

    Of such a one nothing but its name is known.
    """
    found = table.constraints.get(name)
    if found is None and has_constraint(table, name):
        raise UnknownError("the constraint of a constraint trigger", table.name)
    return found


def constraint_names(schema: Schema, namespace: str) -> frozenset[str]:
    """Return the names of all constraints of a schema, also of its domains (pg_constraint)."""
    cache = schema.__dict__.setdefault("_constraint_names", {})
    if namespace not in cache:
        cache[namespace] = frozenset(_constraint_names(schema, namespace))
    found: frozenset[str] = cache[namespace]
    return found


def _constraint_names(schema: Schema, namespace: str) -> Iterator[str]:
    for relation in schema.relations.values():
        if relation.name.schema == namespace:
            yield from relation.constraints
            of_triggers = (each.of_constraint for each in relation.triggers.values())
            yield from filter(None, of_triggers)
    for type_ in schema.types.values():
        if type_.name.schema == namespace:
            yield from type_.checks


def constraint_name(
    schema: Schema, table: Name, column: str, label: str, others: Collection[str] = ()
) -> str:
    """Return a name that no constraint of the schema has, nor one of `others`."""
    taken = constraint_names(schema, table.schema)
    return chosen_name(table.name, column, label, lambda name: name in taken or name in others)


def relation_name(
    schema: Schema, table: Name, column: str, label: str, *, constraint: bool = False
) -> str:
    """Return a name for an index or a sequence: of no relation, of no constraint if it is one."""
    taken = constraint_names(schema, table.schema) if constraint else frozenset()
    return chosen_name(
        table.name,
        column,
        label,
        lambda name: schema.is_taken(Name(table.schema, name)) or name in taken,
    )


def parts_of_index_name(index: Index, kind: str) -> tuple[str, str]:
    """Return the columns' part and the label for an index of a constraint of the kind, "" for none.

    As ChooseIndexName() takes them for the copy that a partition gets.
    """
    label = LABELS.get(kind, "idx")
    columns = index.named or [str(key.column) for key in index.keys] + list(index.include)
    return "" if kind == "p" else of_columns(told_apart(columns)), label


def of_columns(names: Sequence[str]) -> str:
    """Return the columns' part of a name: cut off where it would be too long anyway."""
    found = ""
    for name in names:
        found += ("_" if found else "") + name
        if len(found.encode()) > LONGEST_NAME:
            break
    return found


def told_apart(names: Sequence[str]) -> list[str]:
    """Return the names of an index's columns: `c0`, `c01` where `c0` comes again."""
    found: list[str] = []
    for name in names:
        candidate, number = name, 0
        while candidate in found:
            number += 1
            room = LONGEST_NAME - len(str(number))
            candidate = name.encode()[:room].decode(errors="ignore") + str(number)
        found.append(candidate)
    return found
