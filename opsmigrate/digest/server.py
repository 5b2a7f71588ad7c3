"""What tables of a database hold, by COPY on parallel sessions, at a snapshot or as it is now."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.digest.large_objects import CHUNKS
from opsmigrate.digest.lines import NO_ROWS, CopyText, TableDigest, TruncatedError
from opsmigrate.digest.tables import DataTable
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.libpq import ChildEnvironment, child_environment
from opsmigrate.pgtools.run import ClientError, started
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.session import no_time_limits

# A digest must not depend on what a role or a database has set; as pg_dump sets them.
SETTINGS = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "search_path": "",
    "row_security": "off",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "client_encoding": "UTF8",
    "client_min_messages": "warning",
}
LARGE_OBJECTS = "large objects"
SECONDS_BETWEEN_IDLES = 0.1


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How to read: at which exported snapshot, on how many sessions, how long for a lock (s).

    `printing` are settings of the text of values besides (opsmigrate.pgtools.printing).
    """

    snapshot: str | None = None
    jobs: int = 1
    lock_timeout: float = 5
    printing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DatabaseContent:
    """Tables by what they are counted as, and the large objects of the database."""

    tables: dict[str, TableDigest]
    large_objects: TableDigest


def read_database(
    connection: BaseDatabaseWrapper,
    clients: Clients,
    tables: Sequence[DataTable],
    reading: Reading,
    *,
    encoding: str,
    idle: Callable[[int], None],
) -> DatabaseContent:
    """Return the digests of `tables` of the database of `connection`, read by psql.

    Every session locks all tables (ACCESS SHARE) before it reads the first one, so that DDL
    which comes later can hold none of them up. `idle` is called in this thread, several times a
    second, with the bytes read so far; what it raises ends the sessions. Raises ClientError with
    the server's own words.
    """
    work = _SharedProgress()
    with child_environment(connection) as environment:
        shares = _shares(tables, reading.jobs)
        scripts = [
            _script(connection, tables, share, reading, environment.role, encoding)
            for share in shares
        ]
        with ThreadPoolExecutor(len(shares), thread_name_prefix="digest") as pool:
            running = [
                pool.submit(work.read, clients, environment, script, share)
                for script, share in zip(scripts, shares, strict=True)
            ]
            try:
                while any(not each.done() for each in running):
                    idle(work.bytes)
                    wait(running, SECONDS_BETWEEN_IDLES, "FIRST_EXCEPTION")
                    if any(each.done() and each.exception() for each in running):
                        break
            finally:
                work.end()
            for done in running:
                done.result()
    found: dict[str, TableDigest] = {}
    for table in tables:
        found[table.counted_as] = found.get(table.counted_as, NO_ROWS) + work.found[table.label]
    return DatabaseContent(tables=found, large_objects=work.found[LARGE_OBJECTS])


class _SharedProgress:
    """What the threads share: digests, the bytes read, and the programs that still run."""

    def __init__(self) -> None:
        self.found: dict[str, TableDigest] = {}
        self.bytes = 0
        self._lock = Lock()
        self._programs: list[subprocess.Popen[bytes]] = []
        self._over = False

    def read(
        self,
        clients: Clients,
        environment: ChildEnvironment,
        script: str,
        share: list[DataTable | None],
    ) -> None:
        with _psql(clients, environment, script) as process:
            with self._lock:
                if self._over:
                    process.terminate()
                self._programs.append(process)
            assert process.stdout is not None  # noqa: S101 - asked for in _psql
            text = CopyText(process.stdout, meanwhile=self._told)
            try:
                for table in share:
                    self.found[table.label if table else LARGE_OBJECTS] = text.table()
            except TruncatedError as error:
                # psql's own words are better, where it has any.
                if process.wait() == 0:
                    raise ClientError(str(error)) from error

    def end(self) -> None:
        with self._lock:
            self._over = True
            for process in self._programs:
                if process.poll() is None:
                    process.terminate()

    def _told(self, size: int) -> None:
        with self._lock:
            self.bytes += size


def _shares(tables: Sequence[DataTable], jobs: int) -> list[list[DataTable | None]]:
    """Deal the tables out, the largest first, to whoever has least; None: the large objects."""
    shares: list[list[DataTable | None]] = [[] for _ in range(max(1, min(jobs, len(tables))))]
    sizes = [0] * len(shares)
    for table in sorted(tables, key=lambda table: -table.bytes):
        least = sizes.index(min(sizes))
        shares[least].append(table)
        sizes[least] += table.bytes + 1
    shares[-1].append(None)
    return shares


@contextmanager
def _psql(
    clients: Clients, environment: ChildEnvironment, script: str
) -> Iterator[subprocess.Popen[bytes]]:
    argv = [clients.program("psql"), "-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"]
    argv += ["-v", "VERBOSITY=verbose"]  # for the code of an error, in whatever language it is
    with tempfile.TemporaryFile() as file:
        file.write(script.encode(errors="surrogateescape"))
        file.seek(0)
        with started(argv, environment, stdin=file, stdout=subprocess.PIPE) as process:
            yield process


def _script(
    connection: BaseDatabaseWrapper,
    tables: Sequence[DataTable],
    share: Sequence[DataTable | None],
    reading: Reading,
    role: str | None,
    encoding: str,
) -> str:
    statements: list[Composable] = []
    if role:
        statements.append(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    settings = {**SETTINGS, **reading.printing, **no_time_limits(connection)}
    settings["lock_timeout"] = f"{reading.lock_timeout * 1000:.0f}ms"
    for name, value in settings.items():
        statements.append(sql.SQL("SET {} TO {}").format(sql.SQL(name), sql.Literal(value)))
    statements.append(sql.SQL("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    if reading.snapshot:
        given = sql.Literal(reading.snapshot)
        statements.append(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(given))
    if tables:
        names = sql.SQL(", ").join(sql.SQL("ONLY {}").format(each.identifier) for each in tables)
        statements.append(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
    texts = [_text(connection, statement) for statement in statements]
    for table in share:
        copied = table.copied() if table else sql.SQL(CHUNKS)
        copy = sql.SQL("COPY {} TO STDOUT (ENCODING {})").format(copied, sql.Literal(encoding))
        texts += [_text(connection, copy), "\\echo '\\\\.'\n"]
    return "".join(texts)


def _text(connection: BaseDatabaseWrapper, statement: Composable) -> str:
    text: str = statement.as_string(connection.connection)
    return f"{text};\n"
