"""What a refusal says to type is right as it stands, whatever the names are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from django.db import Error, connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.seed import seed
from opsmigrate.errors import RefusedError
from opsmigrate.report import Finding, Verdict
from tests.conftest import execute, query
from tests.remedies import Contents, Table, contents, losses, psql, unannounced
from tests.seeding import QUIET, options

ODD = ColumnSpec(
    schema='odd "schema"',
    table="Order % 'x' ü",
    column='Select "ü"',
    type="uuid",
    expression="gen_random_uuid()",
)
UUID = "00000000-0000-0000-0000-000000000001"
ADD = "ALTER TABLE {table} ADD COLUMN {column} uuid"
TRIGGER = [
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER t BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION f()",
]
# What makes the refusal, its id, and which of the ways it offers leads to the goal.
REFUSALS: dict[str, tuple[list[str], str, int]] = {
    "another type": (["ALTER TABLE {table} ADD COLUMN {column} integer"], "column-type", 1),
    "duplicates": ([ADD, f"UPDATE {{table}} SET {{column}} = '{UUID}'"], "duplicates", 2),
    "one default": (
        [ADD, f"ALTER TABLE {{table}} ALTER COLUMN {{column}} SET DEFAULT '{UUID}'"],
        "unique-with-one-default",
        1,
    ),
    "the name of the constraint": (["CREATE SEQUENCE {key}"], "index-exists", 1),
    "a deferrable constraint": (
        [ADD, "ALTER TABLE {table} ADD CONSTRAINT {plain} UNIQUE ({column}) DEFERRABLE"],
        "index-exists",
        1,
    ),
    "no replica identity": (
        ["ALTER TABLE {table} REPLICA IDENTITY NOTHING", "CREATE PUBLICATION p FOR TABLE {table}"],
        "no-replica-identity",
        1,
    ),
    "text that is no uuid": (
        ["ALTER TABLE {table} ADD COLUMN {column} varchar(36) DEFAULT 'none'"],
        "column-type",
        2,
    ),
    "text of 32 characters that is no uuid": (
        ["ALTER TABLE {table} ADD COLUMN {column} char(32) DEFAULT 'none'"],
        "column-type",
        2,
    ),
    "text that is one uuid": (
        [f"ALTER TABLE {{table}} ADD COLUMN {{column}} varchar(36) DEFAULT '{UUID}'"],
        "duplicates",
        2,
    ),
    "text beside a column of our name": (
        ["ALTER TABLE {table} ADD COLUMN {column} text, ADD COLUMN {shadow} int"],
        "column-type",
        1,
    ),
    "a table of a composite type": (
        ["CREATE TYPE kind AS (n int)", "ALTER TABLE {table} OF kind"],
        "table-hierarchy",
        1,
    ),
    "children": (["CREATE TABLE child () INHERITS ({table})"], "table-hierarchy", 1),
    "rules": (
        ['CREATE RULE "r 1" AS ON UPDATE TO {table} DO INSTEAD NOTHING'],
        "update-rules",
        1,
    ),
    "an old check": (
        ["ALTER TABLE {table} ADD CONSTRAINT \"young % 'x'\" CHECK (n > 10) NOT VALID"],
        "rows-not-updatable",
        2,
    ),
    "triggers that may fire": (TRIGGER, "update-triggers", 1),
    "triggers that may be left out": (TRIGGER, "update-triggers", 2),
}


def make(alias: str, statements: list[str]) -> None:
    names = {
        "table": ODD.relation,
        "column": sql.Identifier(ODD.column),
        "key": sql.Identifier(ODD.schema, ODD.constraint),
        "plain": sql.Identifier(ODD.constraint),
        "shadow": sql.Identifier(f"{ODD.column}_seeded"),
    }
    execute(connections[alias], sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(ODD.schema)))
    table = "CREATE TABLE {table} AS SELECT n FROM generate_series(1, 30) n"
    for statement in (table, *statements):
        execute(connections[alias], sql.SQL(statement).format(**names))


def valued(found: Contents) -> Contents:
    """Return it without the columns in which no row has a value: what fills them loses nothing."""
    tables = {}
    for oid, table in found.items():
        numbers = [
            number
            for place, number in enumerate(table.columns)
            if any(row[place] is not None for row in table.rows)
        ]
        columns = {number: table.columns[number] for number in numbers}
        tables[oid] = Table(table.name, columns, list(table.only(numbers).elements()))
    return tables


def type_steps(alias: str, finding: Finding, way: int, node: pytest.Item) -> None:
    """Type the steps of one way: SQL into psql; the seed's command, which no model has here."""
    again = options().again
    for step in (step for step in finding.steps if step.alternative == way):
        node.user_properties.append(("step of", finding.id))
        if step.kind == "sql":
            psql(alias, step.text)
            continue
        command, _, more = step.text.partition(again)
        assert command == ""
        triggers = more.rpartition("--triggers ")[2] if "--triggers" in more else "refuse"
        goal = replace(ODD, unique="--no-unique" not in more)
        result = seed(connections[alias], goal, options(triggers=triggers), QUIET)
        assert result.verdict is Verdict.PASSED


