"""What the grammar at hand takes, and that of an older server does not: told before all else."""

from __future__ import annotations

from typing import Any

from opsmigrate.sql.nodes import label
from opsmigrate.sql.statement import Node, Statement

MERGES = NULLS_NOT_DISTINCT = SETS_COLUMNS = 150_000
SETS_EXPRESSIONS = 170_000
NAMES_NOT_NULL = KNOWS_VIRTUAL = KNOWS_NOT_ENFORCED = VACUUMS_ONLY = 180_000
NEVER = 0


def refused_by_grammar(statement: Statement, version: int) -> str | None:
    """Return the SQLSTATE by which a server of this version ends it before it is looked at."""
    if version >= KNOWS_VIRTUAL:
        return None
    parts = list(statement.parts())
    if any(version < _needed(each) for each in parts):
        return "42601"
    alone = any(each.kind == "ATAlterConstraint" and each.value.noinherit for each in parts)
    return "0A000" if alone else None


def _needed(part: Node) -> int:
    """Return the oldest server_version_num that parses a part; 0 for all that are known here."""
    if part.kind == "MergeStmt":
        return MERGES
    if part.kind == "IndexStmt":
        return NULLS_NOT_DISTINCT if part.value.nulls_not_distinct else NEVER
    if part.kind == "VacuumRelation":
        named = part.value.HasField("relation")
        return VACUUMS_ONLY if named and not part.value.relation.inh else NEVER
    if part.kind == "AlterTableCmd":
        return SETS_EXPRESSIONS if label(part.value, "subtype") == "AT_SetExpression" else NEVER
    if part.kind == "ATAlterConstraint":
        inherits = part.value.alter_inheritability and not part.value.noinherit
        return KNOWS_NOT_ENFORCED if inherits or part.value.alter_enforceability else NEVER
    return _needed_for_constraint(part.value) if part.kind == "Constraint" else NEVER


def _needed_for_constraint(node: Any) -> int:
    kind = label(node, "contype")
    if kind in ("CONSTR_ATTR_ENFORCED", "CONSTR_ATTR_NOT_ENFORCED"):
        return KNOWS_NOT_ENFORCED
    if kind == "CONSTR_GENERATED" and node.generated_kind == "v":
        return KNOWS_VIRTUAL
    if kind in ("CONSTR_CHECK", "CONSTR_FOREIGN") and not node.is_enforced:
        return KNOWS_NOT_ENFORCED
    # Only one that stands beside the columns says which of them it is of.
    if kind == "CONSTR_NOTNULL" and (node.is_no_inherit or node.keys):
        return NAMES_NOT_NULL
    if kind == "CONSTR_FOREIGN" and node.fk_del_set_cols:
        return SETS_COLUMNS
    return NULLS_NOT_DISTINCT if node.nulls_not_distinct else NEVER
