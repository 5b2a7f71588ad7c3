"""What an archive says that it holds, read from its own text; nothing of it is run."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.libpq import child_environment
from opsmigrate.pgtools.run import started

# As pg_restore heads each entry; a body that looks like one only adds to what is found.
HEAD = re.compile(r"^-- (?:Data for )?Name: (.*); Type: (.*); Schema: (.*); Owner: (.*)$", re.M)
MARKS = ("; Type: ", "; Schema: ", "; Owner: ")
TABLESPACE = re.compile(r"^SET default_tablespace = (?!'')(.+);$", re.M)
FORCED = re.compile(r"^ALTER TABLE .* FORCE ROW LEVEL SECURITY;$", re.M)


@dataclass(frozen=True, kw_only=True)
class ArchiveEntry:
    """An object of the archive: TABLE, FUNCTION …; `owner` as the archive says, `-` for none.

    `clear` is false where a name in it has the words that stand between the parts: then nothing
    but the whole line can be relied on, which is the name.
    """

    kind: str
    name: str
    owner: str
    clear: bool = True


def read_entries(
    connection: BaseDatabaseWrapper, clients: Clients, backup: Path
) -> tuple[ArchiveEntry, ...]:
    """Return what is in the archive, but for the rows; raise ClientError where it is unreadable."""
    # Without tablespaces nothing follows the owner on its line.
    text = _text(connection, clients, backup, "--no-tablespaces")
    return tuple(map(_entry, HEAD.finditer(text)))


def read_tablespaces(
    connection: BaseDatabaseWrapper, clients: Clients, backup: Path
) -> tuple[str, ...]:
    """Return the tablespaces that the archive's tables and indexes want; may raise ClientError."""
    return tuple(sorted(set(TABLESPACE.findall(_text(connection, clients, backup)))))


def forces_row_security(connection: BaseDatabaseWrapper, clients: Clients, backup: Path) -> bool:
    """Return whether a table of the archive hides rows from its owner; may raise ClientError."""
    return FORCED.search(_text(connection, clients, backup)) is not None


def _entry(match: re.Match[str]) -> ArchiveEntry:
    if any(match[0].count(mark) != 1 for mark in MARKS):
        return ArchiveEntry(kind="?", name=match[0][3:], owner="?", clear=False)
    name, kind, schema, owner = match.groups()
    where = "" if schema == "-" else f"{schema}."
    return ArchiveEntry(kind=kind, name=f"{where}{name}", owner=owner)


def _text(connection: BaseDatabaseWrapper, clients: Clients, backup: Path, *options: str) -> str:
    argv = [clients.program("pg_restore"), "--schema-only", "--file=-", *options]
    with (
        child_environment(connection) as environment,
        started([*argv, str(backup.resolve())], environment, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - asked for just above
        return process.stdout.read().decode(errors="replace")
