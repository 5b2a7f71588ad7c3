"""A column whose name PostgreSQL gives to a column of its own in every table."""

from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.walk.simulated_table import SimulatedTable

# Documentation, System Columns.
SYSTEM_COLUMNS = frozenset({"cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"})


def find_system_column_name(ledger: Ledger, table: SimulatedTable, column: str) -> None:
    """Report system-column-name if a column is created or renamed to the name of one of these."""
    if column in SYSTEM_COLUMNS:
        ledger.find(
            "system-column-name",
            f"the column {column} of {table.label} would have the name of a system column, which "
            "every table has",
            hint="give the field another db_column in the migration",
            table=table.label,
            column=column,
        )
