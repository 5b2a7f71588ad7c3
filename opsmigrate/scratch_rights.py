"""Whether a scratch database can be made: asked before it is relied on."""

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import RefusedError, UndecidedError
from opsmigrate.steps import statement

# What this database alone has set does not hold where the new one is made.
MAY_CREATE = """
SELECT rolcreatedb OR rolsuper,
       pg_is_in_recovery() OR EXISTS (
           SELECT FROM pg_settings WHERE name = 'default_transaction_read_only' AND setting = 'on'
           AND source NOT IN ('database', 'database user', 'session')),
       quote_ident(rolname)
FROM pg_roles WHERE rolname = current_user
"""


def require_scratch_allowed(connection: BaseDatabaseWrapper) -> None:
    """Raise where no database can be made, before it is relied on.

    UndecidedError where the role may not; RefusedError where the server, or every session of the
    role, is read-only.
    """
    with connection.cursor() as cursor:
        cursor.execute(MAY_CREATE)
        allowed, read_only, role = cursor.fetchone()
    if read_only:
        raise RefusedError(
            "the server is a standby, or every session of the role is read-only; no database can "
            "be created here",
            id="read-only",
            hint="name the alias of the primary with --database, and unset "
            "default_transaction_read_only; or prove a backup on a temporary embedded "
            "server: verify_backup with --level restore --on embedded",
        )
    if not allowed:
        raise not_allowed(role)


def not_allowed(role: str) -> UndecidedError:
    """Return the error of a role that may create no database; it is quoted as SQL needs it."""
    return UndecidedError(
        "the role may not create a scratch database",
        id="cannot-create-database",
        hint="as a superuser, grant it CREATEDB",
        steps=(statement(f"ALTER ROLE {role} CREATEDB"),),
    )
