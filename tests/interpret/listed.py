"""Execute the statements of the lists, each line on fresh objects, and keep what happened.

What is kept is what the mutants are held against: a few statements for each rule, of which the
server was asked with all rights, and with each right taken away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.preflight.interpret.rights import needs_of
from opsmigrate.sql.grammar import parse
from tests.interpret.bisimulation import TRANSACTION, executed, is_within, judged
from tests.interpret.equivalence import Equivalence
from tests.interpret.generator import own_database
from tests.interpret.ground import ASSUMED, MAKE_ROLES, SEARCH_PATH
from tests.interpret.objects import OBJECTS
from tests.interpret.recording import Executed, Recording
from tests.interpret.rights_taken import MAKE_ROLE, rights_differences
from tests.interpret.test_tables import SETUP, UNKNOWN
from tests.interpret.told import CODE, indispensable, least_reach, reach_of

HERE = Path(__file__).parent
SCHEMA = "CREATE SCHEMA other;"
# A file of a list that is no folder.
ONCE_WRONG = "statements_once_wrong"
# The folder of the lists, or the file -> what each line begins with.
GROUNDS = {
    "rules": SCHEMA + (HERE / "rules" / "setup.sql").read_text(),
    "tables": SCHEMA + SETUP,
    "statements": OBJECTS,
    "rights": SCHEMA + (HERE / "rights" / "setup.sql").read_text(),
    ONCE_WRONG: MAKE_ROLES + ASSUMED,
}
PATHS = {ONCE_WRONG: SEARCH_PATH}
# What a line has in the place of the database's name.
DATABASE = "{database}"


class Line(NamedTuple):
    """Statements that are done one after the other, and the folder and file that has them."""

    ground: str
    file: str
    text: str
    # Whether the interpreter does not claim to understand all of it.
    unknown: bool = False


def lines() -> list[Line]:
    """Return every line of all lists."""
    return [
        Line(ground, path.stem, text.removesuffix(UNKNOWN).strip(), text.endswith(UNKNOWN))
        for ground in GROUNDS
        for path in _files(ground)
        for text in path.read_text().splitlines()
        if text and not text.startswith("--")
    ]


def named_in(connection: BaseDatabaseWrapper, text: str) -> str:
    """Return a line with the name of the connection's database, quoted, where it asks for it."""
    return text.replace(DATABASE, quoted(connection.settings_dict["NAME"]))


def _files(ground: str) -> list[Path]:
    if ground == ONCE_WRONG:
        return [HERE / f"{ground}.sql"]
    return [path for path in sorted((HERE / ground).glob("*.sql")) if path.stem != "setup"]


def recorded(
    connection: BaseDatabaseWrapper, wanted: list[Line]
) -> Iterator[tuple[Line, Recording]]:
    """Execute the lines, those on the same objects together, and yield what the server did."""
    for ground, text in GROUNDS.items():
        ours = [each for each in wanted if each.ground == ground]
        if not ours:
            continue
        with _template(connection, text) as template:
            yield from _on(connection, template, ours, PATHS.get(ground, "public"))


@contextmanager
def _template(connection: BaseDatabaseWrapper, text: str) -> Iterator[str]:
    name = f"interpret_listed_{token_hex(4)}"
    with closing(connection.copy()) as maintenance, maintenance.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        copy = connection.copy()
        copy.settings_dict["NAME"] = name
        with copy.cursor() as making:
            making.execute(text)
            making.execute(MAKE_ROLE)
        copy.close()
        try:
            yield name
        finally:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _on(
    connection: BaseDatabaseWrapper, template: str, waiting: list[Line], search_path: str
) -> Iterator[tuple[Line, Recording]]:
    start = None
    while waiting:
        with own_database(connection, f"TEMPLATE {template}", search_path):
            start = start or read_schema(connection)
            same = Equivalence(connection)
            changed = False
            while waiting and not changed:
                line = waiting.pop(0)
                recording = Recording(start, same=same.known)
                changed = _execute(connection, line.text, recording, same)
                yield line, recording


def _execute(
    connection: BaseDatabaseWrapper, text: str, recording: Recording, same: Equivalence
) -> bool:
    """Execute a line; return whether the database is no longer as it was."""
    ours = told = recording.start
    changed = False
    for statement in parse(named_in(connection, text)):
        effects = interpret(ours, statement)[1]
        [(told, needs)] = needs_of(told, statement.text)
        # What code needs that it runs, nothing says.
        within = statement.kind == TRANSACTION or is_within(connection)
        asked = not effects.runs_code and not within
        taken = list(rights_differences(statement, effects, connection)) if asked else []
        doubted = needs.doubts and not within and (asked or statement.kind in CODE)
        reach = least_reach(statement, needs, ours, connection) if doubted else None
        kept = indispensable(statement, needs, ours, connection) if doubted else frozenset()
        happened, server = executed(statement, connection)
        if happened.sqlstate is None and reach is not None and reach > reach_of(needs):
            recording.rights_wrong.append(f"more is needed than is told [{statement.text}]")
        changed = changed or server is not None
        needed = None if taken else frozenset(effects.rights)
        recording.rights_wrong += [f"{each.text} [{statement.text}]" for each in taken]
        recording.add(
            Executed(
                form=statement.kind,
                text=statement.text,
                happened=happened,
                server=server,
                rights=needed,
                reach=reach,
                indispensable=kept if happened.sqlstate is None else frozenset(),
            )
        )
        ours = judged(ours, statement, happened, server, same).after
    if is_within(connection):
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
    return changed
