"""OPSMIGRATE, read into Settings: defaults, and what is wrong said by name."""

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import Error
from django.test import override_settings

from opsmigrate.checks import check_settings
from opsmigrate.conf import (
    KeyUrl,
    PlaybookSettings,
    SeedSetting,
    Settings,
    UatSettings,
    load_settings,
)
from opsmigrate.errors import SettingsError


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable says anything, and the working folder is no git repository."""
    monkeypatch.delenv("OPSMIGRATE_ENVIRONMENT", raising=False)
    monkeypatch.delenv("OPSMIGRATE_RELEASE", raising=False)
    monkeypatch.chdir(tmp_path)


def load(**settings: Any) -> Settings:
    with override_settings(OPSMIGRATE=settings):
        return load_settings()


def refusal(settings: Any) -> tuple[str, str | None]:
    with override_settings(OPSMIGRATE=settings), pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.id == "bad-setting"
    assert caught.value.verdict.exit_code == 3
    return str(caught.value), caught.value.hint


def test_everything_has_a_default() -> None:
    assert load() == Settings(
        environment="production",
        named_release=None,
        backup_dir=Path("backups"),
        backup_keep=None,
        backup_max_age_hours=24,
        pg_bin=None,
        maintenance_db=None,
        seed=None,
        lock_timeout_seconds=0.1,
        rehearse="auto",
        rehearse_on=None,
        rehearse_max_bytes=1 << 30,
        rehearse_max_seconds=3600,
        old_release="warn",
        drift_waivers=(),
        playbook=PlaybookSettings(before={}, after={}),
        journal_dir=Path("reports"),
        fleet=None,
        fleet_storage=None,
        uat=UatSettings(urls=(), base_url=None, login=None, waivers=()),
    )


def test_a_project_without_opsmigrate_settings_is_in_production(settings: Any) -> None:
    del settings.OPSMIGRATE

    assert load_settings().environment == "production"


def test_every_key_can_be_set() -> None:
    login = {"url": "login", "username": "staging", "password": "x"}
    settings = load(
        ENVIRONMENT="staging",
        RELEASE="2025.3",
        BACKUP_DIR=Path("/srv/backups"),
        BACKUP_KEEP=7,
        BACKUP_MAX_AGE_HOURS=0.5,
        PG_BIN="/opt/pg/bin",
        MAINTENANCE_DB="postgres",
        SEED={"model": "treasury.Payment", "field": "payment_id"},
        LOCK_TIMEOUT_SECONDS=2,
        REHEARSE="clone",
        REHEARSE_ON="spare",
        REHEARSE_MAX_BYTES=1000,
        REHEARSE_MAX_SECONDS=60,
        OLD_RELEASE="error",
        PLAYBOOK={"BEFORE": {"migrate": [["true"]]}},
        JOURNAL_DIR="/srv/journal",
        FLEET="shop.fleet.tenants",
        FLEET_STORAGE="reports",
        UAT={"URLS": [{"url": "/"}], "BASE_URL": "https://x", "LOGIN": login, "WAIVERS": []},
    )

    assert settings == Settings(
        environment="staging",
        named_release="2025.3",
        backup_dir=Path("/srv/backups"),
        backup_keep=7,
        backup_max_age_hours=0.5,
        pg_bin=Path("/opt/pg/bin"),
        maintenance_db="postgres",
        seed=SeedSetting(model="treasury.Payment", field="payment_id"),
        lock_timeout_seconds=2,
        rehearse="clone",
        rehearse_on="spare",
        rehearse_max_bytes=1000,
        rehearse_max_seconds=60,
        old_release="error",
        drift_waivers=(),
        playbook=PlaybookSettings(before={"migrate": (("true",),)}, after={}),
        journal_dir=Path("/srv/journal"),
        fleet="shop.fleet.tenants",
        fleet_storage="reports",
        uat=UatSettings(urls=(KeyUrl(url="/"),), base_url="https://x", login=login),
    )


def test_the_environment_comes_from_the_variable_where_the_settings_are_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPSMIGRATE_ENVIRONMENT", "staging")

    assert load().environment == "staging"
    assert load(ENVIRONMENT="test").environment == "test"


def test_an_empty_variable_counts_as_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSMIGRATE_ENVIRONMENT", "")

    assert load().environment == "production"


def test_a_variable_that_names_no_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSMIGRATE_ENVIRONMENT", "prod")

    assert refusal({}) == (
        "the variable OPSMIGRATE_ENVIRONMENT is 'prod'",
        "set it to one of development, test, staging, production",
    )


def test_the_release_comes_from_the_variable_or_the_git_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPSMIGRATE_RELEASE", "2025.4")
    assert load().release == "2025.4"
    assert load(RELEASE="2025.5").release == "2025.5"

    monkeypatch.delenv("OPSMIGRATE_RELEASE")
    monkeypatch.chdir(Path(__file__).parent)
    release = load().release
    assert release is None or len(release) == 40


def test_an_unknown_key_is_an_error_that_names_the_known_ones() -> None:
    message, hint = refusal({"ENVIRONMNET": "staging"})

    assert message == "OPSMIGRATE has the unknown key 'ENVIRONMNET'"
    assert hint is not None
    assert hint.startswith("remove it; the known keys are ENVIRONMENT, RELEASE, BACKUP_DIR, ")


def test_an_unknown_key_of_uat_is_an_error() -> None:
    message, hint = refusal({"UAT": {"URL": []}})

    assert message == "OPSMIGRATE[\"UAT\"] has the unknown key 'URL'"
    assert hint is not None
    assert hint.startswith("remove it; the known keys are URLS, BASE_URL, LOGIN, WAIVERS, ")


def test_settings_that_are_no_dict_are_an_error() -> None:
    assert refusal(["ENVIRONMENT"]) == (
        "OPSMIGRATE is not a dict",
        "set OPSMIGRATE = {} in the settings",
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("ENVIRONMENT", "prod", "is 'prod'"),
        ("RELEASE", 3, "is 3, not text"),
        ("BACKUP_DIR", "", "is empty"),
        ("BACKUP_KEEP", 0, "is 0"),
        ("BACKUP_KEEP", True, "is True"),
        ("BACKUP_KEEP", "7", "is '7'"),
        ("BACKUP_MAX_AGE_HOURS", 0, "is 0, not a number above 0"),
        ("BACKUP_MAX_AGE_HOURS", "24", "is '24', not a number above 0"),
        ("BACKUP_MAX_AGE_HOURS", float("nan"), "is nan, not a number above 0"),
        ("BACKUP_MAX_AGE_HOURS", float("inf"), "is inf, not a number above 0"),
        ("PG_BIN", "", "is empty"),
        ("PG_BIN", 5, "is 5, not text"),
        ("LOCK_TIMEOUT_SECONDS", -1, "is -1, not a number above 0"),
        ("LOCK_TIMEOUT_SECONDS", True, "is True, not a number above 0"),
        ("REHEARSE", "maybe", "is 'maybe'"),
        ("REHEARSE_MAX_BYTES", None, "is None, not a number above 0"),
        ("SEED", "treasury.Payment", "does not name a model and a field"),
        ("SEED", {"model": "treasury.Payment"}, "does not name a model and a field"),
        ("UAT", {"URLS": ["/"]}, "has the URL '/'"),
        ("UAT", {"URLS": [{"status": 200}]}, "has the URL {'status': 200}"),
        ("UAT", {"URLS": "/"}, "has URLS, which is not a list"),
        ("UAT", {"WAIVERS": 1}, "has WAIVERS, which is not a list"),
        ("UAT", {"URLS": [{"url": "/", "txt": "x"}]}, "has the URL {'url': '/', 'txt': 'x'}"),
        (
            "UAT",
            {"URLS": [{"url": "/", "status": "ok"}]},
            "has the URL {'url': '/', 'status': 'ok'}",
        ),
        (
            "UAT",
            {"URLS": [{"url": "/", "budget_ms": 0}]},
            "has the URL {'url': '/', 'budget_ms': 0}",
        ),
        ("UAT", {"WAIVERS": [{"check": "tls"}]}, "has the waiver {'check': 'tls'}"),
        (
            "UAT",
            {"WAIVERS": [{"check": "tls", "owner": "A", "reason": "B", "expires": "soon"}]},
            "has a waiver that expires on 'soon'",
        ),
        (
            "UAT",
            {"BASELINE_MAX_AGE_HOURS": -1},
            "has the BASELINE_MAX_AGE_HOURS -1, not a number above 0",
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_an_error_that_names_the_key(
    key: str, value: object, message: str
) -> None:
    said, hint = refusal({key: value})

    assert said == f"OPSMIGRATE['{key}'] {message}"
    assert hint


def test_a_bad_login_is_an_error_that_does_not_repeat_the_password() -> None:
    message, hint = refusal({"UAT": {"LOGIN": {"username": "me", "password": "hunter2"}}})

    assert message == "OPSMIGRATE['UAT'] has a LOGIN without a url, a username and a password"
    assert "hunter2" not in f"{message}{hint}"


def test_the_system_check_says_the_same_as_the_commands() -> None:
    with override_settings(OPSMIGRATE={"REHEARSE": "maybe"}):
        assert check_settings() == [
            Error(
                "OPSMIGRATE['REHEARSE'] is 'maybe'",
                hint="set it to one of auto, off, schema, clone, kept",
                id="opsmigrate.E001",
            )
        ]
    with override_settings(OPSMIGRATE={}):
        assert check_settings() == []


@pytest.mark.parametrize(
    "seed",
    [
        {"model": "app.Model", "field": "uuid_field"},
        {"model": "treasury.Payment", "field": "nothing"},
        {"model": "nonsense", "field": "payment_id"},
    ],
)
def test_a_seed_that_is_not_there_is_refused_by_manage_py_check(seed: dict[str, str]) -> None:
    with override_settings(OPSMIGRATE={"ENVIRONMENT": "staging", "SEED": seed}):
        [error] = check_settings()

    assert error.id == "opsmigrate.E001"
    assert error.msg == (
        f"OPSMIGRATE['SEED'] names {seed['model']}.{seed['field']}, and there is no such field"
    )
    assert "remove SEED" in str(error.hint)
