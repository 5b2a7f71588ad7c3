"""A table that is renamed to a name with a schema, which RENAME TO does not take."""

from opsmigrate.postgres.names import quoted, split_table
from opsmigrate.preflight.ledger import Ledger


def find_renamed_into_schema(ledger: Ledger, label: str, db_table: str) -> None:
    """Report malformed-statement if the new name is one of those that reach another schema."""
    schema, name = split_table(db_table)
    if schema is not None:
        ledger.find(
            "malformed-statement",
            f"Django renames {label} to {quoted(schema, name)}, and RENAME TO takes no schema",
            hint="rename and move the table with RunSQL, RENAME TO and SET SCHEMA, and let "
            "SeparateDatabaseAndState change the state of the model",
            table=label,
        )
