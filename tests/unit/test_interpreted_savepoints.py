"""Savepoints of a transaction of which the interpreter was not told that it began."""

from __future__ import annotations

from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.sql.grammar import parse


def test_a_savepoint_in_a_transaction_from_before_is_returned_to() -> None:
    schema = Schema(version=180_000, schemas={"public": ""})
    found = []

    for statement in parse(
        "SAVEPOINT a; CREATE TYPE gone AS ENUM ('x'); ROLLBACK TO a; RELEASE a; ROLLBACK TO a"
    ):
        schema, effects = interpret(schema, statement)
        found.append(effects.refusal and effects.refusal.sqlstate)

    assert (schema.types, found) == ({}, [None, None, None, None, "3B001"])


def test_a_savepoint_from_before_is_not_known() -> None:
    schema = Schema(version=180_000, schemas={"public": ""})

    for text in ("RELEASE a", "ROLLBACK TO a"):
        [statement] = parse(text)
        assert interpret(schema, statement)[1].unknown is not None
