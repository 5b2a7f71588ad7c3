"""Replay what `migrate` executed, statement by statement, and print how the server differs.

By hand, in the folder of any project and in its environment, with an empty server to spare:
`PYTHONPATH=CHECKOUT:. DJANGO_SETTINGS_MODULE=… python -m tests.interpret.histories URL`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.statement import NotParsedError, Statement
from tests.interpret.bisimulation import compare
from tests.interpret.equivalence import Equivalence

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
    found = Replayed()
    began = time.monotonic()
    schema, same = read_schema(connection), Equivalence(connection)
    for statement in statements:
        comparison = compare(schema, statement, connection, same)
        schema = comparison.after
        found.statements += 1
        found.refused += comparison.sqlstate is not None
        found.differences.update(each.kind for each in comparison.differences)
        found.lines += comparison.lines()
        if comparison.unknown is not None:
            found.unknown[comparison.unknown.why] += 1
    found.seconds = time.monotonic() - began
    return found


def forwards(connection: BaseDatabaseWrapper) -> list[str]:
    """Migrate everything; return what was executed."""
    with recorded(connection) as texts:
        call_command("migrate", database=connection.alias, verbosity=0, stdout=StringIO())
    return texts


def backwards(connection: BaseDatabaseWrapper) -> list[str]:
    """Unapply every app's migrations; return what was executed.

    What has no way back stays, and what it ended with too.
    """
    from django.db.migrations.exceptions import IrreversibleError
    from django.db.migrations.loader import MigrationLoader

    apps = sorted(MigrationLoader(connection).migrated_apps)
    options = {"database": connection.alias, "verbosity": 0, "stdout": StringIO()}
    with recorded(connection) as texts:
        for app in apps:
            try:
                call_command("migrate", app, "zero", **options)
            except (CommandError, DatabaseError, IrreversibleError, ValueError) as error:
                print(f"{app}: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
                connection.close()
    return texts


def main() -> None:
    """Record a project's history forwards and backwards, replay it, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of a superuser of a server: two databases are made on it")
    parser.add_argument("--keep", type=Path, help="record to this file, and no more")
    parser.add_argument("--given", type=Path, help="replay what --keep has written")
    parser.add_argument("--lines", type=int, default=40, help="so many differences are printed")
    options = parser.parse_args()
    _use(options.url)
    if options.given:
        history = json.loads(options.given.read_text())
    else:
        with _database() as connection:
            history = {"forwards": forwards(connection), "backwards": backwards(connection)}
    if options.keep:
        options.keep.write_text(json.dumps(history))
        return
    with _database() as connection:
        for direction, texts in history.items():
            found = replay(list(statements_of(texts)), connection)
            print(f"{direction}: {found}", *found.lines[: options.lines], sep="\n", flush=True)


def _use(url: str) -> None:
    """Let the default alias of the project be on the server."""
    import django
    from django.conf import settings

    parts = urlsplit(url)
    settings.DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": parts.username,
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname,
        "PORT": parts.port,
    }
    django.setup()


@contextmanager
def _database() -> Iterator[BaseDatabaseWrapper]:
    """Yield the default connection, led to a database of its own that goes at the end."""
    from django.db import connections

    name = f"history_{token_hex(4)}"
    connection = connections["default"]
    maintenance = connection.copy()
    maintenance.settings_dict["NAME"] = "postgres"
    with maintenance.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        connection.close()
        connection.settings_dict["NAME"] = name
        try:
            yield connection
        finally:
            connection.close()
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    maintenance.close()


if __name__ == "__main__":
    main()
