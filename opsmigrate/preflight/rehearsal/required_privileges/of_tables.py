"""What statements need that make or alter a table, or something on one."""

from collections.abc import Iterator
from typing import Any

from opsmigrate.preflight.rehearsal.required_privileges.required import (
    MAINTAIN,
    Required,
    RequiredPrivilege,
    Unclear,
    create_beside,
    create_relation,
    name_of,
    owner,
    parts_of,
)
from opsmigrate.sql import nodes
from opsmigrate.sql.own_relations import own_relation


def created(node: Any) -> Iterator[Required]:
    """CREATE TABLE."""
    yield create_relation(node.relation)
    for each in node.inh_relations:
        yield owner(name_of(each.range_var))
    for each in node.table_elts:
        kind = each.WhichOneof("node")
        if kind == "table_like_clause":
            yield RequiredPrivilege("SELECT", name_of(each.table_like_clause.relation))
        else:
            yield from _referenced(getattr(each, kind))


def altered(node: Any) -> Iterator[Required]:
    """ALTER TABLE, and of what else the grammar calls so: views, indexes, composite types."""
    name = name_of(node.relation)
    if nodes.label(node, "objtype") == "OBJECT_TYPE":
        yield owner(name, "TYPE")
        return
    yield owner(name)
    for each in node.cmds:
        yield from _altered(node, each.alter_table_cmd)


def _altered(node: Any, command: Any) -> Iterator[Required]:
    subtype = nodes.label(command, "subtype")
    definition = getattr(command, "def")
    kind = definition.WhichOneof("node")
    if subtype in ("AT_AttachPartition", "AT_AddInherit"):
        other = definition.partition_cmd.name if kind == "partition_cmd" else definition.range_var
        yield owner(name_of(other))
    elif subtype == "AT_ChangeOwner":
        yield Unclear("the new owner needs privileges of its own")
    elif kind in ("constraint", "column_def"):
        value = getattr(definition, kind)
        yield from _referenced(value)
        if _makes_relation(value):
            yield create_beside(node.relation)


def _constraints(value: Any) -> list[Any]:
    if value.DESCRIPTOR.name == "Constraint":
        return [value]
    return [each.constraint for each in value.constraints]


def _makes_relation(value: Any) -> bool:
    """Return whether a column or constraint gets an index or a sequence of its own."""
    return any(own_relation(each) is not None for each in (value, *_constraints(value)))


def _referenced(value: Any) -> Iterator[Required]:
    for each in _constraints(value):
        if nodes.label(each, "contype") == "CONSTR_FOREIGN":
            columns = parts_of(each.pk_attrs) or None
            yield RequiredPrivilege("REFERENCES", name_of(each.pktable), columns)


def indexed(node: Any) -> Iterator[Required]:
    """CREATE INDEX."""
    yield owner(name_of(node.relation))
    yield create_beside(node.relation)


def triggered(node: Any) -> Iterator[Required]:
    """CREATE TRIGGER."""
    yield RequiredPrivilege("TRIGGER", name_of(node.relation))
    if node.HasField("constrrel"):
        yield RequiredPrivilege("TRIGGER", name_of(node.constrrel))


def on_table(node: Any) -> Iterator[Required]:
    """CREATE RULE, CREATE POLICY, ALTER POLICY."""
    relation = node.relation if node.DESCRIPTOR.name == "RuleStmt" else node.table
    yield owner(name_of(relation))


def maintained(node: Any) -> Iterator[Required]:
    """REINDEX, CLUSTER, REFRESH MATERIALIZED VIEW; the first two may name no table."""
    if node.HasField("relation"):
        yield RequiredPrivilege(MAINTAIN, name_of(node.relation))
    elif node.DESCRIPTOR.name == "ReindexStmt":
        yield Unclear("REINDEX of more than a table needs more than its text names")
