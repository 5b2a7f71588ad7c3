"""Which tables a statement touches: named in it, or met by what it drops."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.backends.ddl_references import Statement, Table

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.simulation import Simulation
from opsmigrate.sql import nodes
from opsmigrate.sql.expressions import nodes_in
from opsmigrate.sql.names import range_name
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.sql.ranges import ranges_of
from opsmigrate.sql.statement import Statement as Parsed

QUERIES = frozenset({"delete_stmt", "insert_stmt", "merge_stmt", "select_stmt", "update_stmt"})
# Its names are those of constraints.
OF_CONSTRAINTS = "constraints_set_stmt"
# What is named as a list of texts -> how many of these, at its end, are no part of a table's name.
AS_TEXTS = {
    "OBJECT_COLUMN": 1,
    "OBJECT_POLICY": 1,
    "OBJECT_RULE": 1,
    "OBJECT_TABCONSTRAINT": 1,
    "OBJECT_TABLE": 0,
    "OBJECT_TRIGGER": 1,
}
ALTERS = "alter_table_stmt"

TableName = tuple[str, ...]


def tables_of(text: Any, schema: Simulation) -> list[str]:
    """Return `schema.name` of each table that the statement names or whose foreign key it drops.

    A live table has the name that it bears now, whatever the plan has called it since. The
    statement is text, or Django's Statement, which also knows the table of an index.
    """
    tables = named_tables(text, schema)
    labels = dict.fromkeys(_live(table) for table in tables)
    for table in tables[:1]:
        for each in statements_if_readable(str(text)) or ():
            labels |= dict.fromkeys(_partners(each, table, schema))
    return list(labels)


def named_tables(text: Any, schema: Simulation) -> list[SimulatedTable]:
    """Return the tables that the statement names, the one that it changes first.

    Of a text that cannot be read, there are those that Django's Statement knows.
    """
    found: dict[str, None] = {}
    if isinstance(text, Statement) and isinstance(text.parts.get("table"), Table):
        found[text.parts["table"].table] = None
    for each in statements_if_readable(str(text)) or ():
        found |= dict.fromkeys(".".join(f'"{part}"' for part in name) for name in _named(each))
    tables = [table for name in found if (table := schema.table(name)) is not None]
    return list({id(table): table for table in tables}.values())


def _named(each: Parsed) -> Iterator[TableName]:
    if each.kind == OF_CONSTRAINTS:
        return
    if each.kind in QUERIES:
        ranges: Iterable[Any] = (found.node for found in ranges_of(each.node))
    else:
        ranges = (node for node in nodes_in(each.node) if node.DESCRIPTOR.name == "RangeVar")
    for node in ranges:
        yield tuple(part for part in range_name(node) if part is not None)
    if each.kind == "drop_stmt":
        for dropped in each.node.objects:
            yield from _as_texts(nodes.label(each.node, "remove_type"), dropped)
    elif each.kind == "comment_stmt":
        yield from _as_texts(nodes.label(each.node, "objtype"), each.node.object)


def _as_texts(kind: str, node: Any) -> Iterator[TableName]:
    if kind in AS_TEXTS and node.WhichOneof("node") == "list":
        parts = tuple(as_stored(part) for part in nodes.names(node.list.items))
        yield parts[: len(parts) - AS_TEXTS[kind]]


def _live(table: SimulatedTable) -> str:
    return ".".join(table.origin) if table.origin else table.label


def _partners(each: Parsed, table: SimulatedTable, schema: Simulation) -> Iterator[str]:
    """Yield the other tables of the foreign keys that go: PostgreSQL locks both ends of each."""
    keys = [key for key in schema.foreign_keys if table in (key.table, key.target)]
    if each.kind == "drop_stmt" and nodes.label(each.node, "remove_type") == "OBJECT_TABLE":
        yield from (_live(end) for key in keys for end in (key.table, key.target))
    commands = [cmd.alter_table_cmd for cmd in each.node.cmds] if each.kind == ALTERS else []
    for command in commands:
        subtype, name = nodes.label(command, "subtype"), as_stored(command.name)
        for key in keys:
            is_it = subtype == "AT_DropConstraint" and key.name == name
            if is_it or (subtype == "AT_DropColumn" and name in key.columns):
                yield _live(key.target)
