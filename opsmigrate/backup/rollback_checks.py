"""What stands against a rollback, and what it would lose."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from opsmigrate.backup.counters import Written, read_counters, were_reset, written_since
from opsmigrate.backup.restore import why_not_owners
from opsmigrate.errors import RefusedError
from opsmigrate.manifest import Manifest
from opsmigrate.postgres.session import Session, is_pooled_by_transaction
from opsmigrate.schema.history import applied_migrations
from opsmigrate.scratch_rights import require_scratch_allowed
from opsmigrate.steps import Step, statement

RIGHTS = """
SELECT pg_has_role(current_user, d.datdba, 'MEMBER'), r.rolsuper, quote_ident(current_user),
       quote_ident(d.datname)
FROM pg_database d, pg_roles r
WHERE d.datname = current_database() AND r.rolname = current_user
"""
# Who ends a session must be of its role, or have pg_signal_backend; a superuser's, a superuser.
FOREIGN = """
SELECT quote_ident(r.rolname), r.rolsuper
FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
  AND (r.rolsuper OR NOT (pg_has_role(current_user, r.oid, 'USAGE')
                          OR pg_has_role(current_user, 'pg_signal_backend', 'USAGE')))
ORDER BY 2 DESC, 1 LIMIT 1
"""
# What only a superuser, or who was granted it, may set: log_min_duration_statement, say.
NOT_THEIRS = """
SELECT quote_ident(s.name), quote_ident(current_user) FROM pg_settings s
WHERE s.context IN ('superuser', 'superuser-backend') AND lower(s.name) = ANY(%s)
  AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) {}
ORDER BY 1 LIMIT 1
"""
GRANTED = "AND NOT has_parameter_privilege(s.name, 'SET')"
KNOWS_PARAMETER_RIGHTS = 150_000
PREPARED = """
SELECT gid, quote_literal(gid) FROM pg_prepared_xacts WHERE database = current_database()
ORDER BY 1
"""
SLOTS = """
SELECT slot_name, quote_literal(slot_name) FROM pg_replication_slots
WHERE database = current_database() ORDER BY 1
"""
SUBSCRIPTIONS = """
SELECT subname, quote_ident(subname) FROM pg_subscription
WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1
"""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What a rollback would lose: rows written since the backup, and migrations undone.

    `left_out` are the tables whose rows the backup was taken without. `counters` is the reading
    that `written` was made from; `reset` says that nothing could be read from it.
    """

    written: tuple[Written, ...]
    migrations: tuple[str, ...]
    counters: Mapping[str, list[int]]
    left_out: tuple[str, ...] = ()
    reset: bool = False

    def lines(self) -> list[str]:
        """Return it for people, a line each."""
        return [
            *(
                f"  {table}: all its rows, which the backup does not have"
                for table in self.left_out
            ),
            *(f"  {each}" for each in self.written),
            *(f"  migration undone: {name}" for name in self.migrations),
        ]


def require_same_database(session: Session, manifest: Manifest) -> None:
    """Raise RefusedError where the backup is not one of this very database."""
    theirs = manifest.database
    if (
        theirs.get("system_identifier") != str(session.system_identifier)
        or theirs.get("name") != session.database
    ):
        raise RefusedError(
            f"{manifest.file} is a backup of the database {theirs.get('name')} of server "
            f"{theirs.get('system_identifier')}, not of {session.database} of "
            f"{session.system_identifier}",
            id="other-database",
            hint="restore it into a new database beside this one, with --into",
        )


def require_swappable(
    connection: BaseDatabaseWrapper, session: Session, *, keep_slots: bool
) -> None:
    """Raise RefusedError, or UndecidedError, where the names of two databases cannot be swapped."""
    if is_pooled_by_transaction(connection):
        raise RefusedError(
            "there is a connection pooler in transaction mode in between; a rollback needs one "
            "session",
            id="pooled-by-transaction",
            hint="let DATABASES point to the server itself, not to the pooler",
        )
    if session.in_recovery or session.read_only:
        raise RefusedError(
            "the server is a standby, or the session read-only; nothing can be restored here",
            id="read-only",
            hint="name the alias of the primary with --database",
        )
    with connection.cursor() as cursor:
        cursor.execute(RIGHTS)
        owns, superuser, role, database = cursor.fetchone()
        if not owns:
            raise _denied(
                "the role does not own the database, so it cannot rename it",
                "as its owner, or a superuser, give it to the role",
                statement(f"ALTER DATABASE {database} OWNER TO {role}"),
            )
        # ALTER DATABASE … RENAME asks for CREATEDB as well.
        require_scratch_allowed(connection)
        cursor.execute(FOREIGN)
        foreign = None if superuser else cursor.fetchone()
        if foreign:
            whose, is_superuser = foreign
            raise _denied_to_end(whose, role, is_superuser=is_superuser)
        _require_nothing_in_the_way(cursor, keep_slots=keep_slots)


