"""Take a backup: a whole one under its final name, or none; the manifest last."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from secrets import token_hex
from typing import Any

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backup.checksum import sha256_of
from opsmigrate.backup.client_lock_watch import ClientLockWatch
from opsmigrate.backup.counters import read_counters
from opsmigrate.backup.files import (
    flush,
    make_folder,
    new_backup,
    remove_backup,
    remove_leftovers,
    sync_names,
)
from opsmigrate.backup.preconditions import excluded_tables, require_dumpable, require_space
from opsmigrate.backup.properties import read_extensions, read_properties
from opsmigrate.backup.restore import read_roles
from opsmigrate.backup.sequences import bracketed, read_sequences
from opsmigrate.backup.snapshot import (
    LOCK_TIMEOUT_SECONDS,
    Snapshot,
    held_snapshot,
    locked_by_others,
)
from opsmigrate.backup.unreadable import unreadable_rows
from opsmigrate.counted import counted
from opsmigrate.digest.server import DatabaseContent, Reading, read_database
from opsmigrate.digest.tables import DataTable, count_rows
from opsmigrate.errors import RefusedError, UndecidedError
from opsmigrate.manifest import Manifest, manifest_path, size_of, write_manifest
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.known_failures import remedy_for
from opsmigrate.pgtools.libpq import (
    ChildEnvironment,
    child_environment,
    require_password_for_clients,
)
from opsmigrate.pgtools.printing import PRINTING
from opsmigrate.pgtools.run import ClientError, started
from opsmigrate.postgres.advisory import already_running, holder_of, obtain
from opsmigrate.postgres.connection_limit import require_connections
from opsmigrate.postgres.driver_errors import LOCK_NOT_AVAILABLE, sqlstate
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.session import (
    Session,
    is_pooled_by_transaction,
    no_time_limits,
    second_connection,
    set_for_session,
)
from opsmigrate.progress import Progress
from opsmigrate.schema.history import applied_migrations
from opsmigrate.steps import command

# The first half of the advisory lock's key, "opsb" in ASCII; there is one in each database.
LOCK_SPACE = 0x6F707362
SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True, kw_only=True)
class BackupOptions:
    """Where to, how compressed (as pg_dump's --compress), and for which run and release.

    `digests` says whether the values of all rows are read besides; `exclude` are patterns of the
    tables whose rows are left out; more than one job makes a folder of files.
    """

    folder: Path
    compress: str
    run_id: str
    release: str | None
    jobs: int = 1
    digests: bool = True
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Dumped:
    """What was seen at the snapshot, while it was dumped."""

    snapshot: Snapshot
    counts: dict[str, int]
    content: DatabaseContent | None
    about: dict[str, Any]


class _DumpEndedError(Exception):
    """pg_dump failed while the tables were read; its words are with the process."""


def take_backup(
    connection: BaseDatabaseWrapper,
    session: Session,
    clients: Clients,
    options: BackupOptions,
    progress: Progress,
) -> tuple[Path, Manifest]:
    """Dump the database of `connection` and return the backup and its manifest, not yet verified.

    The rows of every table are counted, and their values read, at the very snapshot that is
    dumped, while it is dumped. Raises RefusedError or UndecidedError before a final name exists;
    the last good backup stays.
    """
    if is_pooled_by_transaction(connection):
        raise RefusedError(
            "there is a connection pooler in transaction mode in between; a backup needs one "
            "session",
            id="pooled-by-transaction",
            hint="let DATABASES point to the server itself, not to the pooler",
        )
    require_password_for_clients(connection)
    require_connections(connection, connections_of(options), "the backup")
    with _observer(connection, session) as observer:
        require_dumpable(connection)
        make_folder(options.folder)
        remove_leftovers(options.folder, session)
        require_space(connection, session, options.folder, options.compress, progress)
        begun = time.monotonic()
        with new_backup(options.folder, session, as_folder=options.jobs > 1) as (partial, final):
            dumped = _dump(observer, session, clients, partial, options, progress)
            seconds = time.monotonic() - begun
            flush(partial)
            digest = sha256_of(partial)
            partial.replace(final)
            sync_names(options.folder)
    content = dumped.content
    manifest = Manifest(
        file=final.name,
        bytes=size_of(final),
        sha256=digest,
        taken=dumped.snapshot.taken,
        finished=datetime.now(timezone.utc).isoformat(),
        run_id=options.run_id,
        release=options.release,
        database={
            "name": session.database,
            "oid": session.oid,
            "system_identifier": str(session.system_identifier),
            "server_version": session.version_text,
        },
        client_version=clients.version,
        lsn=dumped.snapshot.lsn,
        xmin=dumped.snapshot.xmin,
        tables=dumped.counts,
        format="directory" if options.jobs > 1 else "custom",
        compress=options.compress,
        printed=PRINTING,
        seconds=round(seconds, 3),
        digests={name: each.digest for name, each in content.tables.items()} if content else {},
        large_objects={
            "chunks": content.large_objects.rows,
            "digest": content.large_objects.digest,
        }
        if content
        else {},
        **dumped.about,
    )
    try:
        write_manifest(options.folder, manifest)
    except BaseException:
        # Without its manifest nobody could use it, and nobody would ever remove it.
        remove_backup(final, manifest_path(final))
        raise
    return final, manifest


def connections_of(options: BackupOptions) -> int:
    """Return how many sessions there are at once while a backup is taken.

    The one that asks, that which watches, that of the snapshot, pg_dump's, and those that read.
    """
    dumping = 1 + options.jobs if options.jobs > 1 else 1
    return 3 + dumping + (options.jobs if options.digests else 0)


@contextmanager
def _observer(connection: BaseDatabaseWrapper, session: Session) -> Iterator[BaseDatabaseWrapper]:
    """Yield a session that holds this database's lock on backups, and waits for no other long."""
    with second_connection(connection) as observer:
        lock_timeout = f"{LOCK_TIMEOUT_SECONDS * 1000:.0f}ms"
        set_for_session(observer, lock_timeout=lock_timeout, **no_time_limits(observer))
        if not obtain(observer, LOCK_SPACE, 0, what="backup"):
            raise already_running(
                f"another backup of database {session.database} is running",
                holder_of(observer, LOCK_SPACE, 0),
                again="take the backup again",
            )
        try:
            yield observer
        except OperationalError as error:
            if sqlstate(error) == LOCK_NOT_AVAILABLE:
                raise locked_by_others() from error
            raise


def _dump(
    connection: BaseDatabaseWrapper,
    session: Session,
    clients: Clients,
    partial: Path,
    options: BackupOptions,
    progress: Progress,
) -> _Dumped:
    with held_snapshot(connection) as (holder, snapshot):
        excluded = excluded_tables(snapshot.tables, options.exclude)
        tables = [table for table in snapshot.tables if table not in excluded]
        properties = {
            **read_properties(connection, session.database),
            "roles": read_roles(connection),
        }
        counters, before = read_counters(connection), read_sequences(connection)
        progress.phase(
            f"Dumping {counted(len(tables), 'table')}, a database of "
            f"{properties['bytes'] / 1e6:,.1f} MB, with pg_dump {clients.version}"
        )
        name = f"opsmigrate dump {token_hex(4)}"
        settings = {**PRINTING, **no_time_limits(connection)}
        with child_environment(connection, application=name, settings=settings) as environment:
            argv = _argv(clients, environment, snapshot, partial, options, properties["encoding"])
            argv += [f"--exclude-table-data={_exactly(table)}" for table in excluded]
            watch = ClientLockWatch(connection, name, patience=LOCK_TIMEOUT_SECONDS)
            counts, content = _run(
                argv,
                environment,
                lambda idle: _read(
                    connection, holder, clients, snapshot, tables, options, properties, idle
                ),
                lambda read: _tell(progress, watch, partial, read),
                watch,
            )
        return _Dumped(
            snapshot=snapshot,
            counts=counts,
            content=content,
            about={
                "migrations": applied_migrations(holder),
                "sequences": bracketed(before, read_sequences(connection)),
                "extensions": read_extensions(holder),
                "properties": properties,
                "counters": counters,
                "excluded": tuple(table.label for table in excluded),
            },
        )


Idle = Callable[[int], None]
Counts = tuple[dict[str, int], DatabaseContent | None]


def _run(
    argv: list[str],
    environment: ChildEnvironment,
    read: Callable[[Idle], Counts],
    tell: Idle,
    watch: ClientLockWatch,
) -> Counts:
    """Run pg_dump and `read` side by side, calling `tell` all the while."""
    found: Counts = ({}, None)
    try:
        with started(argv, environment) as dump:

            def idle(size: int) -> None:
                if dump.poll():
                    raise _DumpEndedError
                tell(size)

            try:
                found = read(idle)
                while dump.poll() is None:
                    tell(0)
                    with suppress(subprocess.TimeoutExpired):
                        dump.wait(SECONDS_BETWEEN_LOOKS)
            except _DumpEndedError:
                pass  # started() raises ClientError with its words
    except ClientError as error:
        asked = watch.what_is_held() if error.of_its_own else None
        held = asked or ("" if error.sqlstate == LOCK_NOT_AVAILABLE else None)
        if held is not None:
            who = f" ({held})" if held else ""
            raise UndecidedError(
                "other sessions, such as a migration, waited for a table while it was "
                f"dumped{who}: {error}",
                id="lock-not-obtained",
                hint="take the backup again when they have ended",
                steps=(command("python manage.py backup_db"),),
            ) from error
        if unreadable := unreadable_rows(watch.connection, error):
            raise unreadable from error
        known = remedy_for(str(error))
        raise UndecidedError(
            f"pg_dump failed: {error}",
            id="dump-failed",
            hint=known.hint if known else "read its message above; nothing was left behind",
            steps=known.steps if known else (),
        ) from error
    return found


def _read(  # noqa: PLR0913 - what two readers of one snapshot share
    connection: BaseDatabaseWrapper,
    holder: BaseDatabaseWrapper,
    clients: Clients,
    snapshot: Snapshot,
    tables: list[DataTable],
    options: BackupOptions,
    properties: dict[str, Any],
    idle: Idle,
) -> Counts:
    if not options.digests:
        return count_rows(holder, tables, idle=lambda: idle(0)), None
    reading = Reading(
        snapshot=snapshot.id,
        jobs=options.jobs,
        lock_timeout=LOCK_TIMEOUT_SECONDS,
        printing=PRINTING,
    )
    content = read_database(
        connection, clients, tables, reading, encoding=properties["encoding"], idle=idle
    )
    return {name: each.rows for name, each in content.tables.items()}, content


def _tell(progress: Progress, watch: ClientLockWatch, partial: Path, read: int) -> None:
    watch.look()
    seen = f", {read / 1e6:,.1f} MB of rows read" if read else ""
    progress.update(f"{max(0, size_of(partial)) / 1e6:,.1f} MB written{seen}")


def _argv(
    clients: Clients,
    environment: ChildEnvironment,
    snapshot: Snapshot,
    partial: Path,
    options: BackupOptions,
    encoding: str,
) -> list[str]:
    argv = [
        clients.program("pg_dump"),
        f"--format={'directory' if options.jobs > 1 else 'custom'}",
        "--blobs",
        "--no-password",
        f"--encoding={encoding}",
        f"--compress={options.compress}",
        f"--snapshot={snapshot.id}",
        f"--lock-wait-timeout={LOCK_TIMEOUT_SECONDS * 1000:.0f}",
        f"--file={partial.resolve()}",
    ]
    if options.jobs > 1:
        argv.append(f"--jobs={options.jobs}")
    if environment.role:
        argv.append(f"--role={environment.role}")
    return argv


def _exactly(table: DataTable) -> str:
    # Nothing within double quotes is a pattern (documentation of psql, Patterns).
    return quoted(table.schema, table.name)
