"""Where a rehearsal takes place, and how much of the database it gets."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.db import connections

from opsmigrate.conf import REHEARSALS
from opsmigrate.management import rehearsing
from opsmigrate.pgtools.embedded import find_bindirs, running
from tests.aliases import elsewhere
from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import (
    DOUBLE,
    SCRATCH,
    owner_of_zoo,
    prepared,
    reasons,
    rehearse,
    rehearse_project,
)
from tests.tiers import one_in_core

# Understood without running it.
EXPLAINED = 'migrations.AddField("cage", "wide", models.IntegerField(null=True)),'


@pytest.fixture
def own_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the folder in which this process makes its temporary files."""
    with TemporaryDirectory() as folder:
        # The server may run as another user.
        Path(folder).chmod(0o755)
        monkeypatch.setattr("tempfile.tempdir", folder)
        yield Path(folder)


@pytest.fixture
def without_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no package with a server."""
    monkeypatch.setattr(rehearsing, "why_not_embedded", lambda *args: "it is not installed")


@pytest.mark.usefixtures("without_embedded")
def test_in_production_a_copy_needs_approval_and_is_never_made_unasked(
    empty_database: str, write_migrations: Write, ops: Ops, settings: Any
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    settings.OPSMIGRATE = {"ENVIRONMENT": "production", "REHEARSE": "auto"}

    unasked = ops("preflight_migrate", "zoo", database=alias)
    refused = rehearse(ops, alias)
    approved = rehearse(ops, alias, approval="CAB-7, Grace")

    assert (unasked.code, unasked.report["facts"]["rehearsal"]) == (3, None)
    [finding] = unasked.report["findings"]
    assert (finding["id"], finding["severity"]) == ("not-rehearsed", "info")
    assert "without --approval" in finding["message"]
    assert (refused.code, refused.ids) == (4, ["approval-needed"])
    assert approved.code == 0


def test_in_production_an_unasked_copy_goes_to_a_server_of_our_own(
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    settings: Any,
    own_temporary_folder: Path,
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    settings.OPSMIGRATE = {"ENVIRONMENT": "production", "REHEARSE": "auto"}
    before = query(alias, "SELECT max(oid::bigint) FROM pg_database")

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert (answer.code, answer.ids, reasons(answer)) == (0, [], [])
    assert answer.report["facts"]["rehearsal"]["applied"] is True
    assert query(alias, "SELECT max(oid::bigint) FROM pg_database") == before
    assert list(own_temporary_folder.iterdir()) == []


def test_a_role_that_may_not_make_databases_rehearses_on_a_server_of_our_own(
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    settings: Any,
    own_temporary_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    settings.OPSMIGRATE = {"ENVIRONMENT": "test"}
    with owner_of_zoo(alias, role()) as owner:
        there = rehearse(ops, owner)
        monkeypatch.setattr(rehearsing, "why_not_embedded", lambda *args: "it is not installed")
        nowhere = rehearse(ops, owner)

    assert (there.code, there.ids, reasons(there)) == (0, [], [])
    assert (nowhere.code, nowhere.ids) == (3, ["cannot-create-database"])
    assert list(own_temporary_folder.iterdir()) == []


@pytest.mark.parametrize("size", [0, 1], ids=["applies", "fails"])
def test_the_copy_is_made_on_the_server_of_another_alias(
    size: int, empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE, f"UPDATE zoo_cage SET size = {size}")
    major = connections[alias].pg_version // 10_000
    before = query(alias, "SELECT max(oid::bigint) FROM pg_database")
    with (
        running(tmp_path / "other", major=major, durable=False) as server,
        elsewhere(alias, server.url) as other_server,
    ):
        answer = rehearse(ops, alias, rehearse_on=other_server)
        left = query(other_server, SCRATCH)

    assert answer.code == (0 if size else 1), answer.stdout
    assert left == []
    assert query(alias, "SELECT max(oid::bigint) FROM pg_database") == before


def test_another_version_of_the_server_proves_nothing(
    empty_database: str, write_migrations: Write, ops: Ops, tmp_path: Path
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    ours = connections[alias].pg_version // 10_000
    [other] = sorted(set(find_bindirs()) - {ours})[:1]
    with (
        running(tmp_path / "other", major=other, durable=False) as server,
        elsewhere(alias, server.url) as other_server,
    ):
        answer = rehearse(ops, alias, rehearse_on=other_server)

    assert (answer.code, answer.ids) == (3, ["server-version-differs"])


@pytest.mark.parametrize("alias_typed", ["nowhere", "embedded"])
def test_an_alias_to_rehearse_on_that_is_not_there_is_named_in_every_mode(
    alias_typed: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, EXPLAINED)

    for mode in REHEARSALS:
        answer = rehearse(ops, alias, rehearse=mode, rehearse_on=alias_typed)

        assert (answer.code, answer.ids) == (2, ["unknown-alias"]), mode
        (finding,) = answer.report["findings"]
        assert finding["message"] == f"there is no database alias {alias_typed!r} in DATABASES"
        assert finding["hint"].startswith("name an existing one with --rehearse-on: default, ")
        assert alias in finding["hint"]


def test_an_alias_of_the_settings_that_is_not_there_is_named_in_every_mode(
    empty_database: str, write_migrations: Write, ops: Ops, settings: Any
) -> None:
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", "REHEARSE_ON": "nowhere"}
    alias = prepared(empty_database, write_migrations, EXPLAINED)

    for mode in REHEARSALS:
        answer = rehearse(ops, alias, rehearse=mode)

        assert (answer.code, answer.ids) == (2, ["unknown-alias"]), mode
        assert 'with OPSMIGRATE["REHEARSE_ON"]: ' in answer.report["findings"][0]["hint"]


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_why_it_could_not_rehearse_is_said_where_the_explanation_suffices_too(
    mode: str, empty_database: str, write_migrations: Write, ops: Ops, settings: Any
) -> None:
    settings.OPSMIGRATE = {"ENVIRONMENT": "production", "REHEARSE_ON": "default"}
    alias = prepared(empty_database, write_migrations, EXPLAINED)

    answer = rehearse(ops, alias, rehearse=mode)

    assert answer.code == 0, answer.report["undecided"]
    assert [
        (item["id"], item["message"], [step["text"] for step in item["steps"]])
        for item in answer.report["findings"]
    ] == [
        (
            "not-rehearsed",
            "no copy is made on a production server without --approval",
            [
                f"python manage.py preflight_migrate --database {alias} zoo --rehearse clone "
                '--approval "who approved it"'
            ],
        )
    ][: mode == "auto"]


def test_unasked_it_clones_what_is_small_and_takes_the_small_tables_of_what_is_large(
    empty_database: str, write_migrations: Write, ops: Ops, settings: Any
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", "REHEARSE": "auto"}
    small = ops("preflight_migrate", "zoo", database=alias)
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", "REHEARSE": "auto", "REHEARSE_MAX_BYTES": 1000}
    large = ops("preflight_migrate", "zoo", database=alias)

    assert (small.code, small.report["facts"]["rehearsal"]["mode"]) == (0, "clone")
    facts = large.report["facts"]["rehearsal"]
    assert (large.code, facts["mode"]) == (3, "schema")
    assert facts["tables_without_rows"] == ["public.zoo_cage"]


LARGE = (
    "CREATE TABLE large (id int PRIMARY KEY, t text)",
    "INSERT INTO large SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 3000) n",
)
HARMLESS = "migrations.RunPython(lambda apps, editor: None),"
READS_LARGE = """
migrations.RunPython(lambda apps, editor: editor.execute("SELECT 1 FROM large") or 1 / 0),
"""
# The report shows less of it, and of so many.
LONG = f"SELECT 1 /* {' ' * 3000} */"
MANY = """
migrations.RunPython(lambda apps, editor: [
    editor.execute(f"SELECT {{n}}{0}", None) for n in range(1, 61)
]),
"""


@pytest.mark.parametrize(
    ("pending", "statement", "code", "why"),
    [
        (DOUBLE, "SELECT 1", 0, None),
        (DOUBLE, "UPDATE zoo_cage SET size = 0", 1, None),
        ('migrations.RunSQL("UPDATE large SET t = t RETURNING t"),', "SELECT 1", 3, "hand-written"),
        (READS_LARGE, "SELECT 1", 3, "a copy that differs from the live database"),
        ('migrations.RunSQL("SELECT 1 / count(*) FROM large"),', "SELECT 1", 3, "division by zero"),
        ('migrations.RunSQL("SELECT 1 / count(*) FROM LARGE"),', "SELECT 1", 3, "division by"),
        (f'migrations.RunSQL("{LONG}"),', "SELECT 1", 0, None),
        (f'migrations.RunSQL("{LONG} FROM large"),', "SELECT 1", 3, "hand-written SQL"),
        (MANY.format(""), "SELECT 1", 0, None),
        (MANY.format(" FROM {'zoo_cage' if n < 60 else 'large'}"), "SELECT 1", 3, "RunPython"),
        # What comes after may depend on what the code made of rows that were not there.
        (
            'migrations.RunSQL("INSERT INTO zoo_cage (code, name, size) SELECT'
            " gen_random_uuid(), 'b', 0 FROM large\")," + DOUBLE,
            "SELECT 1",
            3,
            "RunPython calls",
        ),
    ],
    ids=[
        *("small", "small-fails", "large", "code-fails", "sql-fails", "capitals"),
        *("long", "long-large", "many", "many-large", "after"),
    ],
)
def test_without_the_rows_of_a_large_table_only_what_does_not_ask_for_them_is_decided(
    pending: str,
    statement: str,
    code: int,
    why: str | None,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    settings: Any,
) -> None:
    alias = prepared(empty_database, write_migrations, pending, statement, *LARGE)
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", "REHEARSE_MAX_BYTES": 16 * 250_000}

    answer = rehearse(ops, alias, rehearse="schema")

    assert answer.code == code, answer.stdout
    assert answer.report["facts"]["rehearsal"]["tables_without_rows"] == ["public.large"]
    if why:
        assert any(why in reason for reason in reasons(answer))


# Past Django, so that no wrapper of its own sees it.
PAST_DJANGO = """
migrations.RunPython(
    lambda apps, editor: editor.connection.connection.cursor().execute("SELECT 1 FROM large")
),
"""
UNIQUE = """
migrations.AddConstraint(
    "cage", models.UniqueConstraint(fields=["size"], name="zoo_cage_one_of_a_size")
),
"""


@pytest.mark.parametrize(
    ("code", "statement", "verdict", "id"),
    one_in_core(
        [
            (HARMLESS, "SELECT 1", 0, None),
            (HARMLESS, "UPDATE zoo_cage SET size = 8 WHERE size = 7", 1, "duplicate-values"),
            (DOUBLE, "SELECT 1", 3, None),
            (READS_LARGE.replace(" or 1 / 0", ""), "SELECT 1", 3, None),
            (PAST_DJANGO, "SELECT 1", 3, None),
        ],
        core=3,
    ),
    ids=["harmless", "twins", "code-asks-for-it", "code-asks-for-another", "past-django"],
)
def test_what_code_does_not_touch_is_asked_on_the_live_rows(
    code: str,
    statement: str,
    verdict: int,
    id: str | None,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    settings: Any,
) -> None:
    rows = "gen_random_uuid(), 'name', n FROM generate_series(2, 3000) n"
    many = f"INSERT INTO zoo_cage (code, name, size) SELECT {rows}"
    alias = prepared(empty_database, write_migrations, code + UNIQUE, many, *LARGE, statement)
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", "REHEARSE_MAX_BYTES": 16 * 10_000}

    answer = rehearse(ops, alias, rehearse="schema")

    assert answer.code == verdict, answer.stdout
    errors = [item for item in answer.report["findings"] if item["severity"] == "error"]
    assert [item["id"] for item in errors] == ([id] if id else [])
    if id:
        assert (errors[0]["operation"], errors[0]["evidence"]["count"]) == ("1: AddConstraint", 1)


def test_an_empty_table_lacks_nothing_whatever_the_limit(
    empty_database: str, write_migrations: Write, ops: Ops, settings: Any
) -> None:
    pending = 'migrations.RunSQL("SELECT 1 / (1 - count(*)) FROM nothing"),'
    table = "CREATE TABLE nothing (id int PRIMARY KEY, t text)"
    alias = prepared(empty_database, write_migrations, pending, table)
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", "REHEARSE_MAX_BYTES": 1}

    answer = rehearse(ops, alias, rehearse="schema")

    assert (answer.code, reasons(answer)) == (0, []), answer.stdout
    assert answer.report["facts"]["rehearsal"]["tables_without_rows"] == ["public.zoo_cage"]


FAILS_WHERE_THERE_ARE_ROWS = """
from django.db import connections
from django.db.models.signals import post_migrate
def look(**kwargs):
    with connections[kwargs["using"]].cursor() as cursor:
        cursor.execute("SELECT 1 / CASE WHEN count(*) > 0 THEN 0 ELSE 1 END FROM large")
