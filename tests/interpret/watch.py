"""Statements executed one after the other, with all that is asked of each in one message.

A statement is compared by some twenty queries on the catalog: a round trip for each of them would
take most of the time. psycopg2 returns the last result of several only: with it they go one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from opsmigrate.postgres.driver_errors import sqlstate
from opsmigrate.postgres.neighbours import NOBODY
from opsmigrate.preflight.interpret import reading
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.preflight.interpret.system import FINGERPRINT, System, system_of
from opsmigrate.sql.statement import Statement
from opsmigrate.sql.transactions import stands_alone
from tests.interpret import bisimulation
from tests.interpret.bisimulation import Files, Happened

PATH = "SELECT current_schemas(false)::text[], current_setting('TimeZone')"
PIN = "SET LOCAL search_path = pg_catalog"
Rows = list[Sequence[Any]]


class Watch:
    """A connection on which nothing but what is executed here changes the catalog."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.files: Files | None = None
        self.queries: tuple[str, ...] = ()
        self.system: tuple[Any, System] | None = None

    def executed(self, statement: Statement) -> tuple[Happened, Schema | None]:
        """Do as bisimulation.executed() does: what happened, and the schema after it."""
        if stands_alone(statement) or not is_psycopg3:
            found = bisimulation.executed(statement, self.connection)
            # It may have left something behind though it failed.
            self.files = None
            return found
        with self.connection.cursor() as cursor:
            if self.files is None:
                self.files = bisimulation.named(at_once(cursor, bisimulation.NAMED)[0])
            if not self.queries:
                self.queries = _queries(cursor, self.connection)
            before = self.files
            asked = (PATH, FINGERPRINT, "BEGIN", PIN, *self.queries, "COMMIT")
            after = (bisimulation.LOCKS, "COMMIT", bisimulation.NAMED, *asked)
            try:
                found = at_once(cursor, "BEGIN", statement.text, *after)[-len(after) :]
            except DatabaseError as error:
                cursor.execute("ROLLBACK")
                state, words = sqlstate(error) or "?", str(error)
                failed = Happened(sqlstate=state, words=words, before=before, after=before)
                return failed, None
        locks, _, files, [[path, time_zone]], [fingerprint], _, _, *told, _ = found
        self.files = bisimulation.named(files)
        happened = Happened(
            locks=bisimulation.locks_of(locks, before), before=before, after=self.files
        )
        answers = _Told(dict(zip(self.queries, told, strict=True)))
        catalog = reading._Catalog.read(answers, self._version(), NOBODY.read)
        schema = reading._schema(catalog, path)
        return happened, replace(schema, system=self._system(fingerprint), time_zone=time_zone)

    def _version(self) -> int:
        return int(getattr(self.connection, "pg_version", 0))

    def _system(self, fingerprint: Any) -> System:
        if self.system is None or self.system[0] != fingerprint:
            self.system = fingerprint, system_of(self.connection)
        return self.system[1]


def at_once(cursor: Any, *statements: str) -> list[Rows]:
    """Execute statements in one message; return the rows of each that says what they are."""
    cursor.execute(";\n".join(statements))
    found = [_rows(cursor)]
    while cursor.nextset():
        found.append(_rows(cursor))
    return found


def _rows(cursor: Any) -> Rows:
    return [] if cursor.description is None else list(cursor.fetchall())


def _queries(cursor: Any, connection: BaseDatabaseWrapper) -> tuple[str, ...]:
    """Return what read_schema() asks of the catalog."""
    noting = _Noting(cursor)
    reading._Catalog.read(noting, int(getattr(connection, "pg_version", 0)), NOBODY.read)
    return tuple(noting.queries)


class _Noting:
    """A cursor that keeps what it is asked."""

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor
        self.queries: list[str] = []

    def execute(self, query: str) -> None:
        self.queries.append(query)
        self.cursor.execute(query)

    def fetchall(self) -> Rows:
        return list(self.cursor.fetchall())


class _Told:
    """A cursor with the answers that it was given before."""

    def __init__(self, answers: dict[str, Rows]) -> None:
        self.answers = answers
        self.rows: Rows = []

    def execute(self, query: str) -> None:
        self.rows = self.answers[query]

    def fetchall(self) -> Rows:
        return self.rows
