"""What an archive really holds, read from the file alone, in constant memory."""

import re
import subprocess
from binascii import Error as HexError
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.digest.encodings import python_codec
from opsmigrate.digest.large_objects import ChunkSum
from opsmigrate.digest.lines import NO_ROWS, CopyText, TableDigest, TruncatedError
from opsmigrate.digest.tables import label
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.libpq import child_environment
from opsmigrate.pgtools.run import ClientError, started
from opsmigrate.postgres.names import unquoted

IDENTIFIER = rb'(?:"(?:[^"]|"")+"|[^\s".(]+)'
QUALIFIED = re.compile(rb"(%b)\.(%b)" % (IDENTIFIER, IDENTIFIER), re.DOTALL)
COPY = re.compile(rb"COPY (%b)\.(%b) .*FROM stdin;" % (IDENTIFIER, IDENTIFIER), re.DOTALL)
SETVAL = re.compile(rb"SELECT pg_catalog\.setval\((E?)'(.*)', (-?\d+), (true|false)\);", re.DOTALL)
LO_OPEN = re.compile(rb"SELECT pg_catalog\.lo_open\('(\d+)', \d+\);")
LO_WRITE = re.compile(rb"SELECT pg_catalog\.lowrite\(0, '\\x([0-9a-f]*)'\);")
LO_CLOSE = b"SELECT pg_catalog.lo_close(0);"


@dataclass(frozen=True, kw_only=True)
class ArchiveContent:
    """Tables by their label, sequences as the last value handed out (None: none yet)."""

    tables: dict[str, TableDigest] = field(default_factory=dict)
    sequences: dict[str, int | None] = field(default_factory=dict)
    large_objects: TableDigest


def read_archive(
    clients: Clients,
    connection: BaseDatabaseWrapper,
    file: Path,
    *,
    encoding: str,
    meanwhile: Callable[[int], None],
) -> ArchiveContent:
    """Return what pg_restore makes of an archive: every block is decompressed and looked at.

    `encoding` is PostgreSQL's name for that of the archive. Raises ClientError where the archive
    cannot be read; `meanwhile` is told the bytes of each piece of text.
    """
    argv = [clients.program("pg_restore"), "--data-only", "--file=-", str(file.resolve())]
    with (
        child_environment(connection) as environment,
        started(argv, environment, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - asked for just above
        text = CopyText(process.stdout, meanwhile=meanwhile)
        try:
            return _content(text, python_codec(encoding))
        except (TruncatedError, HexError) as error:
            # pg_restore's own words are better, where it has any.
            if process.wait() == 0:
                raise ClientError(str(error)) from error
            return ArchiveContent(large_objects=TableDigest(0, ""))


def _content(text: CopyText, codec: str) -> ArchiveContent:
    tables: dict[str, TableDigest] = {}
    sequences: dict[str, int | None] = {}
    objects = ChunkSum()
    while (line := text.line()) is not None:
        if line.startswith(b"COPY "):
            header = COPY.fullmatch(_whole(text, line))
            if header is not None:
                name = _label(header.group(1), header.group(2), codec)
                # Partitions that are loaded through their root come one by one, under its name.
                tables[name] = tables.get(name, NO_ROWS) + text.table()
        elif line.startswith(b"SELECT pg_catalog.setval("):
            sequences.update(_sequence(_until(text, line, b");"), codec))
        elif opened := LO_OPEN.fullmatch(line):
            _large_object(text, objects.begin(int(opened.group(1))))
    return ArchiveContent(tables=tables, sequences=sequences, large_objects=objects.result())


def _whole(text: CopyText, line: bytes) -> bytes:
    """Return a COPY statement with what follows a line break in a quoted name."""
    while line.count(b'"') % 2 and (more := text.line()) is not None:
        line += b"\n" + more
    return line


def _until(text: CopyText, line: bytes, end: bytes) -> bytes:
    while not line.endswith(end) and (more := text.line()) is not None:
        line += b"\n" + more
    return line


def _sequence(statement: bytes, codec: str) -> dict[str, int | None]:
    found = SETVAL.fullmatch(statement)
    if found is None:
        return {}
    escaped, name, value, called = found.groups()
    name = name.replace(b"''", b"'")
    names = QUALIFIED.fullmatch(name.replace(b"\\\\", b"\\") if escaped else name)
    if names is None:
        return {}
    handed_out = int(value) if called == b"true" else None
    return {_label(names.group(1), names.group(2), codec): handed_out}


def _large_object(text: CopyText, objects: ChunkSum) -> None:
    while (line := text.line()) is not None and line != LO_CLOSE:
        written = LO_WRITE.fullmatch(line)
        if written is not None:
            objects.add(bytes.fromhex(written.group(1).decode()))
    objects.end()


def _label(schema: bytes, name: bytes, codec: str) -> str:
    return label(_name(schema, codec), _name(name, codec))


def _name(identifier: bytes, codec: str) -> str:
    return unquoted(identifier.decode(codec, errors="replace"))
