"""A login role that is made for one scratch database and may do nothing elsewhere."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from secrets import token_urlsafe

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.backends.utils import CursorWrapper

from opsmigrate.errors import RefusedError
from opsmigrate.postgres.session import open_second
from opsmigrate.postgres.transaction import transaction
from opsmigrate.scratch import ScratchDatabase, role_of

# Longer than a restore takes; a killed run's role lets nobody in after that.
DAYS = 7
# The password is a word of the statement: it is not to stand in the server's log.
UNLOGGED = {
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
}
# Such roles are not given away: what is theirs is a superuser's, or the server's own.
GRANTABLE = """
SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND NOT rolsuper AND rolname !~ '^pg_'
"""
# Each is waited for, 10 s at most.
OTHERS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
OWNED = """
SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND r.rolname = %s
  AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND d.classid <> 'pg_extension'::regclass
ORDER BY 1
"""


@contextmanager
def scratch_role(
    superuser: BaseDatabaseWrapper,
    scratch: ScratchDatabase,
    *,
    member_of: Iterable[str] = (),
    owner: str | None = None,
    sees_all: bool = False,
) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection to the scratch database, by a role that is made for it.

    It is no superuser, and a member of none but `member_of`; of those, superusers and the server's
    predefined roles are left out; on a temporary embedded server it may see all rows, whatever
    row security says. The scratch database becomes that of `owner`, one of those,
    else the new role's. The role goes with the scratch database. The connection is not opened yet:
    whether the server lets the role in is seen when it is.
    """
    role, password = role_of(scratch.name), token_urlsafe(24)
    until = datetime.now(timezone.utc) + timedelta(days=DAYS)
    with transaction(superuser) as cursor:
        for name, value in UNLOGGED.items():
            cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
        cursor.execute(
            # What it restores runs as it, and may give it a password for others to log in with.
            sql.SQL(
                "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION INHERIT"
                + (" BYPASSRLS" if sees_all else "")
                + " PASSWORD {} VALID UNTIL {}"
            ).format(sql.Identifier(role), sql.Literal(password), sql.Literal(until.isoformat()))
        )
        scratch.role = role
        # What the server answers is read by program, for what the role lacks.
        cursor.execute(sql.SQL("ALTER ROLE {} SET lc_messages TO 'C'").format(sql.Identifier(role)))
        cursor.execute(GRANTABLE, [list(member_of)])
        members = {str(name) for (name,) in cursor.fetchall()}
        for name in sorted(members):
            cursor.execute(
                sql.SQL("GRANT {} TO {}").format(sql.Identifier(name), sql.Identifier(role))
            )
        cursor.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                sql.Identifier(scratch.name), sql.Identifier(owner if owner in members else role)
            )
        )
    other = open_second(superuser, database=scratch.name)
    other.settings_dict.update(USER=role, PASSWORD=password)
    for name in ("assume_role", "passfile", "sslcert", "sslkey", "sslpassword"):
        other.settings_dict["OPTIONS"].pop(name, None)
    try:
        yield other
    finally:
        other.close()


def hand_over(superuser: CursorWrapper, role: str, database: str) -> None:
    """Let what the role owns in `database`, that of a superuser's session, be the superuser's.

    Nothing but extensions, which a dump gives to whoever restores it: the rest has its owners by
    then. What else is the role's was made by code that ran as it was restored, maybe where no dump
    shows it, and a superuser's function may have his rights. Raises RefusedError for that.
    """
    # Whoever knows the role by now is kept out, so that nothing is made after the look.
    name = sql.Identifier(database)
    superuser.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 0").format(name))
    superuser.execute(OTHERS)
    superuser.fetchall()
    superuser.execute(OWNED, [role])
    made = [what for (what,) in superuser.fetchall()]
    if made:
        raise RefusedError(
            f"during the restore, code of other roles created {made[0]} as the role that "
            "restored; it would belong to a superuser now",
            id="restore-runs-code",
            hint="look at the functions in the checks, defaults and indexes of the backup",
            evidence={"made": made},
        )
    for statement in ("REASSIGN OWNED BY {} TO CURRENT_USER", "DROP OWNED BY {}"):
        superuser.execute(sql.SQL(statement).format(sql.Identifier(role)))
    superuser.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT -1").format(name))
