"""What an owner may not do with what is its own, repeated on the copy."""

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.of_users import of_users
from opsmigrate.postgres.transaction import transaction
from opsmigrate.preflight.rehearsal.selection import CopySelection

# Owners may lack privileges, too: REVOKE takes them (documentation of GRANT). A table that may not
# be read is not in the copy.
OF_OWN = of_users("""
SELECT n.nspname, c.relname, privilege
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(CASE c.relkind WHEN 'S' THEN ARRAY['USAGE', 'SELECT', 'UPDATE']
    ELSE ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'] END) AS privilege
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND c.relacl IS NOT NULL
  AND {of_users}
  AND pg_has_role(current_user, c.relowner, 'USAGE')
  AND CASE c.relkind WHEN 'S' THEN NOT has_sequence_privilege(c.oid, privilege)
      ELSE has_table_privilege(c.oid, 'SELECT') AND NOT has_table_privilege(c.oid, privilege) END
ORDER BY 1, 2, 3
""")
# Of an owner's own privileges, ALTER DEFAULT PRIVILEGES without a schema can take some away.
OF_NEW = """
SELECT CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'
       WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' END, p.privilege_type
FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(acldefault(
    CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)) p
WHERE d.defaclnamespace = 0 AND p.grantee = d.defaclrole
  AND d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
  AND d.defaclobjtype IN ('r', 'S', 'f', 'T', 'n') AND NOT EXISTS (
      SELECT FROM aclexplode(d.defaclacl) e
      WHERE e.grantee = d.defaclrole AND e.privilege_type = p.privilege_type)
ORDER BY 1, 2
"""


def withholds(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the role lacks something on what is its own, or will on what it makes."""
    with connection.cursor() as cursor:
        for query in (OF_OWN, OF_NEW):
            cursor.execute(query)
            if cursor.fetchone() is not None:
                return True
    return False


def repeat_revoked_privileges(
    source: BaseDatabaseWrapper, scratch: BaseDatabaseWrapper, selection: CopySelection
) -> tuple[str, ...]:
    """Revoke from the role in the copy what it lacks in `source` on its own, and on what it makes.

    What the selection leaves out is passed over. Returns what could not be repeated, in words. Call
    it when everything is restored.
    """
    with source.cursor() as cursor:
        cursor.execute(OF_OWN)
        own = [
            (privilege, sql.SQL("REVOKE {} ON {}"), sql.Identifier(schema, name))
            for schema, name, privilege in cursor.fetchall()
            if selection.has_schema(schema)
        ]
        cursor.execute(OF_NEW)
        new = [
            (privilege, sql.SQL("ALTER DEFAULT PRIVILEGES REVOKE {} ON {}"), sql.SQL(kind))
            for kind, privilege in cursor.fetchall()
        ]
    gaps = []
    for privilege, revoke, what in (*own, *new):
        try:
            with transaction(scratch) as cursor:
                statement = revoke.format(sql.SQL(privilege), what)
                cursor.execute(sql.SQL("{} FROM CURRENT_USER").format(statement))
        except Error as error:
            gaps.append(
                f"that the role lacks {privilege} on its own objects, which it has on the copy: "
                f"{first_line(error)}"
            )
    return tuple(gaps)
