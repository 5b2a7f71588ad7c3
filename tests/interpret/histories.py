"""Replay what `migrate` executed, statement by statement, and print how the server differs.

In any project: `python -m tests.interpret.histories --help`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.sql.grammar import parse
from opsmigrate.sql.statement import NotParsedError, Statement

TRANSACTIONS = "transaction_stmt"


@contextmanager
def recorded(connection: BaseDatabaseWrapper) -> Iterator[list[str]]:
    """Yield the texts that are executed on the connection, composed with their parameters."""
    texts: list[str] = []

    def record(execute: Any, query: Any, params: Any, many: bool, context: Any) -> Any:
        for each in params if many else [params]:
            texts.append(_composed(connection, query, each))
        return execute(query, params, many, context)

    with connection.execute_wrapper(record):
        yield texts


def _composed(connection: BaseDatabaseWrapper, query: Any, params: Any) -> str:
    if hasattr(query, "as_string"):
        query = query.as_string(connection.connection)
    if params is None:
        return str(query)
    return str(connection.ops.compose_sql(query, params))


def statements_of(texts: Sequence[str]) -> Iterator[Statement]:
    """Yield the statements of the texts, one by one.

    Without those that begin or end a transaction, or only ask the catalog.
    """
    for text in texts:
        try:
            found = parse(text)
        except NotParsedError as error:
            raise ValueError(f"{error}: {text}") from error
        yield from (
            each for each in found if each.kind != TRANSACTIONS and not _asks_the_catalog(each)
        )


def _asks_the_catalog(statement: Statement) -> bool:
    if statement.kind != "select_stmt":
        return False
    read = [each.value.relname for each in statement.parts() if each.kind == "RangeVar"]
    return bool(read) and all(name.startswith("pg_") for name in read)


@dataclass
class Replayed:
    """How a history went: counts, and a line for each difference."""

    statements: int = 0
    interpreted: int = 0
    refused: int = 0
    seconds: float = 0.0
    differences: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the figures in a few lines."""
        kinds = ", ".join(f"{kind} {number}" for kind, number in self.differences.most_common())
        unknown = ", ".join(f"{why} {number}" for why, number in self.unknown.most_common())
        return (
            f"{self.statements} statements in {self.seconds:.1f} s, {self.refused} refused\n"
            f"differences: {kinds or 'none'}\nunknown: {self.unknown.total()}: {unknown or 'none'}"
        )


def replay(statements: Sequence[Statement], connection: BaseDatabaseWrapper) -> Replayed:
    """Compare each of the statements in turn on the database of `connection`."""
    # Not before Django has its settings.
    from opsmigrate.preflight.interpret.reading import read_schema
    from tests.interpret.bisimulation import compare

    found = Replayed()
    began = time.monotonic()
    schema = read_schema(connection)
    for statement in statements:
        comparison = compare(schema, statement, connection)
        schema = comparison.after
        found.statements += 1
        found.refused += comparison.sqlstate is not None
        found.differences.update(each.kind for each in comparison.differences)
        found.lines += comparison.lines()
        if comparison.unknown is not None:
            found.unknown[comparison.unknown.why] += 1
    found.seconds = time.monotonic() - began
    return found
