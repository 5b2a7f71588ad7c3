"""A simulated table, as Django's introspection would describe the real one."""

from typing import Any

from django.db.models import Index

from opsmigrate.preflight.walk.simulated_table import (
    CHECK,
    FOREIGN_KEY,
    PRIMARY_KEY,
    UNIQUE,
    SimulatedTable,
)


def constraints_of(table: SimulatedTable | None) -> dict[str, dict[str, Any]]:
    """Return what `introspection.get_constraints()` would say of the table; nothing without one."""
    if table is None:
        return {}
    found: dict[str, dict[str, Any]] = {
        name: {
            "columns": list(columns),
            "unique": kind in (UNIQUE, PRIMARY_KEY),
            "primary_key": kind == PRIMARY_KEY,
            "foreign_key": kind == FOREIGN_KEY,
            "check": kind == CHECK,
            "index": False,
            "type": None,
        }
        for name, (kind, columns) in table.constraints.items()
        if kind in (UNIQUE, PRIMARY_KEY, FOREIGN_KEY, CHECK)
    }
    for name, item in table.indexes.items():
        found.setdefault(
            name,
            {
                "columns": list(item.columns),
                "unique": item.unique,
                "primary_key": item.primary,
                "foreign_key": False,
                "check": False,
                "index": True,
                "type": Index.suffix if item.method == "btree" else item.method,
            },
        )
    return found
