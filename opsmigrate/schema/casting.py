"""Whether PostgreSQL casts a value of one type to another, by assignment or explicitly."""

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.driver_errors import sqlstate
from opsmigrate.postgres.search_path import seen_by_project, transaction_as_project
from opsmigrate.schema.types import base, in_full

CANNOT_COERCE = "42846"

# As find_coercion_pathway() in PostgreSQL's sources: of a domain its base, of two arrays their
# elements; an entry in pg_cast; else through text, to a string type by assignment.
ASSIGNED = """
WITH RECURSIVE asked AS (
    SELECT to_regtype(%s)::oid AS source, to_regtype(%s)::oid AS target
    UNION
    SELECT CASE WHEN s.typtype = 'd' THEN s.typbasetype WHEN arrays THEN s.typelem ELSE s.oid END,
           CASE WHEN t.typtype = 'd' THEN t.typbasetype WHEN arrays THEN t.typelem ELSE t.oid END
    FROM asked JOIN pg_type s ON s.oid = source JOIN pg_type t ON t.oid = target
    CROSS JOIN LATERAL (SELECT s.typcategory = 'A' AND s.typtype <> 'd' AND t.typcategory = 'A'
                               AND t.typtype <> 'd') AS both_are (arrays)
)
SELECT s.oid = t.oid OR c.castcontext IN ('i', 'a')
       OR c.castcontext IS NULL AND t.typcategory = 'S'
FROM asked JOIN pg_type s ON s.oid = source JOIN pg_type t ON t.oid = target
LEFT JOIN pg_cast c ON c.castsource = s.oid AND c.casttarget = t.oid
WHERE 'd' NOT IN (s.typtype, t.typtype) AND NOT (s.typcategory = 'A' AND t.typcategory = 'A')
"""


def casts(connection: BaseDatabaseWrapper, old: str, new: str) -> bool | None:
    """Return whether an assignment casts `old` to `new`; None where a type is not there."""
    rows = seen_by_project(connection, ASSIGNED, [base(old), base(new)])
    return bool(rows[0][0]) if rows else None


def casts_explicitly(connection: BaseDatabaseWrapper, old: str, new: str) -> bool | None:
    """Return whether `old::new` is a cast; None where a type is not there."""
    # Without a row, so that nothing is computed.
    query = sql.SQL("SELECT x::{} FROM (SELECT NULL::{} AS x LIMIT 0) AS found").format(
        sql.SQL(in_full(new)), sql.SQL(in_full(old))
    )
    try:
        with transaction_as_project(connection, "READ ONLY") as cursor:
            cursor.execute(query)
    except Error as error:
        return False if sqlstate(error) == CANNOT_COERCE else None
    return True
