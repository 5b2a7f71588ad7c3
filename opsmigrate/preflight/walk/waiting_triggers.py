"""Rows that the plan writes, so that triggers of foreign keys wait for the commit: SQLSTATE 55006.

Until they are called, PostgreSQL refuses to alter their table in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection

from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.simulation import Simulation


def note_rows_written(
    ledger: Ledger, schema: Simulation, table: SimulatedTable, columns: Collection[str]
) -> None:
    """Remember that an UPDATE of these columns came at the present place.

    Triggers of foreign keys wait where the key itself is written, or a row is that the same
    transaction wrote before (RI_FKey_fk_upd_check_required in ri_triggers.c).
    """
    migration = ledger.migration
    again = table.rows_written_in == migration
    for key in schema.foreign_keys:
        waits = again or set(key.columns) & set(columns)
        if key.table is table and waits and key.immediate_in != migration:
            table.triggers_wait_in = migration
    table.rows_written_in = migration


def doubt_if_triggers_wait(ledger: Ledger, schema: Simulation, table: SimulatedTable) -> None:
    """Mark as undecided that a table is altered while triggers wait, its own or of one near it."""
    migration = ledger.migration
    waiting = [each for each in schema.tables if each.triggers_wait_in == migration]
    if migration is None or not waiting:
        return
    near = {id(table)}
    for key in schema.foreign_keys:
        if table in (key.table, key.target):
            near |= {id(key.table), id(key.target)}
    for each in waiting:
        if id(each) in near:
            ledger.mark_undecided(
                f"whether {table.label} can be altered while triggers of {each.label} wait: the "
                "same migration has changed rows there"
            )
