"""A temporary embedded server for a rehearsal: whether it fits, and the roles it needs."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from secrets import token_urlsafe
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.errors import UndecidedError
from opsmigrate.isolated import (
    ServerRequirements,
    isolated_server,
    kept_server,
    why_not_isolated,
)
from opsmigrate.pgtools.kept_folder import KeptFolder
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.session import second_connection
from opsmigrate.preflight.rehearsal.archive_selection import OBSERVERS, SCHEDULERS
from opsmigrate.scratch import looks_of, reap

# With a role for each tenant, there may be many more; a migration names few.
MOST_ROLES = 5000
# undefined_file, feature_not_supported, undefined_object, invalid_parameter_value
MISSING_ON_THIS_MACHINE = frozenset({"58P01", "0A000", "42704", "22023"})
# Our server speaks English, whatever the examined one does.
OF_THE_SERVER = (
    "collation",
    "configuration parameter",
    "could not access file",
    "could not open file",
    "dictionary",
    "encoding",
    "extension",
    "locale",
    "role",
    "tablespace",
    "text search",
)
EXTENSIONS = "SELECT extname::text FROM pg_extension"
TABLESPACES = (
    "SELECT spcname::text FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')"
)
ROLES = """
SELECT rolname::text, rolsuper, rolinherit, rolcreaterole, rolreplication, rolbypassrls,
       rolname = current_user
FROM pg_roles WHERE rolname !~ '^pg_' OR rolname = current_user
"""
# As JSON, because INHERIT and SET are a membership's own since PostgreSQL 16.
MEMBERSHIPS = """
SELECT pg_get_userbyid(roleid)::text, pg_get_userbyid(member)::text, admin_option,
       to_jsonb(m) ->> 'inherit_option', to_jsonb(m) ->> 'set_option'
FROM pg_auth_members m
"""
# What a server's own configuration says of how SQL is understood.
CONFIGURED = """
SELECT name::text, setting FROM pg_settings
WHERE source IN ('configuration file', 'command line', 'environment variable')
  AND name IN ('array_nulls', 'bytea_output', 'DateStyle', 'default_text_search_config',
      'default_toast_compression', 'default_transaction_isolation', 'IntervalStyle',
      'quote_all_identifiers', 'row_security', 'standard_conforming_strings', 'TimeZone',
      'timezone_abbreviations', 'transform_null_equals', 'xmlbinary', 'xmloption')
"""


def why_not_embedded(connection: BaseDatabaseWrapper, major: int, needed_bytes: int) -> str | None:
    """Return why no embedded server can hold a copy of `needed_bytes`; None if one can.

    Nothing is started. Whether the locale is there is only seen then; see on_embedded_server.
    """
    with connection.cursor() as cursor:
        cursor.execute(TABLESPACES)
        tablespaces = tuple(row[0] for row in cursor.fetchall())
        cursor.execute(sql.SQL("SELECT count(*) FROM ({}) AS r").format(sql.SQL(ROLES)))
        roles = int(cursor.fetchone()[0])
    if roles > MOST_ROLES:
        return f"there are {roles} roles"
    return why_not_isolated(
        ServerRequirements(
            major=major,
            extensions=_extensions(connection),
            bytes=needed_bytes,
            tablespaces=tablespaces,
        )
    )


def _extensions(connection: BaseDatabaseWrapper) -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute(EXTENSIONS)
        left_out = {*SCHEDULERS, *OBSERVERS}
        return tuple(sorted({row[0] for row in cursor.fetchall()} - left_out))


@contextmanager
def on_embedded_server(
    connection: BaseDatabaseWrapper, major: int, folder: KeptFolder | None = None
) -> Iterator[tuple[BaseDatabaseWrapper, BaseDatabaseWrapper]]:
    """Yield a connection like `connection`, to a server that is gone when the block ends.

    With a `folder`, its files stay there as long as a copy was kept. And one as a superuser, who
    must run nothing that is in the copy: the server could start programs for him.

    The role has the same name there, and no more powers than it has here, but for CREATEDB. The
    other roles are there too, with their memberships and without passwords, and the server is
    configured as to how SQL is understood. Raises UnsuitableError where it lacks the locale.
    """
    with connection.cursor() as cursor:
        cursor.execute(ROLES)
        roles = cursor.fetchall()
        cursor.execute(MEMBERSHIPS)
        memberships = cursor.fetchall()
        cursor.execute(CONFIGURED)
        configured = cursor.fetchall()
    wanted = ServerRequirements(major=major, extensions=_extensions(connection))
    with _server(connection, wanted, folder, (roles, memberships, configured)) as (boss, is_new):
        _require_locale(boss, looks_of(connection)["locale"])
        password = token_urlsafe(24)
        [role] = [row[0] for row in roles if row[-1]]
        with boss.cursor() as cursor:
            if is_new:
                for statement in (*_roles(roles), *_memberships(memberships, major)):
                    cursor.execute(statement)
                for name, value in configured:
                    cursor.execute(
                        sql.SQL("ALTER SYSTEM SET {} = {}").format(
                            sql.Identifier(name), sql.Literal(value)
                        )
                    )
                cursor.execute("SELECT pg_reload_conf()")
            cursor.execute(
                sql.SQL("ALTER ROLE {} LOGIN CREATEDB PASSWORD {}").format(
                    sql.Identifier(role), sql.Literal(password)
                )
            )
        with second_connection(boss, database="postgres") as place:
            place.close()
            place.settings_dict.update(USER=role, PASSWORD=password)
            # What a killed run left there, and what has expired.
            reap(place, None)
            yield place, boss


@contextmanager
def _server(
    connection: BaseDatabaseWrapper,
    wanted: ServerRequirements,
    folder: KeptFolder | None,
    rows: Sequence[Any],
) -> Iterator[tuple[BaseDatabaseWrapper, bool]]:
    """Yield a superuser's connection to the server, and whether it still has to be set up."""
    if folder is None:
        with isolated_server(connection, wanted, socket=True) as boss:
            yield boss, True
        return
    # Roles in no order of their own.
    told = json.dumps([wanted.extensions, *(sorted(map(repr, each)) for each in rows)])
    looks = hashlib.sha256(told.encode()).hexdigest()
    with kept_server(connection, wanted, folder, looks=looks) as (boss, is_new):
        yield boss, is_new