post_migrate.connect(look, weak=False)
"""


def test_a_receiver_that_asks_for_rows_that_were_left_out_is_left_open(
    empty_database: str, tmp_path: Path
) -> None:
    assert migrate(empty_database) is None
    for statement in LARGE:
        execute(connections[empty_database], statement)

    answer = rehearse_project(
        empty_database,
        tmp_path,
        code="pass",
        ready=FAILS_WHERE_THERE_ARE_ROWS,
        settings='OPSMIGRATE = {"ENVIRONMENT": "test", "REHEARSE_MAX_BYTES": 16 * 250_000}',
        how="schema",
    )

    assert answer.code == 3, answer.stdout
    assert any("only a rehearsal decides" in reason for reason in reasons(answer))


def test_a_small_table_is_taken_only_with_what_its_foreign_keys_need(
    empty_database: str, write_migrations: Write, ops: Ops, settings: Any
) -> None:
    write_migrations(CAGE, KEEPER)
    assert migrate(empty_database, "zoo") is None
    rows = "gen_random_uuid(), 'name', n FROM generate_series(1, 3000) n"
    for statement in (
        f"INSERT INTO zoo_cage (code, name, size) SELECT {rows}",
        "INSERT INTO zoo_keeper (cage_id) SELECT code FROM zoo_cage LIMIT 1",
    ):
        execute(connections[empty_database], statement)
    write_migrations(CAGE, KEEPER, DOUBLE)
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", "REHEARSE_MAX_BYTES": 16 * 250_000}

    answer = rehearse(ops, empty_database, rehearse="schema")

    assert answer.code == 3, answer.stdout
    without = answer.report["facts"]["rehearsal"]["tables_without_rows"]
    assert without == ["public.zoo_cage", "public.zoo_keeper"]


def test_a_row_that_is_deleted_may_be_referred_to_by_one_that_was_left_out(
    empty_database: str, write_migrations: Write, ops: Ops, settings: Any
) -> None:
    write_migrations(CAGE, KEEPER)
    assert migrate(empty_database, "zoo") is None
    rows = "INSERT INTO zoo_keeper (cage_id) SELECT code FROM zoo_cage, generate_series(1, 3000)"
    for statement in (ROW, rows):
        execute(connections[empty_database], statement)
    write_migrations(CAGE, KEEPER, 'migrations.RunSQL("DELETE FROM zoo_cage"),')
    settings.OPSMIGRATE = {"ENVIRONMENT": "test", "REHEARSE_MAX_BYTES": 16 * 150_000}

    answer = rehearse(ops, empty_database, rehearse="schema")

    assert answer.report["facts"]["rehearsal"]["tables_without_rows"] == ["public.zoo_keeper"]
    assert answer.code == 3, answer.stdout
    assert migrate(empty_database, "zoo") is not None
