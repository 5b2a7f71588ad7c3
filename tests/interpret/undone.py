"""Statements interpreted and executed in a transaction that is rolled back: as if never done."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic

from opsmigrate.postgres.driver_errors import sqlstate
from opsmigrate.preflight.interpret.effects import Effects
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.names import Name
from opsmigrate.sql.statement import Statement
from tests.interpret import bisimulation
from tests.interpret.bisimulation import Happened
from tests.interpret.equivalence import Equivalence

Done = tuple[Statement, Schema, Effects, Happened, Schema]


def differences(before: Schema, text: str, connection: BaseDatabaseWrapper) -> list[str]:
    """Return where the server is not as claimed, for a text whose statements are done in turn.

    Each is interpreted on the schema that ours made of the one before, and a line begins with its
    number. Locks and files are looked at for the first only, since a transaction keeps them. A
    statement that is not understood is a line too, and the last.
    """
    done, lines = _done(before, text, connection)
    same = Equivalence(connection)
    for number, (statement, ours, effects, happened, server) in enumerate(done, 1):
        found = list(bisimulation._raises(effects, happened))
        if happened.sqlstate is None and effects.refusal is None:
            if number == 1:
                found += bisimulation._did(before, ours, effects, happened)
            found += bisimulation._schema(ours, server, effects, same)
        lines += [f"{number} {each.kind}: {each.text} [{statement.text}]" for each in found]
    return lines


def _done(
    before: Schema, text: str, connection: BaseDatabaseWrapper
) -> tuple[list[Done], list[str]]:
    done: list[Done] = []
    ours = before
    with atomic(using=connection.alias):
        for number, statement in enumerate(parse(text), 1):
            claimed, effects = interpret(ours, statement)
            if effects.unknown is not None:
                connection.set_rollback(True)
                return done, [f"{number} unknown: {effects.unknown.why} [{statement.text}]"]
            happened, server = _executed(statement, connection)
            done.append((statement, claimed, effects, happened, server))
            ours = claimed
        connection.set_rollback(True)
    return done, []


def _executed(statement: Statement, connection: BaseDatabaseWrapper) -> tuple[Happened, Schema]:
    with connection.cursor() as cursor:
        before = bisimulation._named(cursor)
        state, words = None, ""
        try:
            with atomic(using=connection.alias):
                cursor.execute(statement.text)
        except DatabaseError as error:
            state, words = sqlstate(error) or "?", str(error)
        locks: Mapping[Name, str] = bisimulation._locks(cursor, before)
        after = bisimulation._named(cursor)
    happened = Happened(sqlstate=state, words=words, locks=locks, before=before, after=after)
    return happened, read_schema(connection)
