"""The comparison is sharp: whatever a schema, or an effect, has wrong is a difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE, SHARE
from opsmigrate.preflight.interpret.effects import (
    Question,
    Refusal,
    RefusedError,
    UnknownError,
)
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.names import Name
from tests.conftest import execute
from tests.interpret import bisimulation, watch
from tests.interpret.bisimulation import Comparison
from tests.interpret.equivalence import Equivalence
from tests.interpret.schema_differences import schema_differences
from tests.interpret.test_reading import STATEMENTS

# Not compared: how a view is written, the name in the live database, what is the key itself, what
# an index called its columns when it was made, and where a constraint of a child came from.
INCOMPARABLE = {"live", "query", "name", "signature", "named", "was_copied"}
WORDS = {"bound": "DEFAULT", "partition_key": "LIST (b)"}
OTHERS: dict[type, Callable[[Any], Any]] = {
    bool: lambda value: not value,
    int: lambda value: value + 1,
    str: lambda value: "false" if value else "x",
    type(None): lambda value: Name("s", "other"),
    tuple: lambda value: (*value, "other"),
    Name: lambda value: Name("s", "other"),
    frozenset: lambda value: value | {Name("s", "other")},
}


def changed(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the object with one of its fields changed, each in turn, down to the smallest."""
    for field in fields(value):
        if field.name not in INCOMPARABLE:
            for about, other in changed_field(value, field.name):
                yield f"{field.name} {about}", other


