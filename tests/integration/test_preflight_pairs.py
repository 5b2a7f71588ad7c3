"""The verdict equals what `migrate` then does, on both databases of every pair."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.data_pairs import DATA_PAIRS
from tests.integration.hidden_pairs import HIDDEN_PAIRS
from tests.integration.pairs import PAIRS, Pair
from tests.integration.zoo_migrations import Write, migrate

pytestmark = pytest.mark.major


@pytest.mark.parametrize(
    "pair", [*PAIRS, *DATA_PAIRS, *HIDDEN_PAIRS], ids=lambda pair: pair.name.replace(" ", "-")
)
def test_the_verdict_equals_what_migrate_then_does(
    pair: Pair, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    for drift in ((), pair.drift):
        bad = bool(drift) or not pair.drift
        alias = new_database("pair ")
        write_migrations(pair.first)
        assert migrate(alias, "zoo") is None
        for statement in (*pair.setup, *drift):
            execute(connections[alias], statement)
        write_migrations(
            pair.first,
            pair.pending,
            atomic=pair.atomic if pair.drift else True,
            extension="plpgsql" if pair.drift else "no_such_extension",
        )

        answer = ops("preflight_migrate", "zoo", database=alias)
        failure = migrate(alias, "zoo")

        assert answer.report["unexamined"] == []
        assert answer.code == (1 if bad else 0), answer.stdout
        assert (failure is not None) == bad, failure
        if bad:
            finding = answer.report["findings"][0]
            assert finding["id"] == pair.finding
            assert (finding["table"], finding["column"]) == (pair.table, pair.column)
            assert finding["migration"] == "zoo.0002_step"
            assert finding["operation"] is not None
            assert finding["hint"]
