"""Whose rows SELECT … FOR UPDATE, or FOR SHARE, locks: by PostgreSQL's grammar."""

from collections.abc import Iterator
from typing import Any


def locked_relations(select: Any) -> Iterator[Any]:
    """Yield the relations whose rows a SELECT locks, also in joins and in subqueries of FROM.

    As transformLockingClause() goes (analyze.c): OF names what is locked by its alias, and what
    locks a subquery locks all that this reads. Queries in WITH are not locked.
    """
    clauses = [each.locking_clause for each in select.locking_clause]
    named = {each.range_var.relname for clause in clauses for each in clause.locked_rels}
    every = any(not clause.locked_rels for clause in clauses)
    for item in _items(select.from_clause):
        kind = item.WhichOneof("node")
        value = getattr(item, kind)
        name = value.alias.aliasname or getattr(value, "relname", "")
        if every or name in named:
            yield from _read(item)


def _items(nodes: Any) -> Iterator[Any]:
    """Yield the tables and subqueries of FROM, those of joins too."""
    for each in nodes:
        kind = each.WhichOneof("node")
        if kind == "join_expr":
            yield from _items((each.join_expr.larg, each.join_expr.rarg))
        elif kind == "range_table_sample":
            yield from _items((each.range_table_sample.relation,))
        elif kind in ("range_var", "range_subselect"):
            yield each


def _read(item: Any) -> Iterator[Any]:
    if item.WhichOneof("node") == "range_var":
        yield item.range_var
        return
    for each in _items(item.range_subselect.subquery.select_stmt.from_clause):
        yield from _read(each)
