"""run_uat says yes only to what was seen, and cannot write while it looks."""

from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.db import connections
from django.test import override_settings

from opsmigrate import uat
from tests.acceptance import accept, check_of, checks_without
from tests.conftest import Ops, execute
from tests.json_reports import parsed
from tests.remedies import Typist

pytestmark = [pytest.mark.newest, pytest.mark.usefixtures("own_registry")]


DATABASE_CHECKS = {
    "migrations-applied": "nothing pending; applied up to ",
    "migrations-on-disk": "all ",
    "seeded-column": "public.treasury_payment.payment_id: uuid, NOT NULL, unique "
    "(treasury_payment_payment_id_key)",
    "seeded-values": "public.treasury_payment.payment_id: 200 rows, 0 NULLs, 0 duplicates",
    "seeded-references": "foreign keys point to public.treasury_payment, all validated",
    "schema-as-claimed": "no difference from what ",
    "constraints-valid": "constraints, all valid",
    "sequences-ahead": "sequences, each ahead of its column",
    "treasury-amounts": "payments, ",
    "treasury-alerts": "none to a missing one",
}


def test_a_migrated_and_seeded_database_passes_every_check_on_it(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    answer = accept(ops, migrated, tmp_path, tag=["database"])

    assert (answer.code, answer.report["verdict"]) == (0, "passed")
    outcomes = answer.report["facts"]["checks"]
    applying = checks_without("baseline", "baseline-pages", tag="database")
    assert {outcome["id"]: outcome["status"] for outcome in outcomes} == dict.fromkeys(
        applying, "PASS"
    )
    count = len(applying)
    assert answer.report["facts"]["summary"] == f"{count} checks: {count} PASS"
    assert answer.report["findings"] == []
    for id, saw in DATABASE_CHECKS.items():
        outcome = check_of(answer, id)
        assert outcome["status"] == "PASS"
        assert saw in outcome["message"]
    assert answer.report["facts"]["environment"] == "test"
    assert answer.report["facts"]["release"] == "test-release"


def test_a_pending_migration_fails(staging: str, ops: Ops, tmp_path: Path) -> None:
    answer = accept(ops, staging, tmp_path, check=["migrations-applied"])

    assert (answer.code, answer.ids) == (1, ["check-failed"])
    [finding] = answer.report["findings"]
    assert finding["message"] == (
        "migrations-applied: 1 pending: treasury.0002_phase6_dashboard_models"
    )
    assert finding["severity"] == "error"
    assert [step["text"] for step in finding["steps"]] == [
        f"python manage.py preflight_migrate --database {staging}",
        f"python manage.py migrate --database {staging}",
    ]
    assert check_of(answer, "migrations-applied")["steps"] == finding["steps"]
    assert finding["evidence"] == {
        "check": "migrations-applied",
        "status": "FAIL",
        "detail": "",
    }


def test_an_applied_migration_that_is_not_on_disk_fails(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    execute(
        connections[migrated],
        "INSERT INTO django_migrations (app, name, applied)"
        " VALUES ('treasury', '0003_lost', now())",
    )

    answer = accept(ops, migrated, tmp_path, tag=["migrations"])

    assert answer.code == 1
    assert check_of(answer, "migrations-on-disk")["status"] == "FAIL"
    assert check_of(answer, "migrations-on-disk")["message"] == (
        "applied, but not on disk: treasury.0003_lost"
    )


@pytest.mark.parametrize(
    ("change", "failed", "saw"),
    [
        (
            "ALTER TABLE treasury_payment ALTER COLUMN payment_id DROP NOT NULL",
            "seeded-column",
            "public.treasury_payment.payment_id may be NULL",
        ),
        (
            "ALTER TABLE treasury_payment DROP CONSTRAINT treasury_payment_payment_id_key CASCADE",
            "seeded-column",
            "public.treasury_payment.payment_id has no valid unique index",
        ),
        (
            "ALTER TABLE treasury_payment DROP COLUMN payment_id CASCADE",
            "seeded-column",
            "public.treasury_payment has no column payment_id",
        ),
        (
            "ALTER TABLE treasury_payment ALTER COLUMN payment_id DROP NOT NULL;"
            "ALTER TABLE treasury_payment DROP CONSTRAINT treasury_payment_payment_id_key CASCADE;"
            "UPDATE treasury_payment SET payment_id = NULL WHERE id <= 3;"
            "UPDATE treasury_payment SET payment_id = gen_random_uuid() WHERE id = 4;"
            "UPDATE treasury_payment p SET payment_id = q.payment_id FROM treasury_payment q"
            " WHERE p.id = 5 AND q.id = 4",
            "seeded-values",
            "public.treasury_payment.payment_id: 200 rows, 3 NULLs, 1 duplicate",
        ),
        (
            "UPDATE treasury_payment SET amount = 1 WHERE id = 1;"
            "ALTER TABLE treasury_payment DROP CONSTRAINT IF EXISTS treasury_payment_amount_check;"
            "DO $$ DECLARE name text; BEGIN FOR name IN SELECT conname FROM pg_constraint"
            " WHERE conrelid = 'treasury_payment'::regclass AND contype = 'c' LOOP"
            " EXECUTE format('ALTER TABLE treasury_payment DROP CONSTRAINT %I', name);"
            " END LOOP; END $$;"
            "UPDATE treasury_payment SET amount = -1",
            "treasury-amounts",
            "payments without a positive amount in ",
        ),
    ],
    ids=["nullable", "not unique", "no column", "NULLs and duplicates", "amounts"],
)
def test_what_is_wrong_in_the_database_fails_with_the_check_that_saw_it(
    migrated: str,
    ops: Ops,
    tmp_path: Path,
    typist: Typist,
    change: str,
    failed: str,
    saw: str,
) -> None:
    execute(connections[migrated], change)

    answer = accept(ops, migrated, tmp_path, tag=["seed", "treasury"], exclude=["treasury-alerts"])

    assert (answer.code, answer.report["verdict"]) == (1, "failed")
    outcome = check_of(answer, failed)
    assert outcome["status"] == "FAIL"
    assert outcome["message"].startswith(saw)
    if failed == "seeded-column":
        [finding] = [f for f in answer.report["findings"] if f["evidence"]["check"] == failed]
        typist.type(migrated, finding)
        assert accept(ops, migrated, tmp_path, check=[failed]).code == 0
    if failed == "seeded-values":
        [keys] = [each["rows"] for each in outcome["evidence"] if each["kind"] == "table"]
        assert [row[0] for row in keys] == ["key", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER COLUMN memo DROP NOT NULL", "public.treasury_payment.memo may be NULL"),
        ("DROP COLUMN memo", "public.treasury_payment has no column memo"),
    ],
    ids=["nullable", "no column"],
)
def test_another_column_of_seed_is_accepted_as_its_field_wants_it(
    migrated: str, ops: Ops, tmp_path: Path, settings: Any, change: str, said: str
) -> None:
    settings.OPSMIGRATE = {
        **settings.OPSMIGRATE,
        "SEED": {"model": "treasury.Payment", "field": "memo", "expression": "'none'"},
    }
    execute(connections[migrated], f"ALTER TABLE treasury_payment {change}")

    before = accept(ops, migrated, tmp_path, tag=["seed"])
    assert before.code == 1
    assert check_of(before, "seeded-column")["message"] == said
    assert ops("seed_payment_id", database=migrated).code == 0
    after = accept(ops, migrated, tmp_path, tag=["seed"])

    assert after.code == 0, after.stdout
    assert check_of(after, "seeded-column")["message"] == (
        "public.treasury_payment.memo: text, NOT NULL"
    )
    assert check_of(after, "seeded-values")["message"] == (
        "public.treasury_payment.memo: 200 rows, 0 NULLs"
    )


def test_rows_without_a_value_fail_where_the_field_is_not_unique(
    migrated: str, ops: Ops, tmp_path: Path, settings: Any
) -> None:
    settings.OPSMIGRATE = {
        **settings.OPSMIGRATE,
        "SEED": {"model": "treasury.Payment", "field": "memo"},
    }
    execute(connections[migrated], "ALTER TABLE treasury_payment ALTER COLUMN memo DROP NOT NULL")
    execute(connections[migrated], "UPDATE treasury_payment SET memo = NULL WHERE id <= 2")

    answer = accept(ops, migrated, tmp_path, check=["seeded-values"])

    outcome = check_of(answer, "seeded-values")
    assert (answer.code, outcome["message"]) == (
        1,
        "public.treasury_payment.memo: 200 rows, 2 NULLs",
    )
    [keys] = [each["rows"] for each in outcome["evidence"] if each["kind"] == "table"]
    assert keys == [["key", "memo"], ["1", "NULL"], ["2", "NULL"]]


def test_a_foreign_key_that_is_not_validated_fails(
    migrated: str, ops: Ops, tmp_path: Path, typist: Typist
) -> None:
    execute(connections[migrated], "CREATE TABLE late (payment_id uuid)")
    execute(
        connections[migrated],
        "ALTER TABLE late ADD CONSTRAINT late_fk FOREIGN KEY (payment_id)"
        " REFERENCES treasury_payment (payment_id) NOT VALID",
    )

    answer = accept(ops, migrated, tmp_path, check=["seeded-references"])

    assert answer.code == 1
    assert check_of(answer, "seeded-references")["message"] == "not validated: public.late.late_fk"
    typist.type(migrated, answer.report["findings"][0])
    assert accept(ops, migrated, tmp_path, check=["seeded-references"]).code == 0


def test_without_a_seed_or_urls_in_the_settings_their_checks_do_not_apply(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    with override_settings(OPSMIGRATE={"ENVIRONMENT": "test"}):
        answer = accept(ops, migrated, tmp_path, exclude=["deployment-checks"])
        alone = accept(ops, migrated, tmp_path, tag=["seed"])

    assert answer.code == 0
    seeded = ["seeded-column", "seeded-values", "seeded-references"]
    urls = ["inside-urls", "release"]
    assert set(answer.report["facts"]["deselected"]) >= {*seeded, "key-urls", "url-latency", *urls}
    assert (alone.code, alone.ids) == (3, ["no-checks"])


def test_no_check_at_all_is_undecided(migrated: str, ops: Ops, tmp_path: Path) -> None:
    answer = accept(ops, migrated, tmp_path, tag=["site"], exclude=["site"])

    assert (answer.code, answer.ids) == (3, ["no-checks"])
    assert answer.report["findings"][0]["message"] == (
        "no check was selected, so nothing was verified"
    )
    [step] = answer.report["findings"][0]["steps"]
    assert step["text"] == f"python manage.py run_uat --database {migrated} --list"


def test_an_unknown_check_is_a_usage_error(migrated: str, ops: Ops, tmp_path: Path) -> None:
    answer = accept(ops, migrated, tmp_path, check=["treasury-alert"])

    assert (answer.code, answer.ids) == (2, ["unknown-check"])
    assert answer.report["findings"][0]["message"] == "there is no check or tag 'treasury-alert'"


@pytest.mark.parametrize("option", ["tag", "exclude"])
def test_an_unknown_tag_is_a_usage_error_and_not_passed_over(
    option: str, migrated: str, ops: Ops, tmp_path: Path
) -> None:
    answer = accept(ops, migrated, tmp_path, **{option: ["treasure"]})

    assert (answer.code, answer.ids) == (2, ["unknown-check"])


def test_list_names_the_checks_and_runs_none(migrated: str, ops: Ops, tmp_path: Path) -> None:
    answer = accept(ops, migrated, tmp_path / "none", list=True, exclude=["site"])
    text = accept(ops, migrated, tmp_path / "none", list=True, format="text").stdout

    assert answer.code == 0
    assert set(DATABASE_CHECKS) <= set(answer.report["facts"]["checks"])
    assert "key-urls" not in answer.report["facts"]["checks"]
    assert "  treasury-alerts (major; treasury, database)\n" in text
    assert not (tmp_path / "none").exists()


def test_the_reports_are_written_on_failure_too_and_say_the_same(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    folder = tmp_path / "made" / "reports"

    answer = accept(ops, staging, folder, tag=["migrations"], verbosity=1)

    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"uat_report.{ending}" for ending in ("html", "json", "txt", "xml")]
    written = parsed((folder / "uat_report.json").read_text())
    assert len(written.pop("sha256")) == 64
    assert written == answer.report
    text = (folder / "uat_report.txt").read_text(encoding="utf-8")
    assert text.startswith("FAILED: 3 checks: 1 PASS, 2 FAIL\n")
    assert "\nFAIL     migrations-applied (blocker, " in text
    assert f"Reports: {folder / 'uat_report'}.html, .txt, .json and .xml" in answer.stderr


def test_the_text_report_stays_within_80_columns_where_words_allow(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    def tell(context: uat.Context) -> str:
        raise uat.Failed("words and more words " * 20, evidence="evidence " * 30)

    uat.check("mine")(tell)
    accept(ops, staging, tmp_path, exclude=["site"])

    lines = (tmp_path / "uat_report.txt").read_text(encoding="utf-8").splitlines()
    long = [line for line in lines if len(line) > 80]
    assert len(lines) > 25
    # What is to be typed next stays on one line, to be copied.
    allowed = [line for line in long if line.startswith("    next: ") or len(line.split()) == 1]
    assert allowed == long


def test_a_folder_of_reports_that_cannot_be_made_is_a_usage_error(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    answer = accept(ops, migrated, tmp_path / "file")

    assert (answer.code, answer.ids) == (2, ["cannot-write-output"])
    assert answer.report["findings"][0]["hint"] == (
        "name a folder that can be written with --report-dir"
    )


def test_a_system_check_error_of_the_project_is_a_failed_check_and_not_the_end(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    def broken(**kwargs: Any) -> list[checks.CheckMessage]:
        return [checks.Error("the treasury is broken", id="treasury.E001")]

    checks.register(broken)
    try:
        answer = accept(
            ops,
            migrated,
            tmp_path,
            check=["django-checks", "migrations-on-disk"],
        )
    finally:
        checks.registry.registry.registered_checks.discard(broken)

    assert (answer.code, answer.ids) == (1, ["check-failed"])
    assert check_of(answer, "django-checks")["message"] == "treasury.E001: the treasury is broken"
    assert check_of(answer, "migrations-on-disk")["status"] == "PASS"


@pytest.mark.parametrize("debug", [False, True], ids=["deployed", "being developed"])
def test_an_error_of_check_deploy_blocks_what_is_deployed_and_is_told_once(
    debug: bool, migrated: str, ops: Ops, tmp_path: Path, settings: Any
) -> None:
    def lax(**kwargs: Any) -> list[checks.CheckMessage]:
        return [
            checks.Error("mail goes to the console", id="treasury.E002"),
            checks.Warning("mail is slow", id="treasury.W003"),
        ]

    settings.DEBUG = debug
    checks.register(lax, deploy=True)
    try:
        answer = accept(ops, migrated, tmp_path, check=["django-checks", "deployment-checks"])
    finally:
        checks.registry.registry.deployment_checks.discard(lax)

    blocking, minor = (check_of(answer, f"{name}-checks") for name in ("django", "deployment"))
    assert (blocking["severity"], minor["severity"]) == ("blocker", "minor")
    assert (answer.code, blocking["status"]) == ((0, "PASS") if debug else (1, "FAIL"))
    assert minor["status"] == "FAIL"
    assert "treasury.W003: mail is slow" in minor["message"]
    error = "treasury.E002: mail goes to the console"
    assert [error in each["message"] for each in (blocking, minor)] == [not debug, debug]
