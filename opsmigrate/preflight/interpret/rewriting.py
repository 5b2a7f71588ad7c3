"""A table that is written anew: its file, its indexes, and what forbids it."""

from __future__ import annotations

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE
from opsmigrate.preflight.interpret.altering import Altering
from opsmigrate.preflight.interpret.coercion import base_type
from opsmigrate.preflight.interpret.schema import TEMPORARY, Schema
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.names import Name
from opsmigrate.sql.types import element_type, user_type

# The kinds of relations that have rows, or whose partitions have them.
STORED = "rmp"


def write_anew(altering: Altering) -> None:
    """Give a new file to what is to be written anew, and to its indexes."""
    for table in sorted(altering.rewritten):
        if altering.relation(table).kind != "r":
            continue
        require_no_column_of(altering.step, table)
        altering.step.effects.rewrites.add(table)
        altering.step.effects.scans.add(table)
        rebuild_indexes(altering.step, table)


def rebuild_indexes(step: Step, table: Name) -> None:
    """Build all indexes of a table anew, but those that are not there when the statement begins."""
    for name in step.known(table).indexes:
        step.effects.builds.add(Name(table.schema, name))
        step.effects.lock(Name(table.schema, name), ACCESS_EXCLUSIVE)


def require_no_column_of(step: Step, table: Name) -> None:
    """Refuse where a column has the rows of this table as its values: 0A000."""
    holder = column_of_row_type(step.schema, table)
    if holder is not None:
        step.refuse("0A000", "row-type-used", relation=table, holder=f"{holder[0]}.{holder[1]}")


def require_not_within(step: Step, table: Name, type_: str) -> None:
    """Refuse a column that would have rows of its own table in it (CheckAttributeType)."""
    waiting, seen = [type_], set()
    while waiting:
        base = base_type(step.schema, waiting.pop())
        base = base_type(step.schema, element_type(base) or base)
        if base in _row_types(table):
            step.refuse("42P16", "row-within-itself", relation=table)
        if base in seen:
            continue
        seen.add(base)
        for relation in step.schema.relations.values():
            if relation.kind != "S" and base in _row_types(relation.name):
                waiting += [each.type for each in relation.columns.values()]


def _row_types(table: Name) -> tuple[str, ...]:
    # A temporary one needs no schema.
    bare = (table.name,) if table.schema == TEMPORARY else ()
    return (user_type(table), *bare)


def column_of_row_type(schema: Schema, table: Name) -> tuple[Name, str] | None:
    """Return a column whose type is a table's row, or has it within."""
    return column_of(schema, user_type(table))


def column_of(schema: Schema, shown: str, *, arrays_only: bool = False) -> tuple[Name, str] | None:
    """Return a stored column of a type, of its arrays, or of what has it within.

    With `arrays_only` it is not one of the type itself (find_composite_type_dependencies).
    """
    for relation in schema.relations.values():
        for column in relation.columns.values():
            base = base_type(schema, column.type)
            if shown != element_type(base) and (arrays_only or shown != base):
                continue
            if relation.kind in STORED:
                return relation.name, column.name
            found = column_of(schema, user_type(relation.name))
            if found is not None:
                return found
    return None