@pytest.mark.parametrize("why", REFUSALS, ids=lambda name: name.replace(" ", "-"))
def test_the_steps_can_be_typed_as_they_stand_and_lead_to_the_goal(
    why: str, empty_database: str, request: pytest.FixtureRequest
) -> None:
    statements, id, way = REFUSALS[why]
    make(empty_database, statements)
    before = valued(contents(empty_database))

    with pytest.raises(RefusedError) as refused:
        seed(connections[empty_database], ODD, options(), QUIET)
    [finding] = refused.value.as_result().findings
    for other in {step.alternative for step in finding.steps} - {way, 2}:
        type_steps(empty_database, finding, other, request.node)
    type_steps(empty_database, finding, way, request.node)

    assert finding.id == id
    assert finding.hint
    assert not {"`", "python manage.py"} & set(finding.hint.split())
    goal = replace(ODD, unique=why != "children")
    assert seed(connections[empty_database], goal, options(), QUIET).facts["seeded"] == 0
    gone = losses(before, contents(empty_database))
    assert unannounced(asdict(finding), gone, alternative=way) == []


def test_a_rule_that_was_switched_off_for_the_seed_is_as_it_was(empty_database: str) -> None:
    rule = 'CREATE RULE "r 1" AS ON UPDATE TO {table} DO INSTEAD NOTHING'
    make(empty_database, [rule, 'ALTER TABLE {table} ENABLE ALWAYS RULE "r 1"'])

    with pytest.raises(RefusedError) as refused:
        seed(connections[empty_database], ODD, options(), QUIET)
    for step in refused.value.steps:
        if step.kind == "sql":
            psql(empty_database, step.text)

    enabled = "SELECT ev_enabled::text FROM pg_rewrite WHERE rulename = 'r 1'"
    assert query(empty_database, enabled) == [("A",)]


def test_the_right_that_is_missing_can_be_granted_as_it_stands(
    empty_database: str, role: Callable[..., dict[str, str]]
) -> None:
    user = role()
    make(
        empty_database,
        ["ALTER TABLE {table} OWNER TO " + '"' + user["USER"].replace('"', '""') + '"'],
    )
    usage = sql.SQL("GRANT USAGE ON SCHEMA {} TO {}")
    execute(
        connections[empty_database],
        usage.format(sql.Identifier(ODD.schema), sql.Identifier(user["USER"])),
    )
    theirs = connections[empty_database].copy(f"stranger {empty_database}")
    theirs.settings_dict.update(user)
    try:
        with pytest.raises(RefusedError, match="may not create an index") as refused:
            seed(theirs, ODD, options(), QUIET)
        [step] = refused.value.steps
        psql(empty_database, step.text)
        assert seed(theirs, ODD, options(), QUIET).verdict is Verdict.PASSED
    finally:
        theirs.close()


def test_the_parameter_that_may_not_be_set_can_be_granted_as_it_stands(
    empty_database: str, role: Callable[..., dict[str, str]]
) -> None:
    user = role()
    owner = '"' + user["USER"].replace('"', '""') + '"'
    if connections[empty_database].pg_version < 150_000:
        grant = f"GRANT SET ON PARAMETER session_replication_role TO {owner}"
        with pytest.raises(Error, match="syntax error"):
            execute(connections[empty_database], grant)
        return
    make(empty_database, [*TRIGGER, f"ALTER TABLE {{table}} OWNER TO {owner}"])
    rights = sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {}")
    execute(
        connections[empty_database],
        rights.format(sql.Identifier(ODD.schema), sql.Identifier(user["USER"])),
    )
    theirs = connections[empty_database].copy(f"skipper {empty_database}")
    theirs.settings_dict.update(user)
    try:
        with pytest.raises(RefusedError, match="may not set session_replication_role") as refused:
            seed(theirs, ODD, options(triggers="skip"), QUIET)
        psql(empty_database, refused.value.steps[0].text)
        theirs.close()
        assert seed(theirs, ODD, options(triggers="skip"), QUIET).verdict is Verdict.PASSED
    finally:
        theirs.close()
