"""What production demands before anything is written."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.test import override_settings

from opsmigrate.conf import Settings, load_settings
from opsmigrate.errors import RefusedError
from opsmigrate.guard import require_approval, require_backup, require_seed_allowed
from opsmigrate.manifest import Manifest, write_manifest
from opsmigrate.postgres.session import Session

SESSION = Session(
    database="treasury",
    oid=16384,
    version=160004,
    version_text="16.4",
    system_identifier=7412345678901234567,
    user="staging",
    in_recovery=False,
    read_only=False,
)
APPLIED = ("auth.0001_initial", "treasury.0001_initial")


@pytest.fixture
def production(tmp_path: Path) -> Settings:
    with override_settings(OPSMIGRATE={"ENVIRONMENT": "production", "BACKUP_DIR": tmp_path}):
        return load_settings()


def backup(folder: Path, *, file: str = "a.dump", hours: float = 1, **changes: object) -> Manifest:
    """Put a backup that would do in the folder, `hours` old, but for the changes."""
    taken = (datetime.now(timezone.utc) - timedelta(hours=hours)).isoformat()
    fitting = Manifest(
        file=file,
        bytes=4,
        sha256="0" * 64,
        taken=taken,
        finished=taken,
        run_id="0123456789ab",
        release=None,
        database={"name": "treasury", "oid": 16384, "system_identifier": "7412345678901234567"},
        client_version="16.4",
        lsn=None,
        migrations=APPLIED,
        tables={},
        verified="archive",
        verified_at=taken,
    )
    manifest = replace(fitting, **changes)
    (folder / file).write_bytes(b"xxxx")
    write_manifest(folder, manifest)
    return manifest


def refused(production: Settings) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        require_backup(production, SESSION, APPLIED, hours=24)
    assert caught.value.verdict.exit_code == 4
    assert [step.text for step in caught.value.steps] == ["python manage.py backup_db"]
    return caught.value


@pytest.mark.parametrize("approval", [None, "", "  "])
def test_production_refuses_without_an_approval(production: Settings, approval: str | None) -> None:
    with pytest.raises(RefusedError) as caught:
        require_approval(production, action="seed_payment_id", approval=approval)

    assert caught.value.id == "approval-needed"
    assert str(caught.value) == ("seed_payment_id needs approval in production, and none was given")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("name who approved it, and where, with --approval")


def test_production_takes_an_approval(production: Settings) -> None:
    require_approval(production, action="seed_payment_id", approval="Ada, CHG-7")


@pytest.mark.parametrize("environment", ["development", "test", "staging"])
def test_elsewhere_neither_approval_nor_backup_is_asked_for(
    production: Settings, environment: str
) -> None:
    settings = replace(production, environment=environment)

    require_approval(settings, action="seed_payment_id", approval=None)
    assert require_seed_allowed(settings, SESSION, APPLIED, approval=None) is None


def test_a_backup_that_fits_is_returned(production: Settings, tmp_path: Path) -> None:
    manifest = backup(tmp_path)

    assert require_backup(production, SESSION, APPLIED, hours=24) == manifest


def test_the_newest_that_fits_is_returned(production: Settings, tmp_path: Path) -> None:
    backup(tmp_path, file="old.dump", hours=5)
    newest = backup(tmp_path, file="new.dump", hours=1, verified="restore")
    backup(tmp_path, file="unverified.dump", hours=0.5, verified=None)

    assert require_backup(production, SESSION, APPLIED, hours=24) == newest


def test_no_backup_at_all_is_refused(production: Settings, tmp_path: Path) -> None:
    error = refused(production)

    assert error.id == "backup-missing"
    assert str(error) == (
        "there is no verified backup of all rows of database treasury at its present migration "
        f"state in {tmp_path}"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"verified": None},
        {"database": {"name": "treasury", "oid": 1, "system_identifier": "7412345678901234567"}},
        {"database": {"name": "treasury", "oid": 16384, "system_identifier": "1"}},
        {"database": {"name": "treasury"}},
        {"migrations": APPLIED[:1]},
        {"migrations": (*APPLIED, "treasury.0002_phase6_dashboard_models")},
        {"excluded": ("public.treasury_payment",)},
    ],
    ids=["unverified", "other oid", "other server", "unknown", "before", "after", "rows left out"],
)
def test_a_backup_of_something_else_is_no_backup(
    production: Settings, tmp_path: Path, changes: dict[str, object]
) -> None:
    backup(tmp_path, **changes)

    assert refused(production).id == "backup-missing"


def test_a_backup_that_lost_its_file_is_no_backup(production: Settings, tmp_path: Path) -> None:
    backup(tmp_path)
    (tmp_path / "a.dump").unlink()

    assert refused(production).id == "backup-missing"


def test_a_stale_backup_is_refused_with_its_age(production: Settings, tmp_path: Path) -> None:
    backup(tmp_path, hours=25)

    error = refused(production)

    assert error.id == "backup-stale"
    assert str(error) == (
        "the newest verified backup of database treasury, a.dump, is 25.0 hours old; at most 24 "
        "are allowed"
    )


def test_the_seed_needs_the_approval_first_and_then_the_backup(
    production: Settings, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError) as caught:
        require_seed_allowed(production, SESSION, APPLIED, approval=None)
    assert caught.value.id == "approval-needed"

    with pytest.raises(RefusedError) as caught:
        require_seed_allowed(production, SESSION, APPLIED, approval="Ada")
    assert caught.value.id == "backup-missing"

    manifest = backup(tmp_path)
    assert require_seed_allowed(production, SESSION, APPLIED, approval="Ada") == manifest


def test_the_seed_obeys_backup_max_age_hours(production: Settings, tmp_path: Path) -> None:
    backup(tmp_path, hours=2)

    with pytest.raises(RefusedError) as caught:
        require_seed_allowed(
            replace(production, backup_max_age_hours=1.5), SESSION, APPLIED, approval="Ada"
        )
    assert caught.value.id == "backup-stale"
    assert "at most 1.5 are allowed" in str(caught.value)
