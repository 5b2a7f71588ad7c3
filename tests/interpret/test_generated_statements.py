"""Random statements: what is claimed of them is what the server does; and the test would notice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.sql.grammar import parse
from tests.interpret import mutants
from tests.interpret.changed_rules import all_mutants
from tests.interpret.forms import FORMS
from tests.interpret.generator import Found, no_ground, on_ground, run
from tests.interpret.rights_taken import MAKE_ROLE, ROLE, rights_differences
from tests.interpret.undone import differences

ONCE_WRONG = Path(__file__).with_name("statements_once_wrong.sql")
FEWEST_FORMS = 60
# Of the statements, so many may be not understood; of a few, by chance, more. It may only fall.
UNKNOWN, OF_FEW = 0.10, 0.15
ENOUGH = 1_000
# Of the mutants that some of so few statements reaches, so many are noticed. It may only rise.
NOTICED = 0.40


@pytest.fixture
def server(empty_database: str) -> Iterator[BaseDatabaseWrapper]:
    """Yield a connection to lead to one database after the other."""
    connection = connections[empty_database].copy()
    try:
        yield connection
    finally:
        no_ground(connection)
        connection.close()


def hold(found: Found) -> None:
    """Fail for what differs, and where too little is understood or done."""
    print(*found.lines(), sep="\n")
    assert found.differences == {}, "\n".join(found.lines())
    most = UNKNOWN if found.statements >= ENOUGH else OF_FEW
    assert found.unknown.total() / found.statements <= most
    assert 0.4 < found.done / found.statements < 0.7


@pytest.mark.long
@pytest.mark.major
def test_random_statements_do_what_was_said(server: BaseDatabaseWrapper) -> None:
    found, recordings = run(server, seed=1, number=120)
    hold(found)

    every, same = mutants.cases(recordings), mutants.equivalent()
    chosen = [each for each in all_mutants() if (each.module, each.what) not in same]
    Random(1).shuffle(chosen)  # noqa: S311
    tried = [by for _, by in islice(mutants.survivors(every, chosen, only_reached=True), 400)]
    noticed = sum(by is not None for by in tried) / len(tried)
    print(f"{noticed:.0%} of {len(tried)} mutants are noticed")
    assert noticed > NOTICED


@pytest.mark.long
@pytest.mark.major
def test_rights_taken_away_one_by_one(server: BaseDatabaseWrapper) -> None:
    found, _ = run(server, seed=2, number=120, rights=True)

    hold(found)


@pytest.mark.long
@pytest.mark.major
def test_statements_that_were_once_wrong_are_right(empty_database: str) -> None:
    """What the generator found, a line each, with the rights that a role needs for it."""
    lines = []
    server = connections[empty_database]
    with on_ground(server):
        with server.cursor() as cursor:
            cursor.execute(MAKE_ROLE)
        before = read_schema(server)
        by_role = replace(before, role=ROLE, superuser=False)
        for text in ONCE_WRONG.read_text().splitlines():
            lines += differences(before, text, server)
            statement, *others = parse(text)
            if not others:
                effects = interpret(by_role, statement)[1]
                found = rights_differences(statement, effects, server)
                lines += [f"{each.text} [{text}]" for each in found]
    assert not lines, "\n".join(lines)


@pytest.mark.long
def test_there_are_forms_enough() -> None:
    assert len(FORMS) >= FEWEST_FORMS
    assert all(weight > 0 for weight, _ in FORMS.values())


@pytest.mark.long
def test_many_random_statements_do_what_was_said(server: BaseDatabaseWrapper) -> None:
    found, _ = run(server, seed=100, number=20_000)

    hold(found)
    assert len(found.forms) >= FEWEST_FORMS
