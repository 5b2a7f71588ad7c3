"""The settings of a database and of its role, repeated on the copy."""

from contextlib import suppress

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.opening import TIME_LIMITS
from opsmigrate.postgres.transaction import transaction

# They change what is written to the log or counted, in which language, or how soon, and nothing
# that a migration does.
HARMLESS = (
    *("log_", "track_", "auto_explain.", "pg_stat_statements.", "pgaudit.", "compute_query"),
    *("lc_messages", "deadlock_timeout", "commit_delay", "wal_", "update_process_title", "jit"),
)
# Only a superuser may set them, and nothing is loaded or written for them, whatever their value is.
BY_SUPERUSER = ("session_replication_role", "event_triggers", "lo_compat_privileges")
# What a session begins with, whatever has been set in it since. A value that was refused then, as
# of a tablespace that is not there, is not in force.
IN_FORCE = "SELECT reset_val FROM pg_settings WHERE name = lower(%s)"
SETTINGS = """
SELECT s.setrole <> 0 AND s.setdatabase <> 0, s.setdatabase = 0,
       split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c
WHERE (s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (s.setrole = 0 OR s.setrole = (SELECT oid FROM pg_roles WHERE rolname = session_user)))
   OR (s.setdatabase = 0 AND s.setrole = (SELECT oid FROM pg_roles WHERE rolname = session_user))
-- The later ones win (PostgreSQL documentation, ALTER ROLE): database, role, role in database.
ORDER BY s.setrole <> 0, s.setdatabase <> 0
"""


def end_with_client(scratch: BaseDatabaseWrapper) -> None:
    """Let the server end a statement in the scratch database soon after its client is gone.

    Otherwise what was killed would go on, and its database could not be dropped. Not every system
    can tell (PostgreSQL documentation, client_connection_check_interval).
    """
    with suppress(Error):
        _repeat(scratch, "client_connection_check_interval", "1s", for_role=False)


def repeat_settings(
    source: BaseDatabaseWrapper,
    scratch: BaseDatabaseWrapper,
    *,
    elsewhere: bool,
    superuser: BaseDatabaseWrapper | None = None,
) -> tuple[str, ...]:
    """Give the scratch database the settings that sessions of `source` begin with.

    Where the copy is on another server, those of the role too; time-outs are lifted. Returns what
    could not be repeated, in words. Call it last: from the next session on, the settings hold.
    `superuser` is a connection to the copy's server as one, where that has nothing but the copy.
    """
    with source.cursor() as cursor:
        cursor.execute(SETTINGS)
        settings = cursor.fetchall()
    gaps = []
    for name in TIME_LIMITS:
        # How long a statement takes is measured, and held against the limits of the live database
        # (live/timeouts.py): cut off on the copy, it would tell nothing.
        with suppress(Error):
            _repeat(scratch, name, "0", for_role=True)
    for role_in_database, role_anywhere, name, value in settings:
        if name in TIME_LIMITS:
            continue
        if (role_anywhere and not elsewhere) or name.startswith(HARMLESS) or name == "role":
            continue
        try:
            if superuser is not None and name in BY_SUPERUSER:
                _repeat_as_superuser(superuser, str(scratch.settings_dict["NAME"]), name, value)
            else:
                _repeat(scratch, name, value, for_role=role_in_database and not elsewhere)
        except Error as error:
            if _in_force(source, name) == _in_force(scratch, name) is not None:
                continue
            gaps.append(
                f"the setting {name} of the database, which could not be set for the copy: "
                f"{first_line(error)}"
            )
    return tuple(gaps)


def _in_force(connection: BaseDatabaseWrapper, name: str) -> str | None:
    """Return what a session of the database begins with; None where the role may not know."""
    with connection.cursor() as cursor:
        cursor.execute(IN_FORCE, [name])
        row = cursor.fetchone()
    return None if row is None else str(row[0])


def _repeat_as_superuser(
    superuser: BaseDatabaseWrapper, database: str, name: str, value: str
) -> None:
    """Set it for a database without a session in it."""
    with transaction(superuser) as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
        cursor.execute(
            sql.SQL("ALTER DATABASE {} SET {} FROM CURRENT").format(
                sql.Identifier(database), sql.Identifier(name)
            )
        )


def _repeat(scratch: BaseDatabaseWrapper, name: str, value: str, *, for_role: bool) -> None:
    setting = sql.SQL(".").join(sql.Identifier(part) for part in name.split("."))
    with transaction(scratch) as cursor:
        cursor.execute("SELECT current_database(), session_user")
        database, role = cursor.fetchone()
        # As a value, and then from here: lists would need another syntax each.
        cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
        whose = sql.SQL("ROLE {} IN DATABASE {}") if for_role else sql.SQL("DATABASE {1}")
        cursor.execute(
            sql.SQL("ALTER {} SET {} FROM CURRENT").format(
                whose.format(sql.Identifier(role), sql.Identifier(database)), setting
            )
        )
