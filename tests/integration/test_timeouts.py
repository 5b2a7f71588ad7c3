"""Time-outs that would cut the migration off are told, with where they were set."""

from collections.abc import Callable

import pytest
from django.db import connections

from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.live import timeouts
from opsmigrate.preflight.live.timeouts import Expected, Limit, require_time
from opsmigrate.report import Severity
from tests.aliases import alias_of
from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import rehearse
from tests.remedies import Typist

UNDECIDED, TRIES = 3, 5
INDEX = 'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),'
NAP = 'migrations.RunSQL("SELECT pg_sleep(0.4)"),'


def prepared(alias: str, write: Write, pending: str, setting: str) -> None:
    write(CAGE)
    assert migrate(alias, "zoo") is None
    execute(connections[alias], ROW)
    name = connections[alias].settings_dict["NAME"].replace('"', '""')
    execute(connections[alias], f'ALTER DATABASE "{name}" SET {setting}')
    connections[alias].close()
    write(CAGE, pending)


@pytest.mark.parametrize(("limit", "cuts"), [("150ms", True), ("1min", False)])
def test_what_takes_too_long_on_the_copy_is_no_yes(
    limit: str, cuts: bool, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    prepared(empty_database, write_migrations, NAP, f"statement_timeout = '{limit}'")

    answer = rehearse(ops, empty_database)
    failure = migrate(empty_database, "zoo")

    assert (failure is not None) == cuts
    # Nor a certain no: the copy may be slower.
    assert (answer.code, answer.ids) == ((3, ["timeout-too-short"]) if cuts else (0, []))


@pytest.mark.parametrize(
    ("seconds", "measured", "severity"),
    [
        (5.4, True, Severity.ERROR),
        (0.4, True, Severity.WARNING),
        (0.1, True, Severity.WARNING),
        (5.4, False, Severity.WARNING),
        (0.05, True, None),
    ],
)
@pytest.mark.parametrize("name", ["statement_timeout", "transaction_timeout"])
def test_only_what_is_sure_is_an_error(
    name: str, seconds: float, measured: bool, severity: Severity | None
) -> None:
    limit = Limit(name, 0.15, "for the database")
    item = Expected(
        migration="a.0001", operation="0: RunSQL", table=None, seconds=seconds, measured=measured
    )
    ledger = Ledger()

    require_time({name: limit}, [item], ledger)

    assert [finding.severity for finding in ledger.findings] == ([severity] if severity else [])
    assert bool(ledger.undecided) == (seconds == 0.4)
    if severity:
        [finding] = ledger.findings
        assert finding.id == "timeout-too-short"
        assert f"{name} is 0.15 s, set for the database" in finding.message
        assert finding.evidence["expected_seconds"] == seconds
        assert [step.text for step in finding.steps] == [
            f"PGOPTIONS='-c {name}=0' python manage.py migrate"
        ]


def test_without_a_rehearsal_the_size_of_the_table_warns(
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    monkeypatch: pytest.MonkeyPatch,
    typist: Typist,
) -> None:
    prepared(empty_database, write_migrations, INDEX, "statement_timeout = '10s'")
    rows = "INSERT INTO zoo_cage (code, name) SELECT gen_random_uuid(), 'a' FROM "
    execute(connections[empty_database], f"{rows} generate_series(1, 10000)")
    execute(connections[empty_database], "ANALYZE zoo_cage")

    small = ops("preflight_migrate", "zoo", database=empty_database)
    # As on a server that is so slow.
    monkeypatch.setattr(timeouts, "SLOWER", 1e6)
    large = ops("preflight_migrate", "zoo", database=empty_database)

    assert (small.code, small.ids) == (0, [])
    assert small.report["facts"]["server"]["timeouts_seconds"] == {"statement_timeout": 10.0}
    assert (large.code, large.ids) == (0, ["timeout-too-short"])
    finding = large.report["findings"][0]
    assert (finding["severity"], finding["table"]) == ("warning", "public.zoo_cage")
    assert "judging by the sizes of the tables" in finding["message"]
    assert typist.type(empty_database, finding) == []
    assert ops("preflight_migrate", "zoo", database=empty_database).ids == []


def test_a_time_out_of_a_few_milliseconds_does_not_stop_our_own_questions(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    other = new_database()
    prepared(other, write_migrations, INDEX, "work_mem = '8MB'")
    short = {**connections[other].settings_dict, "OPTIONS": {"options": "-c statement_timeout=1ms"}}

    with alias_of("short", **short) as alias:
        for _ in range(TRIES):
            answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
            # On a busy machine the statement that lifts the time-out may take longer than it.
            if answer.code != UNDECIDED:
                break
        with connections[alias].cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("1ms",)

    assert (answer.code, answer.report["facts"]["server"]["timeouts_seconds"]) == (
        0,
        {"statement_timeout": 0.001},
    )


def test_a_time_out_of_idle_transactions_is_told_where_code_runs(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = new_database(OPTIONS={"options": "-c idle_in_transaction_session_timeout=90s"})
    prepared(alias, write_migrations, NAP, "work_mem = '8MB'")
    answer = ops("preflight_migrate", "zoo", database=alias)
    write_migrations(CAGE, INDEX)

    assert (answer.code, answer.ids[:1]) == (3, ["timeout-too-short"])
    assert answer.report["findings"][0]["severity"] == "info"
    assert "by the client (OPTIONS, PGOPTIONS)" in answer.report["findings"][0]["message"]
    assert ops("preflight_migrate", "zoo", database=alias).ids == []
