"""The database a command was pointed at: chosen, reached, described, its secrets kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, NotSupportedError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import OpsmigrateError, UndecidedError, UsageError
from opsmigrate.postgres.errors import first_line
from opsmigrate.postgres.opening import own, release
from opsmigrate.postgres.session import Session, describe, read_session
from opsmigrate.report import Database

# A shorter text is found in too many words for anybody to learn it from what is masked.
SHORTEST_SECRET = 4


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
            f"there is no database alias {alias!r} in DATABASES",
            id="unknown-alias",
            hint=f"{option} {' or '.join(connections)}",
        )
    connection = connections[alias]
    if connection.vendor != "postgresql":
        raise UsageError(
            f"the database alias {alias!r} is {connection.display_name}; "
            "opsmigrate works on PostgreSQL",
            id="not-postgresql",
            hint=f"{option} with the alias of a PostgreSQL database",
        )
    return connection


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
        try:
            own(self._connection)
            self._session = read_session(self._connection)
        except NotSupportedError as error:
            raise too_old(
                f"this Django does not work with the server: {first_line(error)}",
                id="server-too-old",
                hint="upgrade the server, or use the Django that the last release used",
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

    def leave(self) -> None:
        """Give the connection back to the project, whatever came of it."""
        if self._connection is not None and self._reached:
            release(self._connection)

    def described(self) -> Database | None:
        """Return the report's words for the database, as far as they are known."""
        if self._connection is None:
            return None
        try:
            return describe(self._connection, self._session)
        except ImproperlyConfigured:
            return None

    def redact(self, text: str) -> str:
        """Return `text` without the alias's password, plain or percent-encoded."""
        if self._connection is None:
            return text
        settings = self._connection.settings_dict
        # A password that equals a name is no secret worth garbling the report for.
        shown = {str(settings.get(key)) for key in ("USER", "NAME", "HOST")}
        secrets = [settings.get("PASSWORD"), settings.get("OPTIONS", {}).get("sslpassword")]
        for secret in secrets:
            if secret and len(secret) >= SHORTEST_SECRET and secret not in shown:
                for form in (str(secret), repr(secret)[1:-1], quote(str(secret), safe="")):
                    text = text.replace(form, "***")
        return text
