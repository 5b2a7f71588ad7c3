"""Another format() than PostgreSQL's: by that one the fence reads what a body EXECUTEs."""

from opsmigrate.sql import nodes
from opsmigrate.sql.bodies import UNKNOWN
from opsmigrate.sql.statement import Node

# The one function whose result is known without its being called: sql.bodies.executed().
FORMAT = "format"
# Type of a node -> the field with the name of what it makes.
MADE = {"CreateFunctionStmt": "funcname", "DefineStmt": "defnames"}


def makes_format(part: Node) -> bool:
    """Return whether another format() may be called from here on, whose arguments fit better."""
    if part.kind == "RenameStmt":
        return part.value.newname in (FORMAT, UNKNOWN)
    field = MADE.get(part.kind)
    return field is not None and nodes.names(getattr(part.value, field))[-1] in (FORMAT, UNKNOWN)
