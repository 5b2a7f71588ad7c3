"""measure.py make|drift|sqldiff: one of the two sides, timed from within."""

import io
import json
import sys
import time
from collections.abc import Callable

import django
from django.core.management import call_command
from django.db import connections

django.setup()
connection = connections["default"]


def drift() -> int:
    """Read the catalog, and compare it with the state of the applied migrations."""
    from django.db.migrations.executor import MigrationExecutor

    from opsmigrate.postgres.catalog import read_catalog
    from opsmigrate.schema.drift import drift_of

    return len(drift_of(connection, MigrationExecutor(connection), read_catalog(connection)))


def sqldiff() -> int:
    """Let django-extensions compare the models with the tables; return its lines of ALTER."""
    out = io.StringIO()
    call_command("sqldiff", all_applications=True, stdout=out)
    return out.getvalue().count("ALTER ")


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


if sys.argv[1] == "make":
    call_command("migrate", verbosity=0)
    print("{}")
else:
    print(json.dumps(timed({"drift": drift, "sqldiff": sqldiff}[sys.argv[1]])))
