"""measure.py make|drift|sqldiff: one of the two sides, timed from within."""

import io
import json
import sys
import time
from collections.abc import Callable

import django
from django.apps import apps
from django.core.management import call_command
from django.db import connections

django.setup()
connection = connections["default"]


def drift() -> Callable[[], int]:
    """Read the catalog, and compare it with the state of the applied migrations.

    The migration files are loaded before, as sqldiff's models are.
    """
    from django.db.migrations.executor import MigrationExecutor

    from opsmigrate.postgres.catalog import read_catalog
    from opsmigrate.schema.applied import applied_state
    from opsmigrate.schema.drift import drift_of

    executor = MigrationExecutor(connection)
    state = applied_state(executor)
    return lambda: len(drift_of(connection, executor, read_catalog(connection), state))


def sqldiff() -> Callable[[], int]:
    """Let django-extensions compare the models with the tables; return its lines of ALTER."""
    from django_extensions.management.commands.sqldiff import Command

    def run() -> int:
        out = io.StringIO()
        call_command(Command(), all_applications=True, stdout=out)
        return out.getvalue().count("ALTER ")

    return run


def timed(side: Callable[[], int]) -> dict[str, float]:
    """Return the seconds, the queries, and what was found."""
    queries = 0

    def count(execute, statement, params, many, context):  # type: ignore[no-untyped-def]
        nonlocal queries
        queries += 1
        return execute(statement, params, many, context)

    connection.ensure_connection()
    started = time.perf_counter()
    with connection.execute_wrapper(count):
        found = side()
    return {"seconds": time.perf_counter() - started, "queries": queries, "found": found}


def make() -> None:
    """Make the tables and record the migration; migrate would take long to render its states."""
    # One transaction would hold a lock on each table, more than a usual server has room for.
    with connection.schema_editor(atomic=False) as editor:
        for model in apps.get_app_config("many").get_models():
            editor.create_model(model)
    call_command("migrate", fake=True, verbosity=0)


if sys.argv[1] == "make":
    make()
    print("{}")
else:
    print(json.dumps(timed({"drift": drift, "sqldiff": sqldiff}[sys.argv[1]]())))
