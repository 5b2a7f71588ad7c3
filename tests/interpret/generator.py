"""Make statements at random, interpret and execute each, and print how the server differs.

By hand: `python -m tests.interpret.generator URL --statements 2000 --seed 1 --rights --forms`,
against a server of any major, as superuser: databases are made on it, and go at the end. How far it
has come is told on standard error.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from secrets import token_hex
from typing import Any
from urllib.parse import unquote, urlsplit

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.statement import NotParsedError, Statement
from tests.interpret.bisimulation import Comparison, Difference, judged
from tests.interpret.equivalence import Equivalence
from tests.interpret.forms import FORMS, Draw
from tests.interpret.ground import ASSUMED, MAKE_ROLES, ROLES, SEARCH_PATH
from tests.interpret.recording import Executed, Recording, load, save
from tests.interpret.rights_taken import MAKE_ROLE, ROLE, rights_differences
from tests.interpret.watch import Watch

# After so many statements too little is left of what they began with.
ROUND = 150


@dataclass
class Found:
    """What came of the statements: counts, and the differences by kind and form."""

    statements: int = 0
    done: int = 0
    # So many were claimed, and differ.
    wrong: int = 0
    seconds: float = 0.0
    major: str = ""
    forms: Counter[str] = field(default_factory=Counter)
    unknown_forms: Counter[str] = field(default_factory=Counter)
    wrong_forms: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    differences: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    # Those that were not told yet.
    latest: list[str] = field(default_factory=list)

    def add(self, form: str, comparison: Comparison) -> None:
        """Count a statement."""
        self.statements += 1
        self.done += comparison.sqlstate is None
        self.wrong += bool(comparison.differences)
        self.forms[form] += 1
        self.wrong_forms[form] += bool(comparison.differences)
        self.unknown_forms[form] += comparison.unknown is not None
        if comparison.unknown is not None:
            self.unknown[f"{form}: {comparison.unknown.why}"] += 1
        for each, line in zip(comparison.differences, comparison.lines(), strict=True):
            self.differences.setdefault((each.kind, form), []).append(line)
            self.latest.append(f"{line}\n")

    def lines(self, most: int = 3) -> Iterator[str]:
        """Yield the figures, and some of each kind of difference, the most frequent first."""
        unknown, every = self.unknown.total(), max(self.statements, 1)
        yield (
            f"{self.major}{self.statements} statements of {len(self.forms)} forms in"
            f" {self.seconds:.0f} s ({self.statements / max(self.seconds, 0.1):.0f}/s),"
            f" {self.done / every:.0%} done,"
            f" {unknown / every:.1%} unknown, {self.wrong} differ"
        )
        for (kind, form), lines in sorted(self.differences.items(), key=lambda e: -len(e[1])):
            yield f"{len(lines)} x {kind} in {form}"
            yield from (f"  {line}" for line in lines[:most])
        for why, number in self.unknown.most_common(30):
            yield f"unknown {number} x {why}"

    def by_form(self) -> Iterator[str]:
        """Yield a line for each form: how many there were, unknown and wrong."""
        width = max(map(len, self.forms), default=0)
        yield f"{'form':{width}} statements unknown wrong"
        for form, number in sorted(self.forms.items()):
            unknown, wrong = self.unknown_forms[form], self.wrong_forms[form]
            yield f"{form:{width}} {number:10} {unknown:7} {wrong:5}"


def chosen(random: Random, schema: Schema) -> tuple[str, Statement]:
    """Return the name of a form, and the statement that it made on the schema."""
    while True:
        [name] = random.choices(list(FORMS), [weight for weight, _ in FORMS.values()])
        text = FORMS[name][1](Draw(schema, random))
        if text is not None:
            return name, _parsed(text)


def _parsed(text: str) -> Statement:
    try:
        [statement] = parse(text)
    except NotParsedError as error:
        raise ValueError(f"{error}: {text}") from error
    return statement


def run(
    connection: BaseDatabaseWrapper, *, seed: int, number: int, rights: bool = False
) -> tuple[Found, list[Recording]]:
    """Compare `number` statements, each round of them on a database of its own.

    With `rights`, each is also tried as a role from which they are taken away one by one.
    """
    found, recordings = Found(), []
    began = time.monotonic()
    for part in range(0, number, ROUND):
        random = Random(f"{seed} {part}")  # noqa: S311
        try:
            with on_ground(connection):
                size = min(ROUND, number - part)
                recordings.append(_round(connection, random, size, found, rights))
        except KeyboardInterrupt:
            # What was found until then is told.
            break
        found.seconds = time.monotonic() - began
        print(f"{found.statements} of {number}, {found.wrong} differ", file=sys.stderr)
        print(*found.latest, sep="", end="", file=sys.stderr, flush=True)
        found.latest.clear()
    found.major = f"PostgreSQL {recordings[0].start.version // 10_000}, seed {seed}: "
    return found, recordings


def _round(
    connection: BaseDatabaseWrapper, random: Random, number: int, found: Found, rights: bool
) -> Recording:
    same = Equivalence(connection)
    if rights:
        with connection.cursor() as cursor:
            cursor.execute(MAKE_ROLE)
    ours = read_schema(connection)
    recording = Recording(ours, same=same.known)
    watch = Watch(connection)
    for _ in range(number):
        # What is drawn depends on the server alone: a seed makes the same statements always.
        form, statement = chosen(random, recording.last)
        taken: tuple[Difference, ...] = ()
        needed = None
        if rights:
            effects = interpret(replace(ours, role=ROLE, superuser=False), statement)[1]
            taken = tuple(rights_differences(statement, effects, connection))
            needed = None if taken else frozenset(effects.rights)
        happened, server = watch.executed(statement)
        if rights and server is not None:
            _let_in(connection, server.schemas.keys() - recording.last.schemas.keys())
        recording.add(Executed(form, statement.text, happened, server, needed))
        try:
            comparison = judged(ours, statement, happened, server, same)
        except Exception as error:
            raise RuntimeError(f"in {form}: {statement.text}") from error
        found.add(form, replace(comparison, differences=(*comparison.differences, *taken)))
        ours = comparison.after
    return recording


def _let_in(connection: BaseDatabaseWrapper, schemas: Iterable[str]) -> None:
    """Let the role find what is in new schemas: that it may is no right that is counted."""
    with connection.cursor() as cursor:
        for each in schemas:
            cursor.execute(f"GRANT USAGE ON SCHEMA {quoted(each)} TO {ROLE}")


def again(recordings: Sequence[Recording]) -> Found:
    """Return what comes of statements that were executed before."""
    found = Found()
    began = time.monotonic()
    for recording in recordings:
        compared = zip(recording.executed, recording.judged(), strict=True)
        for each, (before, comparison) in compared:
            taken = tuple(_others(each, before, comparison.statement))
            found.add(each.form, replace(comparison, differences=(*comparison.differences, *taken)))
    found.seconds = time.monotonic() - began
    return found


def _others(each: Executed, before: Schema, statement: Statement) -> Iterator[Difference]:
    """Yield that other rights are said to be needed than the server was seen to ask for."""
    effects = interpret(replace(before, role=ROLE, superuser=False), statement)[1]
    told = effects.unknown is None and effects.refusal is None
    if told and each.rights is not None and frozenset(effects.rights) != each.rights:
        yield Difference("rights", "others than were tried")


@contextmanager
def on_ground(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Lead the connection to a database of its own with the objects of ground.py."""
    with closing(connection.copy()) as maintenance, maintenance.cursor() as cursor:
        cursor.execute(MAKE_ROLES)
        template = _template(connection, cursor)
    with own_database(connection, f"TEMPLATE {template}", SEARCH_PATH):
        yield


