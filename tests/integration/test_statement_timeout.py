"""A statement_timeout that ends our own question is told, and what is said to lift it does."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.aliases import guest
from tests.conftest import Ops, environment_for, execute, run, url_of
from tests.cures import psql


def test_what_is_said_of_a_statement_timeout_of_the_role_helps(
    staging: str, ops: Ops, role: Callable[..., dict[str, str]]
) -> None:
    made = role("SUPERUSER")
    limit = sql.SQL("ALTER ROLE {} SET statement_timeout = 1").format(sql.Identifier(made["USER"]))
    execute(connections[staging], limit)

    with guest(staging, made) as alias:
        cancelled = ops("preflight_migrate", database=alias)
        env = environment_for(url_of(alias), PGOPTIONS="-c statement_timeout=0")
    by_variable = run("manage.py", "preflight_migrate", "--format=json", env=env)
    [finding] = cancelled.report["findings"]
    [step] = finding["steps"]
    psql(staging, step["text"])
    with guest(staging, made) as alias:
        lifted = ops("preflight_migrate", database=alias)

    assert (cancelled.code, finding["id"]) == (3, "database-error")
    assert finding["hint"].startswith("statement_timeout is 1 ms for this role. For one run, ")
    assert (by_variable.code, "missing-column" in by_variable.ids) == (1, True)
    assert (lifted.code, "missing-column" in lifted.ids) == (1, True)
