"""What the values of a column are like, by reading them all."""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql


def count_nulls_and_duplicates(
    connection: BaseDatabaseWrapper, schema: str, table: str, column: str
) -> tuple[int, int, int]:
    """Return (rows, NULLs, values that more than one row has) of a column."""
    query = sql.SQL(
        "SELECT count(*), count(*) - count({column}),"
        " (SELECT count(*) FROM (SELECT FROM {table} WHERE {column} IS NOT NULL"
        "  GROUP BY {column} HAVING count(*) > 1) AS several)"
        " FROM {table}"
    ).format(column=sql.Identifier(column), table=sql.Identifier(schema, table))
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows, nulls, duplicates = cursor.fetchone()
    return int(rows), int(nulls), int(duplicates)


def count_nulls(
    connection: BaseDatabaseWrapper, schema: str, table: str, column: str
) -> tuple[int, int]:
    """Return (rows, NULLs) of a column, of any type."""
    query = sql.SQL("SELECT count(*), count(*) - count({}) FROM {}")
    with connection.cursor() as cursor:
        cursor.execute(query.format(sql.Identifier(column), sql.Identifier(schema, table)))
        rows, nulls = cursor.fetchone()
    return int(rows), int(nulls)
