"""Hand-written SQL is decided without a rehearsal, as `migrate` then decides it."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.sql_pairs import FIRST, SQL_PAIRS, SqlPair
from tests.integration.zoo_migrations import Write, migrate


@pytest.mark.parametrize("bad", [False, True], ids=["good", "bad"])
@pytest.mark.parametrize("pair", SQL_PAIRS, ids=lambda pair: pair.name.replace(" ", "-"))
def test_the_verdict_equals_what_migrate_then_does(
    pair: SqlPair,
    bad: bool,
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
) -> None:
    alias = new_database("sql ")
    write_migrations(FIRST)
    assert migrate(alias, "zoo") is None
    for statement in filter(None, (pair.setup, pair.drift if bad else "")):
        execute(connections[alias], statement)
    write_migrations(FIRST, pair.pending)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
    failure = migrate(alias, "zoo")

    assert answer.report["undecided"] == []
    assert answer.code == (1 if bad else 0), answer.stdout
    assert (failure is not None) == bad, failure
    if bad:
        finding = answer.report["findings"][0]
        assert finding["id"] == pair.finding, answer.stdout
        assert finding["operation"] is not None
