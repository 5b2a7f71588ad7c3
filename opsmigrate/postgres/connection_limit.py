"""How many sessions the server still lets the role have."""

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import UndecidedError
from opsmigrate.steps import statement

# The role's own limit holds in all databases, and not for a superuser (CREATE ROLE). Some of all
# connections are kept for others: superusers, since PostgreSQL 16 members of a role too.
ROOM = """
SELECT CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper THEN r.rolconnlimit END,
       (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid
        AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'),
       current_setting('max_connections')::int
       - CASE WHEN r.rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::int
              + coalesce(current_setting('reserved_connections', true)::int, 0) END,
       (SELECT count(*) FROM pg_stat_activity a
        WHERE a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'),
       quote_ident(r.rolname)
FROM pg_roles r WHERE r.rolname = session_user
"""


def require_connections(connection: BaseDatabaseWrapper, needed: int, what: str) -> None:
    """Raise UndecidedError where fewer than `needed` sessions, with this one, are to be had.

    `what` needs them, in words. Others may come and go: it is a look, and no promise.
    """
    with connection.cursor() as cursor:
        cursor.execute(ROOM)
        own, of_role, most, of_all, role = cursor.fetchone()
    if own is not None and own - of_role < needed:
        held = f", {of_role} in use by other sessions" if of_role else ""
        raise UndecidedError(
            f"{what} needs {needed} connections at once, and the role {role} may have {own}{held}",
            id="too-few-connections",
            hint="raise the limit of the role (as a superuser), or end some of its sessions",
            steps=(statement(f"ALTER ROLE {role} CONNECTION LIMIT {of_role + needed}"),),
            evidence={"needed": needed, "limit": own, "used": of_role},
        )
    if most - of_all < needed:
        raise UndecidedError(
            f"{what} needs {needed} connections at once; the server allows the role {most}, "
            f"{of_all} of which are in use",
            id="too-few-connections",
            hint="end unused sessions, or raise max_connections",
            steps=(statement("SELECT pid, usename, state, query_start FROM pg_stat_activity"),),
            evidence={"needed": needed, "limit": most, "used": of_all},
        )


def free_connections(connection: BaseDatabaseWrapper) -> int:
    """Return how many sessions the role could still open now, besides this one; 0 or more."""
    with connection.cursor() as cursor:
        cursor.execute(ROOM)
        own, of_role, most, of_all, _ = cursor.fetchone()
    # This session is one of them.
    left = most - of_all - 1 if own is None else min(most - of_all - 1, own - of_role - 1)
    return max(0, int(left))
