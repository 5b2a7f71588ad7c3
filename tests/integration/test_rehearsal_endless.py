"""A migration that never ends, or waits for itself: the rehearsal ends, and says where it stood."""

import time
from typing import Any

import pytest

from tests.conftest import Ops, query
from tests.integration.zoo_migrations import Write
from tests.rehearsals import SCRATCH, prepared, rehearse, rehearse_project
from tests.tiers import one_in_core

AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
ENDLESS = {
    "sleeps on the server": 'migrations.RunSQL("SELECT pg_sleep(100000)"),',
    "sleeps in Python": "migrations.RunPython("
    "lambda apps, editor: __import__('time').sleep(100000)),",
    "loops in Python": "migrations.RunPython(lambda apps, editor: [None for _ in iter(int, 1)]),",
    "is deaf": "migrations.RunPython(lambda apps, editor: [__import__('signal').signal("
    "__import__('signal').SIGTERM, __import__('signal').SIG_IGN),"
    " __import__('time').sleep(1000)]),",
}
PLACES = {"on the live server": "default", "on a server of its own": None}
LEFT = "SELECT pid FROM pg_stat_activity WHERE datname LIKE 'opsmigrate_scratch%%'"


@pytest.mark.parametrize("pending", one_in_core(ENDLESS.values()), ids=ENDLESS.keys())
def test_what_never_ends_is_ended_and_named(
    pending: str, empty_database: str, write_migrations: Write, ops: Ops, settings: Any
) -> None:
    settings.OPSMIGRATE = {
        "ENVIRONMENT": "test",
        "REHEARSE_ON": "default",
        "REHEARSE_MAX_SECONDS": 6,
    }
    alias = prepared(empty_database, write_migrations, f"{AGE}\n{pending}")

    answer = rehearse(ops, alias)

    assert (answer.code, answer.ids) == (3, []), answer.stdout
    [item] = [item for item in answer.report["undecided"] if "did not end" in item["why"]]
    assert item["what"].startswith("zoo.0002_step 1: Run")
    assert "6 s (REHEARSE_MAX_SECONDS)" in item["why"]
    facts = answer.report["facts"]["rehearsal"]
    assert facts["applied"] is False
    assert facts["migrate_seconds"] < 6 + 20  # what is deaf is waited for, and the machine is busy
    assert query(alias, LEFT) == []
    assert query(alias, SCRATCH) == []


SECOND = """
DATABASES["second"] = dict(DATABASES["default"])
"""
WAITS = """
from django.db import connections, transaction
with transaction.atomic():
    with connections["default"].cursor() as cursor:
        cursor.execute("CREATE TABLE one (n int)")
        cursor.execute("LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")
    with connections["second"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_migrations")
"""


@pytest.mark.long
@pytest.mark.major
@pytest.mark.parametrize("on", one_in_core(PLACES.values()), ids=PLACES.keys())
def test_what_waits_for_itself_through_another_alias_fails_as_migrate_would_hang(
    on: str | None, empty_database: str, tmp_path: Any
) -> None:
    where = f"""OPSMIGRATE = {{**OPSMIGRATE, "REHEARSE_ON": {on!r}}}\n"""
    begun = time.monotonic()

    answer = rehearse_project(
        empty_database, tmp_path, code=WAITS, settings=SECOND + where, seconds=150
    )

    assert (answer.code, answer.ids) == (1, ["rehearsal-failed"]), answer.stdout
    [finding] = answer.report["findings"]
    assert (finding["migration"], finding["operation"]) == ("eager.0001_initial", "0: RunPython")
    assert "it waits for itself: the session " in finding["message"]
    assert "django_migrations" in finding["evidence"]["sql"]
    assert time.monotonic() - begun < 140
    assert query(empty_database, LEFT) == []
    assert query(empty_database, SCRATCH) == []
