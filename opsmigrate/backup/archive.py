"""What an archive really holds: rows per table, read from the file alone, in constant memory."""

import hashlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backup.snapshot import label
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.libpq import child_environment
from opsmigrate.pgtools.run import started

CHUNK_BYTES = 1 << 20
IDENTIFIER = rb'(?:"(?:[^"]|"")+"|[^\s".(]+)'
COPY = re.compile(rb"COPY (%b)\.(%b) .*FROM stdin;\n" % (IDENTIFIER, IDENTIFIER), re.DOTALL)


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def rows_in_archive(
    clients: Clients,
    connection: BaseDatabaseWrapper,
    file: Path,
    *,
    meanwhile: Callable[[int], None],
) -> dict[str, int]:
    """Return the rows of each table in a custom-format archive, by its label.

    Every block is decompressed by pg_restore, so a damaged one is an error. Raises ClientError
    where the archive cannot be read. `meanwhile` is told the rows read so far.
    """
    argv = [clients.program("pg_restore"), "--data-only", "--file=-", str(file.resolve())]
    with (
        child_environment(connection) as environment,
        started(argv, environment, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - asked for just above
        return _count(process.stdout, meanwhile)


def _count(stream: IO[bytes], meanwhile: Callable[[int], None]) -> dict[str, int]:
    counts: dict[str, int] = {}
    total = 0
    while line := stream.readline():
        if not line.startswith(b"COPY "):
            continue
        # A quoted name with a line break makes the statement longer than a line.
        while line.count(b'"') % 2 and (more := stream.readline()):
            line += more
        header = COPY.fullmatch(line)
        if header is None:
            continue
        rows = _rows(stream)
        table = label(_name(header.group(1)), _name(header.group(2)))
        counts[table] = counts.get(table, 0) + rows
        total += rows
        meanwhile(total)
    return counts


def _rows(stream: IO[bytes]) -> int:
    """Count the lines up to the end mark: a line break inside a value is escaped."""
    rows = 0
    for line in stream:
        if line == b"\\.\n":
            return rows
        rows += 1
    return rows


def _name(identifier: bytes) -> str:
    if identifier.startswith(b'"'):
        identifier = identifier[1:-1].replace(b'""', b'"')
    return identifier.decode(errors="replace")
