"""What `migrate --check` lets pass: a schema that is not what the migrations claim."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connections

from tests.acceptance import accept, check_of
from tests.conftest import Ops, execute

pytestmark = pytest.mark.newest

TABLES = "treasury_alert, treasury_alertrule, treasury_paymentnote, treasury_widget"


@pytest.mark.major
@pytest.mark.parametrize(
    ("planted", "check", "words"),
    [
        (
            f"DROP TABLE {TABLES}",
            "schema-as-claimed",
            "public.treasury_alert: the applied migrations describe the table of treasury.Alert",
        ),
        (
            "INSERT INTO django_migrations (app, name, applied)"
            " VALUES ('treasury', '0003_lost', now())",
            "migrations-on-disk",
            "treasury.0003_lost",
        ),
        (
            "ALTER TABLE treasury_payment DROP COLUMN memo,"
            " DROP CONSTRAINT treasury_payment_account_reference",
            "schema-as-claimed",
            "public.treasury_payment.memo: the applied migrations describe",
        ),
    ],
    ids=["a faked migration without its tables", "a migration not on disk", "dropped"],
)
def test_a_planted_drift_is_caught(
    migrated: str, ops: Ops, tmp_path: Path, planted: str, check: str, words: str
) -> None:
    before = accept(ops, migrated, tmp_path, tag=["migrations"])
    execute(connections[migrated], planted)

    answer = accept(ops, migrated, tmp_path, tag=["migrations"])

    assert before.code == 0, before.stdout
    assert (answer.code, answer.report["verdict"]) == (1, "failed")
    assert check_of(answer, check)["status"] == "FAIL"
    assert words in check_of(answer, check)["message"]


def test_a_dropped_unique_constraint_is_named_with_its_remedy(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    execute(
        connections[migrated],
        "ALTER TABLE treasury_payment DROP CONSTRAINT treasury_payment_account_reference",
    )

    answer = accept(ops, migrated, tmp_path, check=["schema-as-claimed"])

    outcome = check_of(answer, "schema-as-claimed")
    assert outcome["status"] == "FAIL"
    assert "treasury_payment" in outcome["message"]
    (finding,) = answer.report["findings"]
    assert finding["steps"][-1]["text"] == (
        'ALTER TABLE "public"."treasury_payment" '
        'ADD CONSTRAINT "treasury_payment_account_reference" '
        'UNIQUE ("account_id", "reference");'
    )
    [table] = [each for each in outcome["evidence"] if each["kind"] == "table"]
    assert len(table["rows"]) == 2
