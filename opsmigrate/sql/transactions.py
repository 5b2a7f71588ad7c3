"""Which statements PostgreSQL refuses within a transaction (PreventInTransactionBlock)."""

from opsmigrate.sql.statement import Statement


def stands_alone(statement: Statement) -> bool:
    """Return whether the server refuses the statement within a transaction."""
    node = statement.node
    if statement.kind in ("index_stmt", "drop_stmt"):
        return bool(node.concurrent)
    if statement.kind == "reindex_stmt":
        return any(each.def_elem.defname == "concurrently" for each in node.params)
    return statement.kind in ("vacuum_stmt", "createdb_stmt", "dropdb_stmt")
