"""What the role is not given on its own new objects, repeated on the copy."""

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.errors import first_line
from opsmigrate.postgres.transaction import transaction

# Of an owner's own privileges, ALTER DEFAULT PRIVILEGES without a schema can take some away.
WITHHELD = """
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


def repeat_default_privileges(
    source: BaseDatabaseWrapper, scratch: BaseDatabaseWrapper
) -> tuple[str, ...]:
    """Let the role lack on what it makes in the copy what it would lack in `source`.

    Returns what could not be repeated, in words. Call it when everything is restored.
    """
    with source.cursor() as cursor:
        cursor.execute(WITHHELD)
        withheld = cursor.fetchall()
    revoke = sql.SQL("ALTER DEFAULT PRIVILEGES REVOKE {} ON {} FROM CURRENT_USER")
    lacking = []
    for kind, privilege in withheld:
        try:
            with transaction(scratch) as cursor:
                cursor.execute(revoke.format(sql.SQL(privilege), sql.SQL(kind)))
        except Error as error:
            lacking.append(
                f"that the role lacks {privilege} on its own new {kind}, which the copy gives it: "
                f"{first_line(error)}"
            )
    return tuple(lacking)
