"""What stands on a text column itself, and stands on the uuid column after the swap."""

from django.db.backends.postgresql.psycopg_any import sql
from django.db.backends.utils import CursorWrapper

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.postgres.compose import Composable

# Those that the owner granted; of others convertible.py knows.
RIGHTS = """
SELECT acl.privilege_type, acl.is_grantable, r.rolname
FROM pg_attribute a, aclexplode(a.attacl) WITH ORDINALITY
     AS acl (grantor, grantee, privilege_type, is_grantable, place)
LEFT JOIN pg_roles r ON r.oid = acl.grantee
WHERE a.attrelid = %s AND a.attname = %s ORDER BY place
"""
# Storage and compression are of text only: a uuid is never moved out of its row.
SETTINGS = """
SELECT col_description(a.attrelid, a.attnum), nullif(a.attstattarget, -1), a.attoptions
FROM pg_attribute a WHERE a.attrelid = %s AND a.attname = %s
"""


def copy_column_attributes(
    cursor: CursorWrapper, spec: ColumnSpec, oid: int
) -> tuple[Composable, ...]:
    """Return the statements that give the new column the rights, comment, statistics of the old."""
    names = {"table": spec.relation, "column": sql.Identifier(spec.column)}
    alter = "ALTER TABLE {table} ALTER COLUMN {column} "
    cursor.execute(SETTINGS, [oid, spec.column])
    comment, statistics, options = cursor.fetchone()
    carried = []
    if comment is not None:
        statement = sql.SQL("COMMENT ON COLUMN {table}.{column} IS {comment}")
        carried.append(statement.format(**names, comment=sql.Literal(comment)))
    if statistics is not None:
        target = sql.SQL(alter + "SET STATISTICS {target}")
        carried.append(target.format(**names, target=sql.Literal(statistics)))
    if options:
        # As the server keeps them: n_distinct=-0.5.
        given = sql.SQL(alter + "SET ({options})")
        carried.append(given.format(**names, options=sql.SQL(", ".join(options))))
    cursor.execute(RIGHTS, [oid, spec.column])
    for right, grantable, role in cursor.fetchall():
        grant = "GRANT {right} ({column}) ON {table} TO {role}"
        grant += " WITH GRANT OPTION" if grantable else ""
        grantee = sql.SQL("PUBLIC") if role is None else sql.Identifier(role)
        carried.append(sql.SQL(grant).format(**names, right=sql.SQL(right), role=grantee))
    return tuple(carried)