def lack_of_server(failure: Mapping[str, Any] | None) -> str | None:
    """Return the words of a failure that may come from the embedded server, else None.

    It has not all that the examined one has: extensions, locales, dictionaries, parameters.
    """
    if failure is None or failure["sqlstate"] not in MISSING_ON_THIS_MACHINE:
        return None
    words = str(failure["words"])
    return words if any(each in words.lower() for each in OF_THE_SERVER) else None


class UnsuitableError(UndecidedError):
    """The server of our own turned out not to suit."""


def _require_locale(boss: BaseDatabaseWrapper, locale: dict[str, Any]) -> None:
    names = {locale["datcollate"], locale["datctype"]}
    for name in sorted(names):
        try:
            with boss.cursor() as cursor:
                cursor.execute(
                    sql.SQL(
                        "CREATE COLLATION pg_temp.probe (LC_COLLATE = {0}, LC_CTYPE = {0})"
                    ).format(sql.Literal(name))
                )
                cursor.execute("DROP COLLATION pg_temp.probe")
        except Error as error:
            raise UnsuitableError(
                f"this machine lacks the locale {name}", id="copy-failed"
            ) from error
    if locale.get("datlocprovider") == "i":
        _require_icu(boss)


def _require_icu(boss: BaseDatabaseWrapper) -> None:
    with boss.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_collation WHERE collprovider = 'i'")
        if not cursor.fetchone()[0]:
            raise UnsuitableError("the embedded server was built without ICU", id="copy-failed")


def _roles(rows: Sequence[tuple[Any, ...]]) -> Iterator[Composable]:
    for name, superuser, inherits, creates, replicates, bypasses, is_own in rows:
        words = [
            "SUPERUSER" if superuser and is_own else "NOSUPERUSER",
            "INHERIT" if inherits else "NOINHERIT",
            "CREATEROLE" if creates and is_own else "NOCREATEROLE",
            "REPLICATION" if replicates and is_own else "NOREPLICATION",
            "BYPASSRLS" if bypasses else "NOBYPASSRLS",
        ]
        yield sql.SQL("CREATE ROLE {} " + " ".join(words)).format(sql.Identifier(name))


def _memberships(rows: Sequence[tuple[Any, ...]], major: int) -> Iterator[Composable]:
    for role, member, admin, inherits, sets in rows:
        if member.startswith("pg_"):
            continue
        words = [("ADMIN", admin)]
        if major >= 16:
            words += [("INHERIT", inherits == "true"), ("SET", sets == "true")]
            kinds = " WITH " + ", ".join(f"{word} {str(on).upper()}" for word, on in words)
        else:
            kinds = " WITH ADMIN OPTION" if admin else ""
        yield sql.SQL("GRANT {} TO {}" + kinds).format(sql.Identifier(role), sql.Identifier(member))
