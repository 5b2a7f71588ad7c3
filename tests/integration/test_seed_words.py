"""What the seed says of a field: its own words, and no renaming of what migrate is to alter."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, models

from opsmigrate.backfill.expression import GENERATED, UnknownValueError, expression_of
from tests.aliases import guest
from tests.conftest import ROOT, Ops, execute, query
from tests.remedies import Typist

FIELDS: dict[str, tuple[models.Field[Any, Any], str]] = {
    "a uuid that may be NULL": (models.UUIDField(null=True), "has no default"),
    "a text": (models.CharField(max_length=3), "has no default"),
    "a text with a function": (
        models.CharField(max_length=3, default=lambda: "x"),
        "has a Python function as its default",
    ),
    "a unique uuid": (models.UUIDField(unique=True), GENERATED),
    "a uuid with a function": (models.UUIDField(default=dict), GENERATED),
    "a uuid with a function that may be NULL": (
        models.UUIDField(null=True, default=dict),
        GENERATED,
    ),
}
WIDER = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("treasury", "0001_initial")]
    operations = [migrations.AlterField("payment", "payee", models.CharField(max_length=140))]
"""


@pytest.mark.parametrize("kind", FIELDS, ids=lambda name: name.replace(" ", "-"))
def test_only_a_field_that_says_its_value_is_filled_unasked(kind: str, empty_database: str) -> None:
    field, said = FIELDS[kind]
    field.set_attributes_from_name("c")
    try:
        told = expression_of(connections[empty_database], field)
    except UnknownValueError as error:
        told = str(error)

    assert told == said


def test_a_field_without_default_is_told_so(staging: str, ops: Ops) -> None:
    answer = ops("seed_payment_id", database=staging, model="treasury.Payment", field="currency")

    assert (answer.code, answer.ids) == (2, ["unsupported-field"])
    assert answer.report["findings"][0]["message"] == (
        "treasury.Payment.currency has no default, so the value of its rows must be given"
    )


@pytest.mark.parametrize(
    ("model", "field", "words"),
    [
        ("treasury.Paymnt", "payment_id", "a model of the project such as treasury.Payment"),
        ("treasury.Payment", "paymentid", "a field of treasury.Payment, such as payment_id"),
        ("x", "y", "name a model of the project, with --model"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    model: str, field: str, words: str, staging: str, ops: Ops
) -> None:
    answer = ops("seed_payment_id", database=staging, model=model, field=field)

    assert answer.ids == ["unknown-field"]
    assert words in answer.report["findings"][0]["hint"]


@pytest.fixture
def narrow(
    empty_database: str, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return a database in which a pending migration is to widen treasury.Payment.payee."""
    package = tmp_path / "narrow_treasury"
    package.mkdir()
    (package / "__init__.py").touch()
    first = (ROOT / "treasury" / "migrations" / "0001_initial.py").read_text()
    assert "max_length=140" in first
    (package / "0001_initial.py").write_text(first.replace("max_length=140", "max_length=20"))
    (package / "0002_wider.py").write_text(WIDER)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    settings.MIGRATION_MODULES = {"treasury": "narrow_treasury"}
    call_command("migrate", "treasury", "0001", database=empty_database, verbosity=0)
    return empty_database


def test_what_a_pending_migration_alters_is_migrated_first_and_never_renamed(
    narrow: str, ops: Ops, typist: Typist, role: Callable[..., dict[str, str]]
) -> None:
    target = {"model": "treasury.Payment", "field": "payee", "expression": "'it''s x'"}

    answer = ops("seed_payment_id", database=narrow, **target)

    [finding] = answer.report["findings"]
    assert (answer.code, finding["id"]) == (4, "column-type")
    assert finding["hint"] == "migrate first: treasury.0002_wider, which is pending, alters it"
    assert "RENAME" not in str(finding)

    owner = role()
    execute(connections[narrow], f'ALTER TABLE treasury_payment OWNER TO "{owner["USER"]}"')
    with guest(narrow, owner) as alias:
        blind = ops("seed_payment_id", database=alias, **target)
    # Who may not read the history is told the rest.
    assert blind.ids == ["column-type"]
    execute(connections[narrow], "ALTER TABLE treasury_payment OWNER TO CURRENT_USER")

    assert typist.type(narrow, finding) == []
    assert ops("seed_payment_id", database=narrow, verify_only=True, **target).code == 0
    columns = (
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'treasury_payment'::regclass AND attname LIKE 'payee%%'"
    )
    assert query(narrow, columns, []) == [("character varying(140)",)]


def test_by_its_general_name_every_step_has_that_name(staging: str, ops: Ops) -> None:
    given = {"model": "treasury.Payment", "field": "payment_id"}

    checked = ops("backfill_field", database=staging, verify_only=True, **given)
    planned = ops("backfill_field", database=staging, dry_run=True, **given)

    assert (checked.code, planned.code) == (1, 0)
    assert checked.report["command"] == "backfill_field"
    (step,) = checked.report["findings"][0]["steps"]
    aimed = f"python manage.py backfill_field --database {staging}"
    assert step["text"] == f"{aimed} --model treasury.Payment --field payment_id"
