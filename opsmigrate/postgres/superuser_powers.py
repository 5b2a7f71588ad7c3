"""Whether what others wrote must not run in our session: it would have a superuser's rights."""

from django.db.backends.base.base import BaseDatabaseWrapper

# Of the login: whatever SET ROLE or SET SESSION AUTHORIZATION say, what it runs can reset them.
POWERFUL = """
SELECT EXISTS (
  SELECT FROM pg_roles r
  -- Before 16 who may make roles may make himself a member of any but superusers.
  WHERE (r.rolsuper
         OR r.rolcreaterole AND current_setting('server_version_num')::int < 160000
         OR r.rolname IN ('pg_execute_server_program', 'pg_write_server_files',
                          'pg_read_server_files'))
    AND pg_has_role(session_user, r.oid, 'MEMBER'))
"""
OTHERS = "SELECT rolname FROM pg_roles WHERE NOT rolsuper AND rolname <> session_user"


def has_superuser_powers(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the login role is a superuser, may become one, or has the server's files."""
    with connection.cursor() as cursor:
        cursor.execute(POWERFUL)
        return bool(cursor.fetchone()[0])


def distrusted_roles(connection: BaseDatabaseWrapper) -> frozenset[str]:
    """Return the roles whose code must not run with the powers of the login role.

    Where it has none, there is nobody to be kept from them.
    """
    if not has_superuser_powers(connection):
        return frozenset()
    with connection.cursor() as cursor:
        cursor.execute(OTHERS)
        return frozenset(name for (name,) in cursor.fetchall())
