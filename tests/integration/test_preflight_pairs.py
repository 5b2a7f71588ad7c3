"""The verdict equals what `migrate` then does, on both databases of every pair."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.data_pairs import DATA_PAIRS
from tests.integration.hidden_pairs import HIDDEN_PAIRS
from tests.integration.pairs import PAIRS, Pair
from tests.integration.zoo_migrations import Write, migrate

EVERY_PAIR = pytest.mark.parametrize(
    "pair", [*PAIRS, *DATA_PAIRS, *HIDDEN_PAIRS], ids=lambda pair: pair.name.replace(" ", "-")
)
HARMLESS = 'migrations.CreateModel("Nest", [("id", models.BigAutoField(primary_key=True))]),'


@pytest.mark.major
@EVERY_PAIR
def test_the_verdict_equals_what_migrate_then_does(
    pair: Pair, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    try_both(pair, new_database, write_migrations, ops)


@EVERY_PAIR
def test_the_verdict_of_a_chain_names_the_migration_that_fails(
    pair: Pair, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    try_both(pair, new_database, write_migrations, ops, HARMLESS)


@pytest.mark.long
@EVERY_PAIR
def test_a_rehearsal_does_not_change_the_verdict(
    pair: Pair, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    try_both(pair, new_database, write_migrations, ops, rehearse="clone")


def try_both(
    pair: Pair,
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
    *before: str,
    rehearse: str = "off",
) -> None:
    """Ask on the good and on the bad database of a pair, and compare with the real migrate."""
    for drift in ((), pair.drift):
        bad = bool(drift) or not pair.drift
        alias = new_database("pair ")
        write_migrations(pair.first)
        assert migrate(alias, "zoo") is None
        for statement in (*pair.setup, *drift):
            execute(connections[alias], statement)
        write_migrations(
            pair.first,
            *before,
            pair.pending,
            atomic=pair.atomic if pair.drift else True,
            extension="plpgsql" if pair.drift else "no_such_extension",
        )

        answer = ops("preflight_migrate", "zoo", database=alias, rehearse=rehearse)
        failure = migrate(alias, "zoo")

        assert answer.report["unexamined"] == []
        assert answer.code == (1 if bad else 0), answer.stdout
        assert (failure is not None) == bad, failure
        if bad:
            finding = answer.report["findings"][0]
            assert finding["id"] == pair.finding
            assert (finding["table"], finding["column"]) == (pair.table, pair.column)
            assert finding["migration"] == f"zoo.000{2 + len(before)}_step"
            assert finding["operation"] is not None
            assert finding["hint"]
