"""What the server takes for valid though rows contradict it: a copy refuses it, and may lack it."""

from dataclasses import dataclass

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.transaction import transaction

# With those of its partitions and children, which bear its name.
BELIEVE = """
WITH RECURSIVE tree (relation) AS (
    SELECT format('%%I.%%I', %s::text, %s::text)::regclass::oid
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.relation
)
UPDATE pg_constraint SET convalidated = true
WHERE conrelid IN (SELECT relation FROM tree) AND conname = %s
"""


@dataclass(frozen=True, kw_only=True)
class BrokenConstraint:
    """A foreign key or check of the live database that its rows do not satisfy.

    `believed` says that the copy has it as the live database does: as one that is validated.
    """

    schema: str
    table: str
    name: str
    is_check: bool
    believed: bool


def add_unchecked(
    scratch: BaseDatabaseWrapper,
    schema: str,
    table: str,
    name: str,
    definition: str,
    *,
    is_check: bool,
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
            cursor.execute(BELIEVE, [schema, table, name])
        believed = True
    except Error:
        believed = False
    return BrokenConstraint(
        schema=schema, table=table, name=name, is_check=is_check, believed=believed
    )
