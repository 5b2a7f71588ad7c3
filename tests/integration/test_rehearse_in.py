"""--rehearse-in: a clone that somebody else made is compared, confirmed, and then written to."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from opsmigrate.management import rehearse_in as rehearse_in_clone
from opsmigrate.postgres.identity import identity_of
from tests.aliases import alias_of
from tests.conftest import Answer, Ops, execute, query
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import DOUBLE, SCRATCH, dump, owner_of_zoo, prepared, reasons, rehearse

Clone = Callable[[str], str]


@pytest.fixture
def clone_of(new_database: Callable[..., str]) -> Clone:
    """Return a function that clones the database of an alias, and returns the clone's alias."""

    def clone(alias: str) -> str:
        connections[alias].close()
        return new_database(template=connections[alias].settings_dict["NAME"])

    return clone


def rehearse_in(ops: Ops, alias: str, clone: str, **options: Any) -> Answer:
    """Rehearse in the clone, which is confirmed unless said otherwise."""
    options = {"rehearse": None, "no_input": True, **options}
    return rehearse(ops, alias, rehearse_in=clone, **options)


@pytest.mark.major
def test_the_clone_is_migrated_itself_and_only_equal_rows_count(
    empty_database: str, write_migrations: Write, ops: Ops, clone_of: Clone
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    clone, other = clone_of(alias), clone_of(alias)
    before = dump(alias)

    answer = rehearse_in(ops, alias, clone)

    facts = answer.report["facts"]["rehearsal"]
    assert (answer.code, answer.ids, reasons(answer)) == (0, [], []), answer.stdout
    assert answer.report["facts"]["summary"].endswith(f"in {clone}, the clone that was named")
    assert facts["isolation"]["server"] == "clone"
    assert (facts["kept_copy"]["clone"], facts["kept_copy"]["stale"]) == (clone, [])
    # DOUBLE sets 100 // 1.
    assert query(clone, "SELECT size FROM zoo_cage") == [(100,)]
    assert (dump(alias), query(alias, SCRATCH)) == (before, [])

    # A row that differs: what reads it stays open, and the live database answers.
    execute(connections[alias], "UPDATE zoo_cage SET size = 0")
    differing = rehearse_in(ops, alias, other)
    assert (differing.code, differing.ids) == (3, ["stale-copy"]), differing.stdout
    assert any("RunPython" in why for why in reasons(differing))
    stale = differing.report["facts"]["rehearsal"]["kept_copy"]["stale"]
    assert stale == ["public.zoo_cage"]
    assert migrate(alias, "zoo") is not None


def test_the_live_database_is_never_rehearsed_in_whatever_its_alias_calls_it(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    before = dump(alias)
    settings = connections[alias].settings_dict
    by_service = {**settings, "HOST": "localhost", "PORT": str(settings["PORT"])}
    with alias_of("by_another_name", **by_service) as other:
        for name in (alias, other):
            answer = rehearse_in(ops, alias, name)
            assert (answer.code, answer.ids) == (4, ["clone-is-live"]), answer.stdout
    assert dump(alias) == before


@pytest.mark.long
def test_the_process_itself_does_nothing_in_the_live_database(
    empty_database: str, write_migrations: Write, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearse_in_clone, "require_not_live", lambda _, clone: identity_of(clone))
    alias = prepared(empty_database, write_migrations, DOUBLE)

    answer = rehearse_in(ops, alias, alias)

    assert (answer.code, answer.ids) == (3, ["rehearsal-broken"]), answer.stdout
    assert "the rehearsal reached the live database" in answer.stdout
    assert query(alias, "SELECT size FROM zoo_cage") == [(1,)]


def test_a_clone_of_another_state_is_refused_with_what_differs(
    empty_database: str, write_migrations: Write, ops: Ops, clone_of: Clone
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    clone = clone_of(alias)
    for change, undo, differs in (
        ("ALTER TABLE zoo_cage ADD n int", "ALTER TABLE zoo_cage DROP n", "TABLE public.zoo_cage"),
        ("CREATE INDEX i ON zoo_cage (size)", "DROP INDEX i", "INDEX public.i"),
        (
            "INSERT INTO django_migrations (app, name, applied) VALUES ('zoo', 'x', now())",
            "DELETE FROM django_migrations WHERE name = 'x'",
            "zoo.x",
        ),
    ):
        execute(connections[clone], change)
        before = dump(clone)
        answer = rehearse_in(ops, alias, clone)
        assert (answer.code, answer.ids) == (4, ["clone-differs"]), answer.stdout
        [finding] = answer.report["findings"]
        assert differs in finding["message"]
        assert finding["evidence"]["differences"] == [differs]
        assert dump(clone) == before
        execute(connections[clone], undo)


@pytest.mark.long
def test_a_right_that_only_the_clone_lacks_is_no_failure(
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    clone_of: Clone,
    role: Callable[..., dict[str, str]],
) -> None:
    age = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
    alias = prepared(
        empty_database,
        write_migrations,
        age,
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC",
    )
    clone, user = clone_of(alias), role()
    settings = {**connections[clone].settings_dict, **user}
    with owner_of_zoo(alias, user) as owner, alias_of("of_another", **settings) as there:
        answer = rehearse_in(ops, owner, there)
        assert (answer.code, answer.ids) == (3, []), answer.stdout
        assert any("must be owner" in why for why in reasons(answer))
        assert migrate(owner, "zoo") is None


def test_it_is_written_to_only_after_a_yes(
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    clone_of: Clone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    clone = clone_of(alias)
    before = dump(clone)
    nobody = rehearse_in(ops, alias, clone, no_input=False)
    assert (nobody.code, nobody.ids) == (2, ["not-confirmed"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin.readline", lambda: "no\n", raising=False)
    no = rehearse_in(ops, alias, clone, no_input=False)
    assert (no.code, no.ids) == (4, ["not-confirmed"])
    assert "The rehearsal changes the database" in no.stderr
    assert dump(clone) == before


@pytest.mark.parametrize(
    "option", [{"rehearse": "kept"}, {"rehearse_on": "default"}, {"keep_copy": True}], ids=str
)
def test_other_ways_to_have_a_copy_exclude_it(
    option: dict[str, Any], empty_database: str, ops: Ops
) -> None:
    answer = rehearse_in(ops, empty_database, "default", **option)
    assert (answer.code, answer.ids) == (2, ["conflicting-options"])


@pytest.mark.long
def test_in_production_a_clone_on_the_live_server_needs_approval(
    empty_database: str, write_migrations: Write, ops: Ops, clone_of: Clone, settings: Any
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    clone = clone_of(alias)
    settings.OPSMIGRATE = {"ENVIRONMENT": "production"}

    refused = rehearse_in(ops, alias, clone)
    approved = rehearse_in(ops, alias, clone, approval="CAB-7, Grace")

    assert (refused.code, refused.ids) == (4, ["approval-needed"])
    assert approved.code == 0, approved.stdout


def test_what_was_planted_does_not_say_which_database_it_is(empty_database: str) -> None:
    connection = connections[empty_database]
    truth = identity_of(connection)
    execute(connection, PLANTED)
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = public, pg_catalog")

    assert identity_of(connection.connection) == truth


PLANTED = """
CREATE FUNCTION public.pg_postmaster_start_time() RETURNS timestamptz LANGUAGE sql AS
  'SELECT ''2000-01-01''::timestamptz';
CREATE FUNCTION public.pg_control_system(OUT system_identifier bigint) LANGUAGE sql AS
  'SELECT 1::bigint';
"""
