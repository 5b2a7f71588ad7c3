"""The definitions of backups and databases as text, held against each other object by object."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.libpq import child_environment
from opsmigrate.pgtools.printing import PRINTING
from opsmigrate.pgtools.run import started

LOCK_TIMEOUT_MS = 5000
HEAD = re.compile(
    r"^--\n-- (?:Data for )?Name: (.*); Type: (.*); Schema: (.*); Owner: (.*)\n--$", re.M
)
# A name may hold the words between the parts: then nobody can tell which part says what.
PARTING = re.compile("; (?:Type|Schema|Owner): ")
# pg_restore writes them even where only the schema is asked for; a dump of the schema has none.
DATA = {"MATERIALIZED VIEW DATA", "SEQUENCE SET", "STATISTICS DATA", "BLOBS"}
# A random word in each file since the releases of August 2025, against tricks on psql.
RESTRICT = re.compile(r"^\\(un)?restrict .*$", re.M)
# The server writes an expression that was read back from its own words with other casts and
# brackets: (ARRAY['a'::varchar])::text[] becomes ARRAY[('a'::varchar)::text]. Every IN over a
# varchar column is one of these.
CAST = re.compile(
    r"""::(?:"(?:[^"]|"")+"|\w+)(?:\.(?:"(?:[^"]|"")+"|\w+))?(?:\ varying|\ precision)?
        (?:\(\d+(?:,\d+)?\))?(?:\ with(?:out)?\ time\ zone)?(?:\[\])*""",
    re.X,
)
BRACKETS = re.compile(r"[()\s]+")
# Their text is kept as it was written.
VERBATIM = {"ACL", "AGGREGATE", "COMMENT", "DEFAULT ACL", "FUNCTION", "PROCEDURE"}


def schema_differences(
    connection: BaseDatabaseWrapper,
    clients: Clients,
    backup: Path,
    *,
    owners: bool,
    printing: Mapping[str, str],
) -> tuple[str, ...]:
    """Return the objects whose definition in the database of `connection` is not the backup's.

    Each as `TYPE schema.name`; owners and rights are looked at where `owners` says so. `printing`
    are the settings that the backup was written with. Raises ClientError.
    """
    argv = [clients.program("pg_restore"), *_options(owners=owners), "--file=-"]
    with (
        _writing(connection, [*argv, str(backup.resolve())]) as restoring,
        _dumping(connection, clients, owners=owners, printing=printing) as dumping,
    ):
        texts = _read(restoring), _read(dumping)
    return _differing(*texts)


def database_differences(
    connection: BaseDatabaseWrapper,
    other: BaseDatabaseWrapper,
    clients: Clients,
    *,
    owners: bool,
    snapshot: str | None = None,
) -> tuple[str, ...]:
    """Return the objects that are defined otherwise in the database of `other`, likewise.

    With a `snapshot` that a session there has exported, no other server than that one is read.
    """
    there = [f"--snapshot={snapshot}"] if snapshot else []
    # The second runs while the first is read.
    with (
        _dumping(connection, clients, owners=owners, printing=PRINTING) as ours,
        _dumping(other, clients, owners=owners, printing=PRINTING, more=there) as theirs,
    ):
        texts = _read(ours), _read(theirs)
    return _differing(*texts)


def _options(*, owners: bool) -> list[str]:
    options = ["--schema-only", "--no-subscriptions"]
    return options if owners else [*options, "--no-owner", "--no-privileges"]


def _dumping(
    connection: BaseDatabaseWrapper,
    clients: Clients,
    *,
    owners: bool,
    printing: Mapping[str, str],
    more: Sequence[str] = (),
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    wait = f"--lock-wait-timeout={LOCK_TIMEOUT_MS}"
    argv = [clients.program("pg_dump"), *_options(owners=owners), "--no-password", wait, *more]
    return _writing(connection, argv, printing)


def _differing(wanted: str, found: str) -> tuple[str, ...]:
    ours, theirs = Counter(_objects(wanted)), Counter(_objects(found))
    return tuple(sorted({name for name, _ in (ours - theirs) + (theirs - ours)}))


@contextmanager
def _writing(
    connection: BaseDatabaseWrapper, argv: list[str], printing: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a program that writes definitions to its standard output; raises ClientError."""
    with child_environment(connection, settings=printing) as environment:
        if environment.role and "--no-password" in argv:
            argv.append(f"--role={environment.role}")
        with started(argv, environment, stdout=subprocess.PIPE) as process:
            yield process


def _read(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None  # noqa: S101 - _writing() asked for it
    return process.stdout.read().decode(errors="surrogateescape")


def _objects(text: str) -> Iterator[tuple[str, str]]:
    """Yield (what it is, its statements) for each; the order may differ from server to server."""
    parts = HEAD.split(RESTRICT.sub("", text))
    for name, kind, schema, owner, body in zip(
        parts[1::5], parts[2::5], parts[3::5], parts[4::5], parts[5::5], strict=True
    ):
        where = "" if schema == "-" else f"{schema}."
        if kind in DATA and not PARTING.search(" ".join((name, schema, owner))):
            continue
        # What follows the last object is no part of it.
        statements = body.replace("-- PostgreSQL database dump complete", "").strip(" -\n")
        yield (
            f"{kind} {where}{name}",
            statements if kind in VERBATIM else BRACKETS.sub("", CAST.sub("", statements)),
        )
