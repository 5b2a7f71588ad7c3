"""One difference between the claimed and the live schema, in words."""

from dataclasses import dataclass

WHAT = {
    "drift-table-missing": "the table",
    "drift-column-missing": "the column",
    "drift-column-unknown": "the column",
    "drift-type": "the type",
    "drift-null": "NULL",
    "drift-default": "the database default",
    "drift-identity": "the numbering",
    "drift-collation": "the collation",
    "drift-generated": "the generation",
    "drift-primary-key": "the primary key",
    "drift-unique": "the uniqueness",
    "drift-foreign-key": "the foreign key",
    "drift-check": "the check",
    "drift-exclusion": "the exclusion constraint",
    "drift-index": "the index",
    "drift-index-invalid": "the index",
    "drift-not-validated": "the constraint",
    "drift-owner": "the owner",
}


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What the applied migrations claim, and what is live; None stands for nothing.

    `kind` is the id of a finding. `table` is `schema.name`; `name` that of a constraint or index,
    where there is one.
    """

    kind: str
    table: str
    column: str | None = None
    name: str | None = None
    claimed: str | None = None
    live: str | None = None

    @property
    def words(self) -> str:
        """Return the difference as one sentence."""
        place = f"{self.table}.{self.column}" if self.column else self.table
        named = f" {self.name}" if self.name else ""
        claimed = self.claimed or "no such thing"
        return (
            f"{place}: the applied migrations claim {claimed}{named}; "
            f"the database has {self.live or 'none'}"
        )
