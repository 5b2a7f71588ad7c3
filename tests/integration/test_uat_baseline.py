"""Before and after: what must be equal is, a cent is found, and a foreign baseline is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from opsmigrate import uat
from opsmigrate.uat.baseline.figures import stable_marks
from opsmigrate.uat.registry import registry
from tests.acceptance import accept, check_of
from tests.conftest import Answer, Ops, execute, query
from tests.json_reports import parsed

pytestmark = [pytest.mark.newest, pytest.mark.usefixtures("own_registry")]


@pytest.fixture
def save(ops: Ops, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that saves the baseline of a database and returns its file."""

    def call(alias: str) -> Path:
        file = tmp_path / "before.json"
        answer = ops("run_uat", database=alias, save_baseline=str(file))
        assert answer.code == 0, answer.stdout
        return file

    return call


@pytest.fixture
def not_live(own_registry: None) -> None:
    """Have no table of the treasury that people go on adding to."""
    del registry._expectations["treasury.Payment"]


def compare(ops: Ops, alias: str, file: Path, folder: Path) -> Answer:
    return accept(ops, alias, folder, baseline=str(file), check=["baseline-figures"])


def test_the_database_before_the_migration_is_measured_though_the_code_is_newer(
    staging: str, ops: Ops, save: Callable[[str], Path], tmp_path: Path
) -> None:
    file = save(staging)
    call_command("seed_payment_id", database=staging, verbosity=0, stdout=StringIO())
    call_command("migrate", database=staging, verbosity=0)

    answer = compare(ops, staging, file, tmp_path)

    body = parsed(file.read_text())
    figures = body["models"]["treasury.Payment"]["figures"]
    assert figures["count"] == "500"
    assert {"sum(amount)", "count[status=paid]", "sum(amount)[status=paid]"} <= set(figures)
    assert "treasury.Alert" not in body["models"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert answer.code == 0, answer.stdout
    assert "figures of 11 models are unchanged" in check_of(answer, "baseline-figures")["message"]


@pytest.mark.major
@pytest.mark.usefixtures("not_live")
def test_one_cent_is_found_and_its_group_named(
    migrated: str, ops: Ops, save: Callable[[str], Path], tmp_path: Path
) -> None:
    file = save(migrated)
    [(key, status)] = query(migrated, "SELECT id, status FROM treasury_payment ORDER BY id LIMIT 1")
    execute(
        connections[migrated],
        "UPDATE treasury_payment SET amount = amount + 0.01 WHERE id = %s",
        [key],
    )

    answer = compare(ops, migrated, file, tmp_path)

    saw = check_of(answer, "baseline-figures")["message"]
    assert (answer.code, answer.ids) == (1, ["check-failed"])
    assert saw.startswith("2 changed without being declared: treasury.Payment.sum(amount): ")
    assert f"treasury.Payment.sum(amount)[status={status}]: " in saw
    assert saw.count("(+0.01)") == 2
    # Typed as it stands there, the check has its baseline again.
    finding = answer.report["findings"][0]
    assert "uat.expect" in finding["hint"]
    assert [step["text"] for step in finding["steps"]] == [
        f"python manage.py run_uat --database {migrated} --check baseline-figures --baseline {file}"
    ]


@pytest.mark.usefixtures("not_live")
def test_amounts_that_changed_places_are_found_though_every_sum_is_the_same(
    migrated: str, ops: Ops, save: Callable[[str], Path], tmp_path: Path
) -> None:
    file = save(migrated)
    execute(
        connections[migrated],
        "WITH two AS (SELECT a.id AS one, b.id AS other, a.amount AS x, b.amount AS y"
        "  FROM treasury_payment a JOIN treasury_payment b"
        "  ON a.status = b.status AND a.amount < b.amount LIMIT 1)"
        " UPDATE treasury_payment p SET amount = CASE p.id WHEN one THEN y ELSE x END"
        " FROM two WHERE p.id IN (one, other)",
    )

    answer = compare(ops, migrated, file, tmp_path)

    assert answer.code == 1
    saw = check_of(answer, "baseline-figures")["message"]
    assert saw.startswith("1 changed without being declared: treasury.Payment.fingerprint(amount)")


@pytest.mark.parametrize(
    ("change", "expectation", "code", "words"),
    [
        ("DELETE FROM treasury_paymentnote", None, 1, "treasury.PaymentNote.count: 1 → 0 (-1)"),
        (
            "DELETE FROM treasury_paymentnote",
            {"what": "treasury.PaymentNote.*"},
            0,
            "2 changed as declared",
        ),
        (
            "INSERT INTO auth_group (name) VALUES ('auditors')",
            {"what": "auth.Group.count", "by": 1},
            0,
            "1 changed as declared",
        ),
        (
            "DELETE FROM treasury_paymentnote",
            {"what": "treasury.PaymentNote.count", "by": 5},
            1,
            "declared to change by +5",
        ),
        (
            "SELECT 1",
            {"what": "treasury.PaymentNote.count", "by": 5},
            1,
            "treasury.PaymentNote.count: 1 → 1; declared to change by +5",
        ),
        (
            "UPDATE treasury_payment SET status = 'rejected' WHERE status = 'paid'",
            None,
            1,
            "treasury.Payment.count[status=paid]: ",
        ),
        (
            "DROP TABLE treasury_paymentnote",
            None,
            1,
            "treasury.PaymentNote: there → gone",
        ),
    ],
)
def test_a_change_must_be_declared(
    migrated: str,
    ops: Ops,
    save: Callable[[str], Path],
    tmp_path: Path,
    change: str,
    expectation: dict[str, Any] | None,
    code: int,
    words: str,
) -> None:
    file = save(migrated)
    execute(connections[migrated], change)
    if expectation:
        uat.expect(reason="meant", **expectation)

    answer = compare(ops, migrated, file, tmp_path)

    assert answer.code == code
    assert words in check_of(answer, "baseline-figures")["message"]


INSERT = (
    "INSERT INTO treasury_payment (payment_id, reference, payee, amount, currency, status,"
    " due_date, created_at, updated_at, memo, account_id) SELECT gen_random_uuid(), %s, 'x', 5,"
    " currency, 'pending', current_date, now(), now(), '', id FROM treasury_account LIMIT 1"
)


def test_rows_that_a_live_table_gains_do_not_count_and_a_change_of_the_old_ones_does(
    migrated: str, ops: Ops, save: Callable[[str], Path], tmp_path: Path
) -> None:
    file = save(migrated)
    execute(connections[migrated], INSERT, ["new-1"])
    grown = compare(ops, migrated, file, tmp_path)
    execute(connections[migrated], "DELETE FROM treasury_alert")
    execute(connections[migrated], "UPDATE treasury_payment SET amount = 7 WHERE id = 1")
    changed = compare(ops, migrated, file, tmp_path)

    assert grown.code == 0, grown.stdout
    assert "up to the highest key of that time" in check_of(grown, "baseline-figures")["message"]
    assert changed.code == 1
    assert "treasury.Payment.sum(amount)" in check_of(changed, "baseline-figures")["message"]


def test_a_payment_on_its_way_while_the_baseline_is_saved_is_waited_for(
    migrated: str, ops: Ops, save: Callable[[str], Path], tmp_path: Path
) -> None:
    writer = connections[migrated].copy(f"stranger {migrated}")
    writer.inc_thread_sharing()
    execute(writer, "BEGIN")
    execute(writer, INSERT, ["on its way"])
    execute(connections[migrated], INSERT, ["after it, and seen before it"])
    threading.Timer(0.4, lambda: execute(writer, "COMMIT")).start()

    file = save(migrated)
    answer = compare(ops, migrated, file, tmp_path)

    writer.close()
    assert answer.code == 0, answer.stdout
    assert stable_marks(connections[migrated], []) == ({}, True)


def test_a_baseline_of_another_database_is_refused(
    migrated: str, staging: str, ops: Ops, save: Callable[[str], Path], tmp_path: Path
) -> None:
    answer = compare(ops, migrated, save(staging), tmp_path)

    assert (answer.code, answer.ids) == (4, ["baseline-foreign"])
    assert "is of database " in answer.report["findings"][0]["message"]


def test_a_baseline_from_after_what_is_applied_now_is_refused(
    migrated: str, ops: Ops, save: Callable[[str], Path], tmp_path: Path
) -> None:
    file = save(migrated)
    execute(connections[migrated], "DELETE FROM django_migrations WHERE name LIKE '0002_phase6%'")

    answer = compare(ops, migrated, file, tmp_path)

    assert (answer.code, answer.ids) == (4, ["baseline-foreign"])
    assert "treasury.0002_phase6_dashboard_models" in answer.report["findings"][0]["message"]


@pytest.mark.parametrize("hours", [0.000001, None])
def test_a_stale_or_damaged_baseline_is_refused(
    migrated: str,
    ops: Ops,
    save: Callable[[str], Path],
    tmp_path: Path,
    hours: float | None,
    settings: Any,
) -> None:
    file = save(migrated)
    if hours:
        limits = {"UAT": {"BASELINE_MAX_AGE_HOURS": hours}}
        settings.OPSMIGRATE = {**settings.OPSMIGRATE, **limits}
    else:
        file.write_text(file.read_text().replace('"count": "', '"count": "1', 1))

    answer = compare(ops, migrated, file, tmp_path)

    expected = "baseline-stale" if hours else "baseline-unreadable"
    assert (answer.code, answer.ids) == (4, [expected])


def test_a_missing_baseline_is_refused(migrated: str, ops: Ops, tmp_path: Path) -> None:
    answer = compare(ops, migrated, tmp_path / "none.json", tmp_path)

    assert (answer.code, answer.ids) == (4, ["baseline-missing"])


def test_a_table_that_may_not_be_read_is_told_and_not_passed_over(
    migrated: str, ops: Ops, save: Callable[[str], Path], tmp_path: Path
) -> None:
    file = save(migrated)
    body = parsed(file.read_text())
    assert "readable" not in str(body["models"])
    execute(connections[migrated], "ALTER TABLE treasury_paymentnote RENAME COLUMN id TO ident")
    execute(
        connections[migrated], "ALTER TABLE treasury_paymentnote RENAME COLUMN author_id TO who_id"
    )

    answer = compare(ops, migrated, file, tmp_path)

    assert answer.code == 1
    assert "treasury.PaymentNote.nulls(author): " in check_of(answer, "baseline-figures")["message"]


def test_options_that_exclude_each_other_are_a_usage_error(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    answer = accept(ops, migrated, tmp_path, save_baseline=str(tmp_path / "a"), list=True)

    assert (answer.code, answer.ids) == (2, ["conflicting-options"])


def test_a_place_that_cannot_be_written_is_named_before_anything_is_done(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    answer = ops("run_uat", database=migrated, save_baseline=str(tmp_path / "none" / "a.json"))

    assert (answer.code, answer.ids) == (2, ["cannot-write-output"])
    assert answer.report["findings"][0]["hint"] == (
        "name a file in a folder that exists with --save-baseline"
    )
