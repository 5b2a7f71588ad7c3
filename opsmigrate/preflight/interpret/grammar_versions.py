"""What the grammar at hand takes, and that of an older server does not: 42601 before all else."""

from __future__ import annotations

from opsmigrate.sql.nodes import label
from opsmigrate.sql.statement import Node, Statement

MERGES = NULLS_NOT_DISTINCT = 150_000
SETS_EXPRESSIONS = 170_000
NAMES_NOT_NULL = KNOWS_VIRTUAL = KNOWS_NOT_ENFORCED = 180_000
NEVER = 0


def is_too_new(statement: Statement, version: int) -> bool:
    """Return whether a server of this version ends the statement as a syntax error."""
    if version >= KNOWS_VIRTUAL:
        return False
    return any(version < _needed(each) for each in statement.parts())


def _needed(part: Node) -> int:
    """Return the oldest server_version_num that parses a part; 0 for all that are known here."""
    if part.kind == "MergeStmt":
        return MERGES
    if part.kind == "AlterTableCmd":
        return _needed_for_command(part)
    return _needed_for_constraint(part) if part.kind == "Constraint" else NEVER


def _needed_for_command(part: Node) -> int:
    kind = label(part.value, "subtype")
    if kind == "AT_SetExpression":
        return SETS_EXPRESSIONS
    if kind == "AT_AddConstraint":
        named = label(getattr(part.value, "def").constraint, "contype") == "CONSTR_NOTNULL"
        return NAMES_NOT_NULL if named else NEVER
    return NEVER


def _needed_for_constraint(part: Node) -> int:
    node = part.value
    kind = label(node, "contype")
    if kind in ("CONSTR_ATTR_ENFORCED", "CONSTR_ATTR_NOT_ENFORCED"):
        return KNOWS_NOT_ENFORCED
    if kind == "CONSTR_GENERATED" and node.generated_kind == "v":
        return KNOWS_VIRTUAL
    if kind in ("CONSTR_CHECK", "CONSTR_FOREIGN") and not node.is_enforced:
        return KNOWS_NOT_ENFORCED
    if kind == "CONSTR_NOTNULL" and node.is_no_inherit:
        return NAMES_NOT_NULL
    return NULLS_NOT_DISTINCT if node.nulls_not_distinct else NEVER
