"""What the server takes for valid though rows contradict it: a copy refuses it, and may lack it."""

from dataclasses import dataclass
from typing import Literal

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.transaction import transaction

# With those of its partitions and children, which bear its name.
MARK_VALID = """
WITH RECURSIVE tree (relation) AS (
    SELECT format('%%I.%%I', %s::text, %s::text)::regclass::oid
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.relation
)
UPDATE pg_constraint SET convalidated = true
WHERE conrelid IN (SELECT relation FROM tree) AND conname = %s
"""


@dataclass(frozen=True, kw_only=True)
class BrokenConstraint:
    """A constraint of the live database that its rows do not satisfy.

    `marked_valid` says that the copy has it as the live database does: as one that is validated. Of
    an index, `columns` are its keys in SQL; NOT NULL has the name of its column. The copy lacks
    rows that one of these two would refuse.
    """

    schema: str
    table: str
    name: str
    kind: Literal["check", "foreign key", "unique", "not null"]
    marked_valid: bool
    columns: tuple[str, ...] = ()
    condition: str | None = None
    nulls_distinct: bool = True

    @property
    def lacks_rows(self) -> bool:
        """Return whether rows were left out of the copy for it."""
        return self.kind in ("unique", "not null")


def add_unchecked(
    scratch: BaseDatabaseWrapper,
    schema: str,
    table: str,
    name: str,
    definition: str,
    *,
    kind: Literal["check", "foreign key"],
) -> BrokenConstraint:
    """Add a constraint to the copy without a look at the rows, and return it.

    Only a superuser can make the server believe in it. Raises Error where it cannot be added.
    """
    with transaction(scratch) as cursor:
        cursor.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID").format(
                sql.Identifier(schema, table), sql.Identifier(name), sql.SQL(definition)
            )
        )
    try:
        with transaction(scratch) as cursor:
            cursor.execute(MARK_VALID, [schema, table, name])
        marked_valid = True
    except Error:
        marked_valid = False
    return BrokenConstraint(
        schema=schema, table=table, name=name, kind=kind, marked_valid=marked_valid
    )