def require_owners(connection: BaseDatabaseWrapper, manifest: Manifest) -> None:
    """Raise RefusedError where the restored objects would not belong to whom they belonged."""
    why = why_not_owners(connection, manifest)
    if why is not None:
        raise _denied(
            f"owners and rights cannot be restored: {why}",
            "name the alias of a superuser with --database, or make the role a member of them",
        )


def require_settings(connection: BaseDatabaseWrapper, manifest: Manifest) -> None:
    """Raise RefusedError where the role may not give the database a setting that it had."""
    had = {item.partition("=")[0].lower() for _, item in manifest.properties.get("settings", ())}
    knows = getattr(connection, "pg_version", 0) >= KNOWS_PARAMETER_RIGHTS
    with connection.cursor() as cursor:
        cursor.execute(NOT_THEIRS.format(GRANTED if knows else ""), [sorted(had)])
        row = cursor.fetchone()
    if row is not None:
        setting, role = row
        grant = statement(f"GRANT SET ON PARAMETER {setting} TO {role}")
        raise RefusedError(
            f"the role may not set {setting} for the restored database",
            id="property-not-restored",
            hint="name the alias of a superuser with --database"
            + ("; or, as a superuser, grant the role the privilege to set it" if knows else ""),
            steps=(grant,) if knows else (),
        )


def loss_since(connection: BaseDatabaseWrapper, manifest: Manifest) -> Loss:
    """Return what was written to the database of `connection` since the backup.

    By the server's cumulative statistics: rows of transactions that were rolled back count too,
    and nothing is known of a table whose statistics were reset.
    """
    counters = read_counters(connection)
    applied = applied_migrations(connection)
    reset = were_reset(connection, manifest.taken)
    return Loss(
        written=written_since(manifest.counters, counters, reset=reset),
        migrations=tuple(name for name in applied if name not in manifest.migrations),
        counters=counters,
        reset=reset,
        left_out=manifest.excluded,
    )


def _require_nothing_in_the_way(cursor: CursorWrapper, *, keep_slots: bool) -> None:
    kinds: list[tuple[str, str, str, Callable[[str], tuple[Step, ...]]]] = [
        ("prepared transaction", PREPARED, "decide how it is to end", _ended)
    ]
    if not keep_slots:
        hint = "leave it with the former database with --keep-slots, or drop it if it is not needed"
        kinds += [("logical replication slot", SLOTS, hint, _slot_dropped)]
        gone = f"{hint}; the second way is for a publisher that is gone"
        kinds += [("subscription", SUBSCRIPTIONS, gone, _subscription_dropped)]
    for what, query, hint, steps in kinds:
        cursor.execute(query)
        row = cursor.fetchone()
        if row:
            name, typed = row
            raise RefusedError(
                f"the {what} {name} prevents the rollback: it would not follow the name of the "
                "database",
                id="rollback-blocked",
                hint=hint,
                steps=steps(typed),
            )


def _ended(name: str) -> tuple[Step, ...]:
    return (
        statement(f"COMMIT PREPARED {name}"),
        statement(f"ROLLBACK PREPARED {name}", risk="loses what it wrote", alternative=2),
    )


def _slot_dropped(name: str) -> tuple[Step, ...]:
    return (
        statement(f"SELECT pg_drop_replication_slot({name})", risk="its reader loses its position"),
    )


def _subscription_dropped(name: str) -> tuple[Step, ...]:
    risk = "replication stops"
    return (
        statement(f"DROP SUBSCRIPTION {name}", risk=risk),
        # Where the publisher cannot be reached, or has no slot of it, that alone is an error.
        statement(f"ALTER SUBSCRIPTION {name} DISABLE", alternative=2),
        statement(
            f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)",
            risk="a slot on the publisher remains there",
            alternative=2,
        ),
        statement(f"DROP SUBSCRIPTION {name}", risk=risk, alternative=2),
    )


def _denied_to_end(whose: str, role: str, *, is_superuser: bool) -> RefusedError:
    message = f"the role may not end the sessions of {whose}"
    if is_superuser:
        return _denied(message, "end them as a superuser; no other role may")
    grant = statement(f"GRANT pg_signal_backend TO {role}")
    return _denied(
        message, "end them; or, as a superuser, grant the role the privilege to do so", grant
    )


def _denied(message: str, hint: str, *steps: Step) -> RefusedError:
    return RefusedError(message, id="missing-privilege", hint=hint, steps=steps)