@contextmanager
def own_database(
    connection: BaseDatabaseWrapper, options: str = "", search_path: str = "public"
) -> Iterator[None]:
    """Lead the connection to a new database, which goes at the end."""
    name = f"interpret_{token_hex(4)}"
    maintenance = connection.copy()
    former = connection.settings_dict["NAME"]
    with maintenance.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} {options}")
        cursor.execute(f"ALTER DATABASE {name} SET search_path = {search_path}")
        connection.close()
        connection.settings_dict["NAME"] = name
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict["NAME"] = former
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    maintenance.close()


_made: dict[Any, str] = {}


def _template(connection: BaseDatabaseWrapper, cursor: Any) -> str:
    """Return the database that all others are copies of, made where it is not there."""
    key = connection.settings_dict["PORT"], connection.settings_dict["HOST"]
    if key not in _made:
        name = f"interpret_ground_{token_hex(4)}"
        cursor.execute(f"CREATE DATABASE {name}")
        copy = connection.copy()
        copy.settings_dict["NAME"] = name
        with copy.cursor() as making:
            making.execute(ASSUMED)
        copy.close()
        _made[key] = name
    return _made[key]


def no_ground(connection: BaseDatabaseWrapper) -> None:
    """Drop the database that others were copies of, and the roles where nothing else has them."""
    with connection.cursor() as cursor:
        for name in _made.values():
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        for role in (*ROLES, ROLE):
            # Another run beside this one may have objects of theirs.
            with suppress(DatabaseError):
                cursor.execute(f"DROP ROLE IF EXISTS {role}")
    _made.clear()


def connected(url: str) -> BaseDatabaseWrapper:
    """Return a connection of Django's to a server, outside of any project."""
    import django
    from django.conf import settings

    parts = urlsplit(url)
    database: Mapping[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.strip("/") or "postgres",
        "USER": parts.username,
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname,
        "PORT": parts.port,
    }
    settings.configure(DATABASES={"default": database}, INSTALLED_APPS=["opsmigrate"], USE_TZ=True)
    django.setup()
    from django.db import connection

    return connection.copy()


def main() -> None:
    """Run so many statements and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", help="of a superuser of a server")
    parser.add_argument("--statements", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=int, default=3, help="so many of each difference")
    parser.add_argument("--rights", action="store_true", help="take them away one by one too")
    parser.add_argument("--forms", action="store_true", help="count by forms of statements too")
    parser.add_argument("--keep", type=Path, help="write what the server did to this file")
    parser.add_argument("--given", type=Path, help="compare with what --keep has written")
    options = parser.parse_args()
    if options.given:
        _show(again(load(options.given)), options)
        return
    connection = connected(options.url)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found, recordings = run(
            connection, seed=options.seed, number=options.statements, rights=options.rights
        )
    finally:
        no_ground(connection)
    if options.keep:
        save(recordings, options.keep)
    _show(found, options)


def _show(found: Found, options: argparse.Namespace) -> None:
    print(*found.lines(options.lines), sep="\n")
    if options.forms:
        print(*found.by_form(), sep="\n")


if __name__ == "__main__":
    main()
