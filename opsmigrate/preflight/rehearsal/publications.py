"""Publications: with one, PostgreSQL refuses to update rows that it could not name elsewhere."""

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

# Only a superuser may create one of all tables, or of all in a schema (CREATE PUBLICATION, Notes).
OF_ALL = """
SELECT p.pubname FROM pg_publication p
WHERE p.puballtables AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
"""
OF_SCHEMAS = """
UNION SELECT p.pubname FROM pg_publication p JOIN pg_publication_namespace s ON s.pnpubid = p.oid
WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
"""
KNOWS_SCHEMAS = 150_000
# Documentation, Logical Replication, Publication: what has no replica identity cannot be updated.
WITHOUT_IDENTITY = """
SELECT t.pubname, c.relname
FROM pg_publication_tables t JOIN pg_publication p ON p.pubname = t.pubname
JOIN pg_class c ON c.relname = t.tablename
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schemaname
WHERE t.pubname = ANY(%s) AND (p.pubupdate OR p.pubdelete)
  AND c.relreplident <> 'f' AND NOT EXISTS (
    SELECT FROM pg_index i WHERE i.indrelid = c.oid
    AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END)
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class LeftOut:
    """The publications that a copy cannot have, and in words what it therefore does not show."""

    names: tuple[str, ...]
    words: tuple[str, ...]


def left_out(connection: BaseDatabaseWrapper) -> LeftOut:
    """Return the publications of the database that its role may not create in a copy."""
    with connection.cursor() as cursor:
        of_schemas = connection.connection.info.server_version >= KNOWS_SCHEMAS
        cursor.execute(OF_ALL + (OF_SCHEMAS if of_schemas else ""))
        names = tuple(row[0] for row in cursor.fetchall())
        cursor.execute(WITHOUT_IDENTITY, [list(names)])
        words = tuple(
            f"the copy lacks the publication {name}, and {table} has no replica identity"
            for name, table in cursor.fetchall()
        )
    return LeftOut(names, words)
