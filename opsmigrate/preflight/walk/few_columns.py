"""How many columns an index can have."""

from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.walk.simulated_table import SimulatedTable

# INDEX_MAX_KEYS (pg_config_manual.h); what an index carries along with INCLUDE counts.
MOST = 32


def require_few_columns(ledger: Ledger, table: SimulatedTable, name: str, columns: int) -> None:
    """Report an index with more columns than PostgreSQL takes, whatever its method."""
    if columns > MOST:
        ledger.find(
            "too-many-columns",
            f"index {name} of {table.label} has {columns} columns: it can have {MOST}",
            hint="leave out those that no query needs; where all of them must be unique together, "
            "let a column hold a digest of them",
            table=table.label,
            name=name,
        )
