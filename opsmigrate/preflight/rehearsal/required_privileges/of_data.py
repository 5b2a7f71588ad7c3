"""What statements need that read and write rows."""

from collections.abc import Iterator
from typing import Any

from opsmigrate.preflight.rehearsal.required_privileges.required import (
    Name,
    Required,
    RequiredPrivilege,
    Unclear,
    create_relation,
    name_of,
    parts_of,
)
from opsmigrate.sql import nodes
from opsmigrate.sql.expressions import nodes_in
from opsmigrate.sql.ranges import LOCKED, TARGET, ranges_of

WRITES = {"InsertStmt": "INSERT", "UpdateStmt": "UPDATE", "DeleteStmt": "DELETE"}
CONFLICT_UPDATES = "ONCONFLICT_UPDATE"


def data(message: Any) -> Iterator[Required]:
    """Yield what a query or a part of it needs, on the relations that it names."""
    for part in nodes_in(message):
        kind = part.DESCRIPTOR.name
        if kind == "IntoClause":
            yield create_relation(part.rel)
        elif kind == "MergeStmt":
            yield from _merged(part)
        elif kind in WRITES:
            yield from _written(part, WRITES[kind])
    for node, role in ranges_of(message):
        if role != TARGET:
            yield RequiredPrivilege("SELECT", name_of(node))
        if role == LOCKED:
            # FOR UPDATE and the like; one column is enough.
            yield RequiredPrivilege("UPDATE", name_of(node), certain=False)


def _written(message: Any, privilege: str) -> Iterator[Required]:
    target = name_of(message.relation)
    given = _given(message) if privilege != "DELETE" else None
    yield RequiredPrivilege(privilege, target, given)
    # What is read of the target: the columns that are returned, or any.
    if privilege == "INSERT":
        conflict = message.on_conflict_clause
        if nodes.label(conflict, "action") == CONFLICT_UPDATES:
            yield RequiredPrivilege("UPDATE", target, _names(conflict.target_list))
        if message.HasField("on_conflict_clause") and conflict.HasField("infer"):
            columns = tuple(each.index_elem.name for each in conflict.infer.index_elems)
            yield RequiredPrivilege("SELECT", target, columns if all(columns) else None)
    else:
        sources = message.from_clause if privilege == "UPDATE" else message.using_clause
        read = [message.where_clause]
        read += [each.res_target.val for each in message.target_list] if given else []
        found = [each for part in read for each in _mentions(part)]
        alone = not sources and "SubLink" not in found and not message.HasField("with_clause")
        if "ColumnRef" in found:
            yield RequiredPrivilege("SELECT", target, certain=alone)
    yield from _returned(message, target)


def _given(message: Any) -> tuple[str, ...] | None:
    named = message.cols if message.DESCRIPTOR.name == "InsertStmt" else message.target_list
    return _names(named) or None


def _returned(message: Any, target: Name) -> Iterator[Required]:
    returned = _returning(message)
    if not returned:
        return
    columns = [_plain(each.res_target.val) for each in returned]
    if all(columns):
        yield RequiredPrivilege("SELECT", target, tuple(str(each) for each in columns))
    elif any("ColumnRef" in _mentions(each.res_target.val) for each in returned):
        yield RequiredPrivilege("SELECT", target)


def _returning(message: Any) -> Any:
    # The grammar of PostgreSQL 18 has a clause, earlier ones a list.
    if "returning_clause" in message.DESCRIPTOR.fields_by_name:
        return message.returning_clause.exprs
    return message.returning_list


def _plain(node: Any) -> str | None:
    """Return the name of a column, where the expression is nothing else."""
    fields = node.column_ref.fields
    return str(fields[-1].string.sval) or None if fields else None


def _merged(message: Any) -> Iterator[Required]:
    target = name_of(message.relation)
    yield RequiredPrivilege("SELECT", target, certain=False)
    for each in message.merge_when_clauses:
        command = nodes.label(each.merge_when_clause, "command_type")
        if command != "CMD_NOTHING":
            yield RequiredPrivilege(command.removeprefix("CMD_"), target)


def copied(node: Any) -> Iterator[Required]:
    """COPY."""
    if node.HasField("query"):
        yield from data(node.query)
    else:
        columns = parts_of(node.attlist) or None
        privilege = "INSERT" if node.is_from else "SELECT"
        yield RequiredPrivilege(privilege, name_of(node.relation), columns)


def truncated(node: Any) -> Iterator[Required]:
    """TRUNCATE."""
    for each in node.relations:
        yield RequiredPrivilege("TRUNCATE", name_of(each.range_var))
    if nodes.label(node, "behavior") == "DROP_CASCADE":
        yield Unclear("TRUNCATE … CASCADE also empties the tables that refer to it")


def locked(node: Any) -> Iterator[Required]:
    """LOCK: one of several privileges is enough, by the mode."""
    for each in node.relations:
        yield RequiredPrivilege("UPDATE", name_of(each.range_var), certain=False)


def made_by_query(node: Any) -> Iterator[Required]:
    """CREATE TABLE AS and CREATE MATERIALIZED VIEW."""
    yield from data(node.into)
    yield from data(node.query)


def _names(targets: Any) -> tuple[str, ...]:
    return tuple(str(each.res_target.name) for each in targets)


def _mentions(message: Any) -> frozenset[str]:
    """Return the kinds of nodes in an expression."""
    return frozenset(each.DESCRIPTOR.name for each in nodes_in(message))
