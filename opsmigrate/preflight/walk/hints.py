"""Statements that take what is in the way out of it."""

from __future__ import annotations

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.preflight.walk.simulation import SimulatedTable, Simulation

KINDS = {
    "type": "type",
    "r": "table",
    "p": "table",
    "v": "view",
    "m": "materialized view",
    "i": "index",
    "S": "sequence",
}


def free_name(schema: Simulation, table: SimulatedTable, name: str) -> str:
    """Return the statement that frees the name of an index."""
    quoted = f'"{table.schema}"."{name}"'
    if name in table.constraints:
        return f'ALTER TABLE {table.label} DROP CONSTRAINT "{name}"'
    kind = schema.kind_beside(table, name) or ""
    if KINDS.get(kind, "index") == "index":
        return f"DROP INDEX {quoted}"
    return f'ALTER {KINDS[kind].upper()} {quoted} RENAME TO "{name}_before"'


def drop_view(catalog: Catalog, view: str) -> str:
    """Return the statement that drops a view, and how to get its definition before."""
    schema, _, name = view.replace('"', "").partition(".")
    kind = KINDS.get(catalog.kinds.get((schema, name), "v"), "view").upper()
    return (
        f"DROP {kind} {view};  -- and create it again afterwards: before, "
        f"SELECT pg_get_viewdef('{view}'::regclass, true)"
    )
