"""What a column or a constraint brings along: an index or a sequence of its own."""

from typing import Any

from opsmigrate.sql.nodes import label
from opsmigrate.sql.types import serial_type

INDEX, SEQUENCE = "index", "sequence"
OF_CONSTRAINTS = {
    "CONSTR_EXCLUSION": INDEX,
    "CONSTR_IDENTITY": SEQUENCE,
    "CONSTR_PRIMARY": INDEX,
    "CONSTR_UNIQUE": INDEX,
}


def own_relation(node: Any) -> str | None:
    """Return INDEX or SEQUENCE for a Constraint or ColumnDef that brings one, None for any other.

    What the constraints of a column bring is not said for the column.
    """
    kind = node.DESCRIPTOR.name
    if kind == "ColumnDef":
        return None if serial_type(node.type_name) is None else SEQUENCE
    # A constraint that takes an index that is there brings none.
    if kind == "Constraint" and not node.indexname:
        return OF_CONSTRAINTS.get(label(node, "contype"))
    return None
