"""A server of one's own to rehearse on, where the package with the embedded server is installed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import urlsplit

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools.embedded import (
    EmbeddedServerError,
    discard_all,
    find_bindirs,
    running,
)

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
    folder = _own_folder()
    home = folder / str(os.getpid())
    try:
        with running(home, major=major, durable=False) as server:
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
    finally:
        shutil.rmtree(home, ignore_errors=True)
        with suppress(OSError):  # another run may have its own in it
            folder.rmdir()


def reap_embedded_servers() -> None:
    """Stop and delete the servers of runs that were killed."""
    folder = _folder()
    with suppress(OSError, EmbeddedServerError):
        if not folder.is_dir() or not _is_ours(folder):
            return
        for home in folder.iterdir():
            if not _is_alive(home.name):
                discard_all(home)
                shutil.rmtree(home, ignore_errors=True)
        folder.rmdir()


def _folder() -> Path:
    """Return the folder of our servers: in it, each run has one with the number of its process."""
    account = os.getuid() if hasattr(os, "getuid") else "servers"
    return Path(tempfile.gettempdir()) / f"opsmigrate-rehearsals-{account}"


def _own_folder() -> Path:
    folder = _folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    if not _is_ours(folder):
        raise UndecidedError(
            f"{folder} belongs to somebody else",
            id="copy-failed",
            hint="set TMPDIR to a folder of your own",
        )
    return folder


def _is_ours(folder: Path) -> bool:
    return not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()


def _is_alive(number: str) -> bool:
    if os.name == "nt" or not number.isdigit():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _pointed(
    connection: BaseDatabaseWrapper, host: str, port: int, user: str, password: str | None
) -> BaseDatabaseWrapper:
    other: BaseDatabaseWrapper = connection.copy()
    other.settings_dict.update(
        HOST=host, PORT=str(port), USER=user, PASSWORD=password, NAME="postgres", OPTIONS={}
    )
    return other
