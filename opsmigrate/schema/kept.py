"""How rows are changed or deleted by hand so that nothing is lost: a table keeps them as they were.

There is no other place where steps that change many rows are made.
"""

from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.catalog import Relation
from opsmigrate.postgres.compose import Composable
from opsmigrate.steps import Step, statement

KEEPS_THEM = "keeps them as they were"
# Partitions have the columns of their parent, and no other.
INHERITED = """
SELECT EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
               WHERE i.inhparent = %s AND c.relkind <> 'p')
"""
POINTING = "SELECT EXISTS (SELECT FROM {} WHERE ({}) IN (SELECT {} FROM {} WHERE {}))"


def keeping(
    change: str, *, table: str, rows: str, kept: str, risk: str, alternative: int = 1
) -> tuple[Step, ...]:
    """Return the steps of a `change` (UPDATE … SET …, DELETE FROM …) of the `rows` of a table.

    All are SQL: `table`, `kept`, which is the free name of the table that keeps the rows, and
    `rows`, the condition after WHERE. One transaction, and a lock that lets others read only:
    what is kept is what is changed. Where a step fails, COMMIT changes nothing.
    """
    copy = f"CREATE TABLE {kept} AS SELECT * FROM {table} WHERE {rows}"  # noqa: S608
    risk = f"{risk}; {kept} {KEEPS_THEM}"
    return (
        statement("BEGIN", alternative=alternative),
        statement(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE", alternative=alternative),
        statement(copy, alternative=alternative),
        statement(f"{change} WHERE {rows}", risk=risk, alternative=alternative),
        statement("COMMIT", alternative=alternative),
    )


def keeps_whole_rows(connection: BaseDatabaseWrapper, relation: Relation) -> bool:
    """Return whether a table beside can keep all that a DELETE takes.

    What is deleted from a table is deleted from those that inherit from it, with columns that
    SELECT * of it does not have (documentation, 5.11 Inheritance).
    """
    with connection.cursor() as cursor:
        cursor.execute(INHERITED, [relation.oid])
        return not cursor.fetchone()[0]


def pointing(
    cursor: Any, relations: Iterable[Relation], relation: Relation, rows: Composable
) -> list[str]:
    """Return the tables of which rows point to `rows` of the relation, a condition, by any key.

    Such rows cannot be deleted alone. Raises django.db.Error where it may not be asked.
    """
    found: dict[str, None] = {}
    for other in relations:
        for key in other.constraints:
            if key.kind != "f" or key.references != relation.oid:
                continue
            query = sql.SQL(POINTING).format(
                sql.Identifier(other.schema, other.name),
                sql.SQL(", ").join(map(sql.Identifier, key.columns)),
                sql.SQL(", ").join(map(sql.Identifier, key.to_columns)),
                sql.Identifier(relation.schema, relation.name),
                rows,
            )
            cursor.execute(query)
            if cursor.fetchone()[0]:
                found[other.label] = None
    return list(found)
