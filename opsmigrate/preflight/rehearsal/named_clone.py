"""A clone of the live database that somebody else made: whether it is alike, and which rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.backends.signals import connection_created

from opsmigrate.errors import OpsmigrateError, RefusedError
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.run import ClientError
from opsmigrate.pgtools.schema_text import database_differences
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.identity import identity_of
from opsmigrate.postgres.session import second_connection, set_for_session
from opsmigrate.postgres.transaction import SNAPSHOT, transaction
from opsmigrate.preflight.rehearsal.kept_copy import LOCK_TIMEOUT, STATEMENT_TIMEOUT, TABLES
from opsmigrate.preflight.rehearsal.selection import KeptCopy
from opsmigrate.schema.history import applied_migrations

SHOWN = 3
ANEW = "make the clone anew from the live database, and rehearse again"
# The same text for the same value on both, whatever their roles and databases have set.
ALIKE = {
    "bytea_output": "hex",
    "DateStyle": "ISO",
    "extra_float_digits": "3",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "xmlbinary": "base64",
}
# Whatever the order is in which either has its rows.
CONTENTS = (
    'SELECT pg_catalog.count(*), sum(hashtextextended((t.*)::text COLLATE pg_catalog."C", 0)::'
    "numeric) FROM ONLY {} AS t"
)


def require_not_live(connection: BaseDatabaseWrapper, clone: BaseDatabaseWrapper) -> list[str]:
    """Return the identity of the clone.

    Raises RefusedError where both are the same database, whatever each calls it or its server.
    """
    try:
        there, live = identity_of(clone), identity_of(connection)
    except Error as error:
        raise RefusedError(
            f"whether {clone.alias!r} is the live database cannot be determined: "
            f"{first_line(error)}",
            id="clone-is-live",
            hint="let the role execute pg_control_system() on both servers",
        ) from error
    if there == live:
        raise RefusedError(
            f"the alias {clone.alias!r} leads to the live database itself, which a rehearsal would "
            "change",
            id="clone-is-live",
            hint="name the alias of a clone of it with --rehearse-in",
        )
    return there


@contextmanager
def leading_there(clone: BaseDatabaseWrapper, identity: list[str]) -> Iterator[None]:
    """Compare each session that is opened for the clone in the block with its identity.

    Its address may lead to several servers: now to the clone, later to the live one. Raises
    RefusedError, from whatever opens such a session, before anything is done in it.
    """

    def compare(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        # A second connection to a database by its name has an alias of its own: open_second().
        is_of_clone = f"{connection.alias} ".startswith(f"{clone.alias} ")
        if is_of_clone and identity_of(connection) != identity:
            connection.close()
            raise RefusedError(
                f"the alias {clone.alias!r} leads to several databases: a later session reached "
                "another one than the first",
                id="another-database",
                hint="let the alias lead to one server, with one name and one address",
            )

    connection_created.connect(compare)
    try:
        yield
    finally:
        connection_created.disconnect(compare)


def require_alike(
    connection: BaseDatabaseWrapper, clone: BaseDatabaseWrapper, clients: Clients
) -> None:
    """Raise RefusedError where another schema, or other migrations, are in the clone."""
    ours, theirs = set(applied_migrations(connection)), set(applied_migrations(clone))
    if ours != theirs:
        raise _differs(clone, "other migrations are applied", sorted(ours ^ theirs))
    try:
        # Only the server that has made it knows the snapshot: that is how pg_dump is compared.
        with second_connection(clone) as there, transaction(there, SNAPSHOT) as cursor:
            cursor.execute("SELECT pg_export_snapshot()")
            changed = database_differences(
                connection, clone, clients, owners=False, snapshot=cursor.fetchone()[0]
            )
    except ClientError as error:
        raise RefusedError(
            f"whether the definitions in {clone.alias!r} are the same cannot be read: {error}",
            id="clone-differs",
            hint="let the role read both; or rehearse without --rehearse-in",
        ) from error
    if changed:
        raise _differs(clone, "these are defined otherwise", list(changed))


def _differs(clone: BaseDatabaseWrapper, what: str, names: list[str]) -> OpsmigrateError:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return RefusedError(
        f"{clone.alias!r} is no clone of the live database as it is now: {what}: "
        f"{', '.join(names[:SHOWN])}{more}",
        id="clone-differs",
        hint=ANEW,
        evidence={"differences": names},
    )


def rows_of_clone(
    connection: BaseDatabaseWrapper, clone: BaseDatabaseWrapper, *, taken: str
) -> KeptCopy:
    """Compare every row of both, at most 60 s of each table; return the clone with what differs.

    A table that cannot be compared counts as one that differs. `taken` is the time of the look.
    """
    return KeptCopy(
        name=str(clone.settings_dict["NAME"]),
        backup=None,
        taken=taken,
        stale=tuple(sorted(_differing(connection, clone))),
        clone=clone.alias,
    )


def _differing(
    connection: BaseDatabaseWrapper, clone: BaseDatabaseWrapper
) -> Iterator[tuple[str, str]]:
    with second_connection(connection) as live, second_connection(clone) as there:
        for each in (live, there):
            # Row security would hide rows instead of failing.
            set_for_session(
                each,
                row_security="off",
                lock_timeout=LOCK_TIMEOUT,
                statement_timeout=STATEMENT_TIMEOUT,
                **ALIKE,
            )
        with live.cursor() as cursor:
            cursor.execute(TABLES)
            tables = [(schema, name) for schema, name in cursor.fetchall()]
        for table in tables:
            rows = _contents(live, table)
            if rows is None or rows != _contents(there, table):
                yield table


def _contents(connection: BaseDatabaseWrapper, table: tuple[str, str]) -> tuple[int, int] | None:
    """Return how many rows there are, and the sum of their hashes; None where it is not known."""
    try:
        with transaction(connection) as cursor:
            cursor.execute(sql.SQL(CONTENTS).format(sql.Identifier(*table)))
            count, total = cursor.fetchone()
    except Error:
        return None
    return int(count), int(total or 0)
