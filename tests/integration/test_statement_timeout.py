"""A statement_timeout of the role is meant for the application, and ends no question of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.aliases import guest
from tests.conftest import Ops, execute


def test_a_statement_timeout_of_the_role_ends_no_question_of_ours(
    staging: str, ops: Ops, role: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    made = role("SUPERUSER")
    limit = sql.SQL("ALTER ROLE {} SET statement_timeout = 5").format(sql.Identifier(made["USER"]))
    execute(connections[staging], limit)

    codes = {}
    for name, options in (
        ("preflight_migrate", {}),
        ("seed_payment_id", {"dry_run": True}),
        ("run_uat", {"save_baseline": str(tmp_path / "before.json")}),
        ("backup_db", {"directory": str(tmp_path)}),
    ):
        with guest(staging, made) as alias:
            codes[name] = ops(name, database=alias, **options).code

    assert codes == {"preflight_migrate": 1, "seed_payment_id": 0, "run_uat": 0, "backup_db": 0}
