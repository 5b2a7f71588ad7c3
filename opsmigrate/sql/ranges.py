"""The relations that a query names, by what it does with each; names that WITH gives are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from opsmigrate.postgres.names import as_stored
from opsmigrate.sql.statement import BARE

TARGET, SOURCE, LOCKED = "target", "source", "locked"
WRITES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
NO_RANGES = BARE | {"IntoClause", "LockingClause"}

Hidden = frozenset[str]


class Range(NamedTuple):
    """A relation in a query: its RangeVar, and whether it is written, read, or read and locked."""

    node: Any
    role: str

    @property
    def alias(self) -> str:
        """Return what the query calls it."""
        alias = self.node.alias.aliasname
        return as_stored(alias or self.node.relname)


def ranges_of(node: Any) -> tuple[Range, ...]:
    """Return the relations of a query, or of a part of one, in the order in which they stand."""
    return tuple(_ranges(node, frozenset()))


def _ranges(node: Any, hidden: Hidden) -> Iterator[Range]:
    kind = node.DESCRIPTOR.name
    if kind in NO_RANGES:
        return
    if kind == "RangeVar":
        if node.schemaname or as_stored(node.relname) not in hidden:
            yield Range(node, SOURCE)
        return
    if "with_clause" in node.DESCRIPTOR.fields_by_name and node.HasField("with_clause"):
        yield from _named_queries(node.with_clause, hidden)
        hidden |= {as_stored(each.common_table_expr.ctename) for each in node.with_clause.ctes}
    skipped = {"with_clause"}
    if kind in WRITES:
        skipped.add("relation")
        yield Range(node.relation, TARGET)
    locks = kind == "SelectStmt" and node.locking_clause
    if locks:
        skipped.add("from_clause")
        yield from _locked(node, hidden)
    for field, each in _parts(node):
        if field not in skipped:
            yield from _ranges(each, hidden)


def _named_queries(clause: Any, hidden: Hidden) -> Iterator[Range]:
    """Yield those of the queries of WITH: without RECURSIVE, each sees the ones before it."""
    queries = [each.common_table_expr for each in clause.ctes]
    if clause.recursive:
        hidden |= {as_stored(each.ctename) for each in queries}
    for each in queries:
        yield from _ranges(each.ctequery, hidden)
        hidden |= {as_stored(each.ctename)}


def _locked(node: Any, hidden: Hidden) -> Iterator[Range]:
    """Yield those of FROM: FOR UPDATE is of all of them, or of those that OF names."""
    chosen: set[str] | None = set()
    for each in node.locking_clause:
        names = {as_stored(name.range_var.relname) for name in each.locking_clause.locked_rels}
        chosen = None if not names or chosen is None else chosen | names
    for item in node.from_clause:
        for alias, found in _items(item, hidden):
            locked = (chosen is None or alias in chosen) and found.role == SOURCE
            yield Range(found.node, LOCKED) if locked else found


def _items(item: Any, hidden: Hidden) -> Iterator[tuple[str, Range]]:
    """Yield the relations of an item of FROM, and by what name the query has each."""
    kind = item.WhichOneof("node")
    if kind == "join_expr":
        for side in (item.join_expr.larg, item.join_expr.rarg):
            yield from _items(side, hidden)
        for each in _ranges(item.join_expr.quals, hidden):
            yield "", each
    elif kind == "range_subselect":
        alias = as_stored(item.range_subselect.alias.aliasname)
        for each in _ranges(item.range_subselect.subquery, hidden):
            yield alias, each
    else:
        for each in _ranges(item, hidden):
            yield each.alias, each


def _parts(node: Any) -> Iterator[tuple[str, Any]]:
    for descriptor, value in node.ListFields():
        if descriptor.message_type is not None:
            for each in (value,) if hasattr(value, "DESCRIPTOR") else value:
                yield descriptor.name, each
