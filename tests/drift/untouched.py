"""python -m tests.drift.untouched: migrate step by step, and ask preflight what it has against it.

Works on the project of DJANGO_SETTINGS_MODULE and on the server of its default alias, on which it
makes and drops a database untouched_now. At every tenth migration of the history, and at its end,
the database is as `migrate` left it: preflight must say no error, and nothing about drift.
"""

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import django
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from tests.json_reports import parsed

DATABASE = "untouched_now"


@dataclass(frozen=True)
class Look:
    """What preflight said after `number` migrations, the last of which was `migration`."""

    number: int
    migration: str
    report: dict[str, Any]

    @property
    def wrong(self) -> list[str]:
        """Return what must not be said of a database that nobody touched."""
        drift = [f"{item['id']} {item['table']}" for item in self.report["facts"]["drift"] or ()]
        return drift + [
            f"{finding['severity']} {finding['id']}: {finding['message']}"
            for finding in self.report["findings"]
            if finding["severity"] == "error" or finding["id"].startswith("drift")
        ]


def looks(alias: str, *, every: int = 10) -> Iterator[Look]:
    """Migrate the empty database of the alias to its end; look at every so many migrations."""
    executor = MigrationExecutor(connections[alias])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    for number, (migration, _) in enumerate(plan, 1):
        name = migration.app_label, migration.name
        _migrate(alias, name)
        if number % every == 0 or number == len(plan):
            yield Look(number, ".".join(name), _ask(alias))


def _migrate(alias: str, name: tuple[str, str]) -> None:
    try:
        call_command("migrate", *name, database=alias, verbosity=0)
    except Exception:
        # A project's post_migrate receivers may need the whole history.
        if name not in MigrationRecorder(connections[alias]).applied_migrations():
            raise


def _ask(alias: str) -> dict[str, Any]:
    out = io.StringIO()
    with contextlib.suppress(CommandError):
        call_command("preflight_migrate", database=alias, format="json", rehearse="off", stdout=out)
    report: dict[str, Any] = parsed(out.getvalue())
    return report


def main() -> int:
    """Look, print what was wrong and how much was looked at; 0 where nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=10)
    options = parser.parse_args()
    django.setup()
    connection = connections["default"]
    with _database(connection):
        started = time.monotonic()
        seen = list(looks("default", every=options.every))
    for look in seen:
        for words in look.wrong:
            print(f"after {look.number} ({look.migration}): {words}")
    version = connection.settings_dict["HOST"], connection.settings_dict["PORT"]
    wrong = sum(bool(look.wrong) for look in seen)
    print(
        f"{len(seen)} looks at {seen[-1].number} migrations on {version[0]}:{version[1]} in "
        f"{time.monotonic() - started:.0f} s: {wrong} with something to say"
    )
    return 1 if wrong else 0


@contextlib.contextmanager
def _database(connection: Any) -> Iterator[None]:
    """Point the connection at a new database, and drop that at the end."""

    def admin(*statements: str, then: str) -> None:
        connection.close()
        connection.settings_dict["NAME"] = "postgres"
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.close()
        connection.settings_dict["NAME"] = then

    drop = f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"
    admin(drop, f"CREATE DATABASE {DATABASE}", then=DATABASE)
    try:
        yield
    finally:
        admin(drop, then="postgres")


if __name__ == "__main__":
    sys.exit(main())
