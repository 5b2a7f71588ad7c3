"""Which columns of a table an INSERT, UPDATE, DELETE or MERGE of it reads: SELECT is needed."""

from __future__ import annotations

from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS
from opsmigrate.preflight.interpret.effects import Right
from opsmigrate.preflight.interpret.queries import is_systems, queried
from opsmigrate.preflight.interpret.schema import Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.expressions import nodes_in, references
from opsmigrate.sql.ranges import TARGET, ranges_of

# The fields of these statements in which a name may be of their table: not FROM, nor WITH.
FIELDS = (
    "where_clause",
    "target_list",
    "returning_list",
    "returning_clause",
    "join_condition",
    "merge_when_clauses",
)
# RETURNING has the row before and after by these names (18).
ROWS = ("old", "new")


def need_columns_read(step: Step, table: Relation, node: Any) -> None:
    """Note the columns of the table that a statement names: all for the row as a whole."""
    whole = Right(privilege="SELECT", object_kind="relation", name=table.name)
    if _is_a_source(step, table, node):
        return
    own = as_stored(node.relation.alias.aliasname) or table.name.name
    parts = [each for name in FIELDS for each in _within(node, name)]
    named = {
        each[-1]
        for part in parts
        for each in references(part)
        if len(each) == 1 or each[-2] in (own, *ROWS)
    }
    columns = tuple(sorted(named & (table.columns.keys() | SYSTEM_COLUMNS)))
    if "*" in named or own in named - table.columns.keys():
        step.effects.rights.append(whole)
    elif columns:
        # In a subquery, the name may be of a column of another table.
        within = any(each.DESCRIPTOR.name == "SubLink" for part in parts for each in nodes_in(part))
        right = Right(
            privilege="SELECT",
            object_kind="relation",
            name=table.name,
            columns=columns,
            certain=not within,
        )
        step.effects.rights.append(right)


def _is_a_source(step: Step, table: Relation, node: Any) -> bool:
    """Return whether it is read in FROM as well."""
    sources = [each.node for each in ranges_of(node) if each.role != TARGET]
    return any(not is_systems(each) and queried(step, each).name == table.name for each in sources)


def _within(node: Any, name: str) -> list[Any]:
    """Return what a field holds, one or several; nothing where the statement has none such."""
    if name not in node.DESCRIPTOR.fields_by_name:
        return []
    value = getattr(node, name)
    if hasattr(value, "DESCRIPTOR"):
        return [value] if node.HasField(name) else []
    return list(value)
