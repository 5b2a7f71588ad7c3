"""A server of one's own to rehearse on, where the package with the embedded server is installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_urlsafe
from urllib.parse import urlsplit

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools.embedded import (
    EmbeddedServerError,
    find_bindirs,
    running,
)
from opsmigrate.pgtools.own_folder import own_folder
from opsmigrate.postgres.session import open_second

ATTRIBUTES = """
SELECT rolname, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user
"""


def has_embedded(major: int) -> bool:
    """Say whether the package is installed, with this major version of the server."""
    return major in find_bindirs()


@contextmanager
def on_embedded_server(
    connection: BaseDatabaseWrapper, major: int
) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection like `connection`, to a server that is gone when the block ends.

    The role has the same name there, and no more powers than it has here, but for CREATEDB.
    """
    with connection.cursor() as cursor:
        cursor.execute(ATTRIBUTES)
        role, superuser, creates_roles = cursor.fetchone()
    try:
        with own_folder() as home, running(home, major=major, durable=False) as server:
            url = urlsplit(server.url)
            boss = _pointed(connection, str(url.hostname), server.port, "postgres", url.password)
            password = token_urlsafe(24)
            kind = "SUPERUSER" if superuser else "NOSUPERUSER"
            more = "CREATEROLE" if creates_roles else "NOCREATEROLE"
            with boss.cursor() as cursor:
                verb = "ALTER" if role == "postgres" else "CREATE"
                cursor.execute(
                    sql.SQL(f"{verb} ROLE {{}} LOGIN CREATEDB {kind} {more} PASSWORD {{}}").format(
                        sql.Identifier(role), sql.Literal(password)
                    )
                )
            boss.close()
            place = _pointed(connection, str(url.hostname), server.port, role, password)
            try:
                yield place
            finally:
                place.close()
    except EmbeddedServerError as error:
        raise UndecidedError(
            f"no server of our own could be started for the rehearsal: {error}",
            id="copy-failed",
            hint="--rehearse-on with the alias of another server",
        ) from error


def _pointed(
    connection: BaseDatabaseWrapper, host: str, port: int, user: str, password: str | None
) -> BaseDatabaseWrapper:
    other = open_second(connection, database="postgres")
    other.settings_dict.update(HOST=host, PORT=str(port), USER=user, PASSWORD=password, OPTIONS={})
    return other
