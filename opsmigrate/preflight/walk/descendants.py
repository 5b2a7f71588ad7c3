"""The tables that inherit from one, partitions too: what a statement asks of it, it asks of them.

ALTER TABLE goes on to each of them (documentation, 5.11 Inheritance), and rebuilds what stands on
the column there. What a partition has as the copy of its parent's is asked of the parent only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Field

from opsmigrate.postgres.names import former_name, quoted
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import CHECK, SimulatedTable
from opsmigrate.schema.types import base, modifiers
from opsmigrate.steps import statement


@dataclass(frozen=True, kw_only=True)
class Member:
    """A table of the tree: `own` is the table without what it has from its parents."""

    table: SimulatedTable
    own: SimulatedTable


def family(walk: SchemaWalk, table: SimulatedTable) -> list[Member]:
    """Return the table, and after it those that inherit from it."""
    return [
        Member(table=table, own=table),
        *(Member(table=each, own=_own(walk, table, each)) for each in descendants(walk, table)),
    ]


def descendants(walk: SchemaWalk, table: SimulatedTable) -> list[SimulatedTable]:
    """Return the tables that inherit from it, however far, and that the plan has left."""
    found = (
        walk.schema.of_origin(child.schema, child.name)
        for child in walk.relatives.descendants(table)
    )
    return [each for each in found if each is not None]


def _own(walk: SchemaWalk, parent: SimulatedTable, child: SimulatedTable) -> SimulatedTable:
    attached = walk.relatives.attached_indexes
    copied = {name for name in child.indexes if (child.schema, name) in attached}
    return replace(
        child,
        indexes={name: each for name, each in child.indexes.items() if name not in copied},
        constraints={
            name: each
            for name, each in child.constraints.items()
            # A check of the same name is the same (MergeConstraintsIntoExisting, tablecmds.c).
            if name not in copied and not (each[0] == CHECK and name in parent.constraints)
        },
    )


def free_in_children(
    walk: SchemaWalk, table: SimulatedTable, column: str, type_: str | None
) -> None:
    """Report a child that has a column of this name, and of another type than `type_` if given.

    A column that is added is merged with one of the same type; a new name must be free.
    """
    there = [
        (each.label, each.live, each.live_column(column), each.types[column])
        for each in descendants(walk, table)
        if column in each.types
    ]
    foreign = [
        (name, name, quoted(column), found)
        for name, found in walk.relatives.foreign_tables_with(table, column)
    ]
    for child, live, its_own, found in there + foreign:
        merges = type_ is not None and (base(found), modifiers(found)) == (
            base(type_),
            modifiers(type_),
        )
        if not merges:
            walk.ledger.find(
                "column-exists",
                f"{child}, which inherits from {table.label}, has a column {column} of its own "
                f"already: {found}",
                hint="give that one another name: its values are kept",
                steps=(
                    statement(
                        f"ALTER TABLE {live} RENAME COLUMN {its_own} "
                        f"TO {quoted(former_name(column, set()))}"
                    ),
                ),
                table=table.label,
                column=column,
            )


def require_no_other_parent(
    walk: SchemaWalk, table: SimulatedTable, column: str, doing: str
) -> None:
    """Report a child that has the column from a table besides: PostgreSQL refuses to change it."""
    for child in walk.relatives.with_other_parents(table, column):
        walk.ledger.find(
            "inherited-column",
            f"{child}, which inherits from {table.label}, has column {column} from another table "
            f"too, so {doing} is refused",
            hint="let it inherit from one of them only",
            table=table.label,
            column=column,
        )


def note_foreign_tables(walk: SchemaWalk, table: SimulatedTable, doing: str) -> None:
    """Mark as undecided what is on a foreign table that inherits: it is not simulated."""
    for child in walk.relatives.descendants(table):
        if child.kind == "f":
            walk.ledger.mark_undecided(
                f"whether what stands on the foreign table {quoted(child.schema, child.name)} "
                f"allows {doing}, from which it inherits"
            )


def add_to_children(
    walk: SchemaWalk, table: SimulatedTable, field: Field[Any, Any], column: str
) -> None:
    """Let each child have the new column; one that has it already keeps its own."""
    params = field.db_parameters(connection=walk.connection)
    for child in descendants(walk, table):
        if column not in child.types:
            walk.inherit_column(child, field)
            child.inherited |= {column}
        elif (
            (not field.null and column not in child.not_null)
            or field.generated
            or params.get("collation")
            or params["check"]
        ):
            # The rest of the two definitions must go together too, and the rows there with both.
            walk.ledger.mark_undecided(
                f"whether {child.label}.{column} can be merged with the one that {table.label} gets"
            )


def losing(walk: SchemaWalk, table: SimulatedTable, column: str) -> list[SimulatedTable]:
    """Return the children that lose the column with it: those that have it from nowhere else."""
    live = table.origins.get(column)
    lost = walk.relatives.inherited_only(table, live) if live else set()
    return [
        child
        for child in descendants(walk, table)
        # One that has a column of its own keeps that, also where the plan has merged it.
        if column in child.types
        and (child.origin in lost if column in child.origins else live is None)
    ]


def foreign_tables_losing(
    walk: SchemaWalk, table: SimulatedTable, column: str
) -> list[tuple[str, str]]:
    """Return, by schema and name, the foreign tables among the children that lose it."""
    live = table.origins.get(column)
    lost = walk.relatives.inherited_only(table, live) if live else set()
    return [
        (child.schema, child.name)
        for child in walk.relatives.descendants(table)
        if child.kind == "f" and (child.schema, child.name) in lost
    ]
