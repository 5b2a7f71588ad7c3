"""The rehearsal's own process: the project's `migrate`, on the scratch database, inside the fence.

Reads a job (JSON) from standard input and writes what happened (JSON) to the file that it names.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration

from opsmigrate.postgres.errors import first_line, sqlstate
from opsmigrate.preflight.fence import raise_fence, require_inside

LONGEST_SQL = 2000


class Trace:
    """Which migration and operation is running, and each statement that it executes."""

    def __init__(self) -> None:
        self.migration: str | None = None
        self.operation: str | None = None
        self.statements: list[dict[str, Any]] = []
        self.refused: list[dict[str, str | None]] = []

    def refuse(self, what: str) -> None:
        """Remember what the fence refused, and to whom."""
        self.refused.append({"what": what, **self._place()})

    def __call__(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        """Execute one statement for Django (connection.execute_wrapper) and note it."""
        require_inside(str(sql), self.refuse)
        statement: dict[str, Any] = {**self._place(), "sql": str(sql)[:LONGEST_SQL]}
        self.statements.append(statement)
        started = time.monotonic()
        try:
            return execute(sql, params, many, context)
        finally:
            statement["seconds"] = round(time.monotonic() - started, 4)
            statement["rows"] = context["cursor"].rowcount

    def _place(self) -> dict[str, str | None]:
        return {"migration": self.migration, "operation": self.operation}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Follow every migration and operation, whichever command applies them."""
        real = {name: getattr(Migration, name) for name in ("apply", "unapply")}
        for name, method in real.items():
            setattr(Migration, name, self._watched(method))
        try:
            yield
        finally:
            for name, method in real.items():
                setattr(Migration, name, method)

    def _watched(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(migration: Migration, *args: Any, **kwargs: Any) -> Any:
            self.migration = f"{migration.app_label}.{migration.name}"
            for number, operation in enumerate(migration.operations):
                label = f"{number}: {type(operation).__name__}"
                for name in ("database_forwards", "database_backwards"):
                    move = self._labelled(label, getattr(operation, name))
                    # Operations may have __slots__; then the label of the one before stays.
                    with suppress(AttributeError):
                        setattr(operation, name, move)
            try:
                return method(migration, *args, **kwargs)
            finally:
                if sys.exc_info()[0] is None:
                    self.operation = None

        return run

    def _labelled(self, label: str, move: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            self.operation = label
            return move(*args, **kwargs)

        return run


def main() -> None:
    """Do the job of standard input."""
    job = json.load(sys.stdin)
    django.setup()
    connection = _repoint(job)
    trace = Trace()
    lift = raise_fence(connection, trace.refuse)
    failure = _migrate(job, connection, trace)
    lift()
    result = {
        "failure": failure,
        "statements": trace.statements,
        "refused": trace.refused,
    }
    Path(job["result"]).write_text(json.dumps(result, default=str), encoding="utf-8")


def _repoint(job: dict[str, Any]) -> BaseDatabaseWrapper:
    """Return the alias's connection, pointed at the scratch database on the examined server."""
    alias = job["alias"]
    if alias not in connections.settings:
        connections.settings[alias] = {**connections.settings["default"]}
    connections.settings[alias].update(job["place"])
    for name in connections.settings:
        connections.settings[name]["OPTIONS"].pop("pool", None)
    connections.settings[alias]["OPTIONS"].pop("dbname", None)
    # An AppConfig.ready() that asks the database has connected to the examined one by now.
    connections.close_all()
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        if cursor.fetchone()[0] != job["place"]["NAME"]:
            raise SystemExit("the rehearsal did not reach its scratch database")
    return connection


def _migrate(
    job: dict[str, Any], connection: BaseDatabaseWrapper, trace: Trace
) -> dict[str, Any] | None:
    try:
        with connection.execute_wrapper(trace), trace.watching():
            call_command(
                "migrate",
                *job["arguments"],
                database=job["alias"],
                interactive=False,
                verbosity=0,
                skip_checks=True,
                **job["flags"],
            )
    except (Exception, SystemExit) as error:
        return {
            "migration": trace.migration,
            "operation": trace.operation,
            "sql": trace.statements[-1]["sql"] if trace.statements else None,
            "error": type(error).__name__,
            "words": first_line(error),
            "sqlstate": sqlstate(error) if isinstance(error, Error) else None,
        }
    return None


if __name__ == "__main__":
    main()
