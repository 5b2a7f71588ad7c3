"""The database a command was pointed at: chosen, reached, described, its secrets kept."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import unquote

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, NotSupportedError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import OpsmigrateError, UndecidedError, UsageError
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.identity import identity_of
from opsmigrate.postgres.opening import own, release
from opsmigrate.postgres.session import (
    Session,
    describe,
    open_second,
    read_session,
    statement_limit,
)
from opsmigrate.preflight.rehearsal.same_database import leads_to_database
from opsmigrate.redaction import NAMES, Redactor, secrets_of_settings
from opsmigrate.report import Database
from opsmigrate.steps import statement

IN_ADDRESS = re.compile(r"://[^/\s:@]*:([^\s@]+)@")


@contextmanager
def adopted(session: BaseDatabaseWrapper) -> Iterator[None]:
    """Let everything in this thread that asks for the alias of `session` get that very session.

    So that what a thread does through the ORM is bound by what the session may do; other aliases
    that it opened are closed at the end.
    """
    connections[session.alias] = session
    try:
        yield
    finally:
        connections.close_all()


def postgresql_alias(alias: str, *, option: str) -> BaseDatabaseWrapper:
    """Return the connection of an alias that was typed as `option`, or raise UsageError."""
    if alias not in connections:
        raise UsageError(
            f"there is no database alias {_named(alias)} in DATABASES",
            id="unknown-alias",
            hint=f"name an existing one with {option}: {', '.join(connections)}",
        )
    connection = connections[alias]
    if connection.vendor != "postgresql":
        raise UsageError(
            f"the database alias {alias!r} is {connection.display_name}; "
            "opsmigrate works on PostgreSQL",
            id="not-postgresql",
            hint=f"name the alias of a PostgreSQL database with {option}",
        )
    return connection


def require_alias(alias: str, *, option: str) -> None:
    """Raise UsageError where an alias that was typed as `option` is none of PostgreSQL."""
    postgresql_alias(alias, option=option)


def aliases_of(connection: BaseDatabaseWrapper) -> tuple[str, ...]:
    """Return the aliases that lead to the database of `connection`, whatever they call its host."""
    settings = connection.settings_dict
    examined = {
        **{key: settings[key] for key in ("NAME", "HOST", "PORT")},
        "identity": identity_of(connection),
    }
    found = []
    for alias in connections.settings:
        with suppress(ImproperlyConfigured):
            other = connections[alias]
            if alias == connection.alias or (
                other.vendor == "postgresql" and leads_to_database(open_second(other), examined)
            ):
                found.append(alias)
    return tuple(found)


def _named(alias: str) -> str:
    # An address in its place has a password in it.
    return "of that name" if set(alias) & set("@:/") else repr(alias)


def _require_text(connection: BaseDatabaseWrapper) -> None:
    """Raise UndecidedError where a setting has a NUL: libpq would stop reading there, or fail."""
    parts = ("NAME", "USER", "PASSWORD", "HOST", "PORT")
    for key in (key for key in parts if "\0" in str(connection.settings_dict.get(key) or "")):
        raise UndecidedError(
            f"the {key} of DATABASES[{connection.alias!r}] has a NUL character (%00 in a URL), "
            "which PostgreSQL does not allow",
            id="bad-setting",
            hint="correct it in the settings, or in DATABASE_URL",
        )


class ChosenDatabase:
    """What is found out of an alias, step by step, so that a report can say how far it came."""

    def __init__(self) -> None:
        self._connection: BaseDatabaseWrapper | None = None
        self._session: Session | None = None
        self._reached = False

    def choose(self, alias: str, *, option: str = "--database") -> BaseDatabaseWrapper:
        """Return the connection of `alias`, which was typed as `option`.

        Raises UsageError where it is not one of PostgreSQL.
        """
        self._connection = postgresql_alias(alias, option=option)
        return self._connection

    def reach(self, too_old: type[OpsmigrateError] = UndecidedError) -> Session:
        """Return the session; raise UndecidedError where the server does not let us in.

        Raises `too_old` where Django no longer works with a server of this version.
        """
        assert self._connection is not None  # noqa: S101 - choose() comes first
        self._reached = True
        _require_text(self._connection)
        try:
            own(self._connection)
            self._session = read_session(self._connection)
        except NotSupportedError as error:
            raise too_old(
                f"this Django does not work with the server: {first_line(error)}",
                id="server-too-old",
                hint="upgrade the server, or use the Django version of the previous release",
            ) from error
        except Error as error:
            if self._connection.connection is not None:
                raise
            raise UndecidedError(
                f"cannot connect: {self.redact(first_line(error))}",
                id="cannot-connect",
                hint=f"check DATABASES[{self._connection.alias!r}] (host, port, name, user, "
                "password), and that the server is up",
            ) from error
        except ImproperlyConfigured as error:
            raise UndecidedError(
                f"DATABASES[{self._connection.alias!r}] cannot be used: {first_line(error)}",
                id="bad-setting",
                hint="complete it in the settings",
            ) from error
        return self._session

    def leave(self, *, stopped: bool = False) -> None:
        """Give the connection back to the project, whatever came of it.

        Where the run was `stopped`, nothing is asked of the server any more: it may not answer.
        """
        if self._connection is not None and self._reached:
            release(self._connection, closed=stopped)

    def described(self) -> Database | None:
        """Return the report's words for the database, as far as they are known."""
        if self._connection is None:
            return None
        try:
            return describe(self._connection, self._session)
        except ImproperlyConfigured:
            return None

    @property
    def name(self) -> str:
        """Return what to call the database in a sentence."""
        described = self.described()
        return f"database {described.name}" if described else "the database"

    def how_to_have_more_time(self) -> dict[str, Any]:
        """Return hint and steps for a statement that the server has ended."""
        limit = None
        if self._connection is not None:
            with suppress(Error):
                limit = statement_limit(self._connection)
        if limit is None:
            return {"hint": "another session may have cancelled it: run the command again"}
        return {
            "hint": f"statement_timeout is {limit.milliseconds:,} ms for this role. For one run, "
            'set the variable PGOPTIONS="-c statement_timeout=0"; or lift it for the role in this '
            "database; where OPTIONS of the alias sets it, there",
            "steps": (
                statement(
                    f"ALTER ROLE {limit.role} IN DATABASE {limit.database} "
                    "SET statement_timeout = 0",
                    risk="applies to the role's other sessions too",
                ),
            ),
        }

    def redact(self, text: str) -> str:
        """Return `text` without the secrets of the settings, in whatever form they are written."""
        shown = {
            str(settings.get(key) or "")
            for settings in (connections.settings[alias] for alias in connections)
            for key in ("USER", "NAME", "HOST")
        }
        return Redactor(_secrets(), shown=shown).text(text)


def _secrets() -> Iterator[str]:
    yield from secrets_of_settings()
    # What the settings were made of may have been mistyped, and then none of them has it.
    for name, value in os.environ.items():
        if NAMES.search(name) or "://" in value:
            yield value
        yield from (unquote(found) for found in IN_ADDRESS.findall(value))
