"""Which statements PostgreSQL refuses within a transaction (PreventInTransactionBlock)."""

from opsmigrate.sql.nodes import label
from opsmigrate.sql.statement import Statement

EVERYWHERE = ("REINDEX_OBJECT_SCHEMA", "REINDEX_OBJECT_SYSTEM", "REINDEX_OBJECT_DATABASE")
ALONE = frozenset(
    {
        "createdb_stmt",
        "dropdb_stmt",
        "alter_system_stmt",
        "create_table_space_stmt",
        "drop_table_space_stmt",
    }
)


def stands_alone(statement: Statement) -> bool:
    """Return whether the server refuses the statement within a transaction."""
    node = statement.node
    if statement.kind in ("index_stmt", "drop_stmt"):
        return bool(node.concurrent)
    if statement.kind == "alter_table_stmt":
        commands = [getattr(each.alter_table_cmd, "def") for each in node.cmds]
        return any(each.partition_cmd.concurrent for each in commands)
    if statement.kind == "reindex_stmt":
        everywhere = label(node, "kind") in EVERYWHERE
        return everywhere or any(each.def_elem.defname == "concurrently" for each in node.params)
    if statement.kind == "vacuum_stmt":
        # ANALYZE alone may be in one.
        return bool(node.is_vacuumcmd)
    if statement.kind == "cluster_stmt":
        return not node.HasField("relation")
    if statement.kind == "discard_stmt":
        return label(node, "target") == "DISCARD_ALL"
    return statement.kind in ALONE
