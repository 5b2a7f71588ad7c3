"""What a statement needs besides its tables: schemas, tablespaces, the server's version."""

from collections.abc import Iterator
from typing import Any

from opsmigrate.postgres.names import as_stored, quoted
from opsmigrate.preflight.walk.privileges import BY_OTHERS, on_schema
from opsmigrate.preflight.walk.referenced_tables import named_tables
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.simulation import NOWHERE
from opsmigrate.preflight.walk.usable_schema import usable_schema
from opsmigrate.sql import nodes
from opsmigrate.sql.own_relations import INDEX, SEQUENCE, own_relation
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.sql.statement import Node, Statement
from opsmigrate.steps import statement

# Each makes or renames a relation, which needs the right to CREATE in the table's schema: also an
# index (DefineIndex in PostgreSQL's indexcmds.c), the sequence of a column, a new name.
TABLES, INDEXES, SEQUENCES = "create tables", "create indexes", "create sequences"
RENAMES = "rename relations"
STORES = (TABLES, INDEXES)
RENAMED = ("OBJECT_INDEX", "OBJECT_TABLE")
OWN = {INDEX: INDEXES, SEQUENCE: SEQUENCES}
# Release notes of PostgreSQL 18: virtual generated columns.
VIRTUAL_SINCE = 180_000
VIRTUAL = "v"


def require_storage_and_schema(statement: Any, walk: SchemaWalk) -> None:
    """Ask `walk` about what a statement of Django's schema editor needs besides tables.

    It is parsed only where something may be missing, as few databases lack any of this.
    """
    text = str(statement)
    catalog = walk.catalog
    table = next(iter(named_tables(statement, walk.schema)), None)
    may_create = table is None or table.schema in catalog.creatable
    names_storage = catalog.default_tablespace or "tablespace" in text.lower()
    is_too_new = catalog.version < VIRTUAL_SINCE and "virtual" in text.lower()
    if may_create and not names_storage and not is_too_new:
        return
    found = statements_if_readable(text)
    if found is None:
        walk.ledger.mark_undecided("whether the server has the schema and storage for it")
        return
    does = [words for each in found for words in _creates(each)]
    if does and table is not None and not may_create:
        _require_schema(table, does[0], walk)
    parts = [part for each in found for part in each.parts()]
    named = {space for part in parts if (space := _tablespace(part.value))}
    if catalog.default_tablespace and set(does) & set(STORES) and not named:
        named.add(catalog.default_tablespace)
    for name in sorted(named):
        _require_tablespace(name, walk)
    if is_too_new and any(_is_virtual(part) for part in parts):
        walk.ledger.find(
            "unsupported-by-server",
            "the server is older than PostgreSQL 18, the first with virtual generated columns",
            hint="GeneratedField(…, db_persist=True), or upgrade the server",
        )


def _creates(statement: Statement) -> Iterator[str]:
    """Yield what a statement makes in the schema of its table, in words."""
    node = statement.node
    if statement.kind == "create_stmt":
        yield TABLES
    elif statement.kind == "index_stmt":
        yield INDEXES
    elif statement.kind == "rename_stmt" and nodes.label(node, "rename_type") in RENAMED:
        yield RENAMES
    elif statement.kind == "alter_table_stmt":
        for each in node.cmds:
            yield from _altered(each.alter_table_cmd)


def _altered(command: Any) -> Iterator[str]:
    definition = getattr(command, "def")
    kind = definition.WhichOneof("node")
    brings = [definition.constraint] if kind == "constraint" else []
    if kind == "column_def":
        column = definition.column_def
        brings = [column, *(each.constraint for each in column.constraints)]
    for each in brings:
        own = own_relation(each)
        if own is not None:
            yield OWN[own]


def _tablespace(value: Any) -> str | None:
    """Return the tablespace that a part of a statement names, for itself or for its index."""
    if value.DESCRIPTOR.name == "AlterTableCmd":
        moves = nodes.label(value, "subtype") == "AT_SetTableSpace"
        return as_stored(value.name) if moves else None
    for field in ("table_space", "tablespacename", "indexspace"):
        if field in value.DESCRIPTOR.fields_by_name and getattr(value, field):
            return as_stored(getattr(value, field))
    return None


def _is_virtual(part: Node) -> bool:
    return part.kind == "Constraint" and part.value.generated_kind == VIRTUAL


def _require_schema(table: SimulatedTable, does: str, walk: SchemaWalk) -> None:
    """Report that the role may not create in the schema of the table that is named first."""
    catalog, ledger = walk.catalog, walk.ledger
    if table.schema == NOWHERE:
        ledger.find(
            "missing-schema",
            "the search_path names no existing schema that the role may use",
            **usable_schema(walk.connection, catalog),
        )
    elif table.schema in catalog.schemas:
        ledger.find(
            "missing-privilege",
            f"the role may not {does} in schema {table.schema}",
            hint=BY_OTHERS,
            steps=on_schema("CREATE", table.schema).steps(catalog.role),
            table=table.label,
        )
    elif ledger.code_runs:
        ledger.mark_undecided(f"whether the schema {table.schema} exists by then")
    else:
        may, owned = catalog.may_create_extensions, f" AUTHORIZATION {quoted(catalog.role)}"
        ledger.find(
            "missing-schema",
            f"the schema {table.schema} does not exist",
            hint=None if may else "a superuser types this",
            steps=(statement(f"CREATE SCHEMA {quoted(table.schema)}{'' if may else owned}"),),
            table=table.label,
        )


def _require_tablespace(name: str, walk: SchemaWalk) -> None:
    allowed = walk.catalog.tablespaces.get(name)
    if allowed is None:
        walk.ledger.find(
            "missing-tablespace",
            f"the tablespace {name} does not exist",
            hint="let a superuser create it, or correct db_tablespace, DEFAULT_TABLESPACE or "
            "DEFAULT_INDEX_TABLESPACE",
        )
    elif not allowed:
        walk.ledger.find(
            "missing-privilege",
            f"the role may not create in the tablespace {name}",
            hint="a superuser types this",
            steps=(statement(f"GRANT CREATE ON TABLESPACE {quoted(name)} TO {quoted(walk.role)}"),),
        )