def changed_field(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the object with one of its fields changed, in each way."""
    here = getattr(value, name)
    if isinstance(here, dict):
        for key, each in here.items():
            yield f"{key} gone", _without(value, name, key)
            for about, other in changed(each) if is_dataclass(each) else ():
                yield f"{key} {about}", _with(value, name, key, other)
    elif is_dataclass(here):
        for about, other in changed(here):
            yield about, replace(value, **{name: other})
    elif name == "keys":
        for number, each in enumerate(here):
            for about, other in changed(each):
                keys = (*here[:number], other, *here[number + 1 :])
                yield f"{number} {about}", replace(value, keys=keys)
    elif name in WORDS:
        yield "", replace(value, **{name: WORDS[name]})
    else:
        yield "", replace(value, **{name: OTHERS[type(here)](here)})


def _with(value: Any, name: str, key: Any, other: Any) -> Any:
    return replace(value, **{name: {**getattr(value, name), key: other}})


def _without(value: Any, name: str, key: Any) -> Any:
    kept = {each: other for each, other in getattr(value, name).items() if each != key}
    return replace(value, **{name: kept})


@pytest.mark.long
def test_every_fact_that_is_wrong_is_a_difference(empty_database: str) -> None:
    connection = connections[empty_database]
    for statement in STATEMENTS:
        execute(connection, statement)
    server, same = read_schema(connection), Equivalence(connection)
    facts = ("relations", "types", "functions")
    narrow = Schema(version=server.version, **{name: getattr(server, name) for name in facts})

    unseen = [
        about
        for name in facts
        for key, thing in getattr(narrow, name).items()
        for about, other in changed(thing)
        if not schema_differences(_with(narrow, name, key, other), narrow, same)
    ]

    assert schema_differences(server, server, same) == []
    assert unseen == []


@pytest.mark.long
def test_what_is_written_otherwise_is_no_difference(empty_database: str) -> None:
    connection = connections[empty_database]
    execute(
        connection,
        "CREATE TABLE t (a timestamptz DEFAULT '2020-01-01 00:00:00+00', b interval DEFAULT"
        " '24:00:00', c int CONSTRAINT t_check CHECK (b > '1 day'), d jsonb DEFAULT '{\"a\": 1}')",
    )
    server = read_schema(connection)
    table = server.relations[Name("public", "t")]
    written = {"a": "'2020-01-01T01:00+01'", "d": "'{\"a\":1}'"}

    def ours(defaults: dict[str, str], condition: str) -> list[str]:
        relation = table
        for name, default in defaults.items():
            relation = relation.with_column(replace(table.columns[name], default=default))
        check = replace(table.constraints["t_check"], condition=condition)
        schema = server.with_relation(relation.with_constraint(check))
        return schema_differences(schema, server, Equivalence(connection))

    assert ours(written, "b > interval '24 hours' * 1") != []
    assert ours(written, "b > '1 day'::interval") == []
    assert len(ours({"a": "'2020-01-02T00:00+00'"}, "b > '1 day'")) == 1


Claim = Callable[[Step, Any], None]


def told(connection: BaseDatabaseWrapper, text: str, claim: Claim) -> Comparison:
    """Compare a statement with what `claim` says of it."""
    [statement] = parse(text)
    with pytest.MonkeyPatch.context() as patch:
        real = bisimulation.interpret
        patch.setattr(
            bisimulation,
            "interpret",
            lambda before, each: real(before, each, {each.kind: claim}),
        )
        return bisimulation.compare(read_schema(connection), statement, connection)


@pytest.mark.long
def test_each_effect_that_is_wrong_is_a_difference(empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, "CREATE TABLE t (a int, b text)")
    table = Name("public", "t")

    def nothing(step: Step, node: Any) -> None:
        pass

    def rewrite(step: Step, node: Any) -> None:
        former = step.known(table)
        step.put(former.with_column(replace(former.columns["a"], type="bigint")))
        step.effects.lock(table, ACCESS_EXCLUSIVE)
        step.effects.rewrites.add(table)

    def kinds(text: str, claim: Claim) -> list[str]:
        return [each.kind for each in told(connection, text, claim).differences]

    assert kinds("ALTER TABLE t ALTER a TYPE bigint", rewrite) == []
    assert kinds("ALTER TABLE t ALTER a TYPE int", nothing) == ["locks", "rewrites", "schema"]
    assert kinds("CREATE INDEX i ON t (a)", nothing) == ["locks", "builds", "schema"]
    assert kinds("SELECT 1", lambda step, node: step.effects.lock(table, SHARE)) == ["locks"]
    assert kinds("DROP TABLE nothing", nothing) == ["raises"]
    assert kinds("LOCK nothing", refuse("42P01")) == []
    assert kinds("LOCK nothing", refuse("42703")) == ["raises"]
    assert kinds("SELECT 1", refuse("42703")) == ["raises"]
    assert kinds("SELECT 1 / 0", ask("22012")) == []
    assert kinds("SELECT 1 / 0", ask("23502")) == ["raises"]


def refuse(sqlstate: str) -> Claim:
    """Return a claim that the server raises this."""

    def claim(step: Step, node: Any) -> None:
        raise RefusedError(Refusal(sqlstate=sqlstate, kind="it"))

    return claim


def ask(sqlstate: str) -> Claim:
    """Return a claim that rows may raise this."""

    def claim(step: Step, node: Any) -> None:
        step.effects.questions.append(
            Question(sqlstate=sqlstate, kind="cast", relation=Name("public", "t"))
        )

    return claim


@pytest.mark.long
def test_what_is_unknown_taints_what_it_names_and_nothing_else(empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, "CREATE TABLE t (a int)")
    execute(connection, "CREATE TABLE u (a int)")
    execute(connection, "CREATE TABLE v (a int)")

    def unknown(name: str) -> Claim:
        def claim(step: Step, node: Any) -> None:
            raise UnknownError("it is not understood", Name("public", name))

        return claim

    right = told(connection, "ALTER TABLE t ADD b int", unknown("t"))
    wrong = told(connection, "DROP TABLE v", unknown("u"))

    assert (right.differences, right.unknown is not None) == ((), True)
    assert {each.kind for each in wrong.differences} == {"schema"}
    assert wrong.after == read_schema(connection)


def test_a_watch_sees_the_schema_that_is_read(empty_database: str) -> None:
    """Whichever the driver: with psycopg2 the queries are not put into one message, but noted."""
    connection = connections[empty_database]
    [statement] = parse("CREATE TABLE watched (id integer PRIMARY KEY)")
    with connection.cursor() as cursor:
        queries = watch._queries(cursor, connection)

    happened, schema = watch.Watch(connection).executed(statement)

    assert queries
    assert happened.sqlstate is None
    assert schema == read_schema(connection)
