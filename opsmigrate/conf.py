"""OPSMIGRATE, read into one frozen Settings; an unknown key is an error."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model

from opsmigrate.errors import SettingsError
from opsmigrate.setting_values import (
    MAKE_KEY,
    is_list,
    is_positive,
    one_of,
    positive,
    require_mapping,
    secret_key,
    setting_error,
    text,
)
from opsmigrate.shown import shown

if TYPE_CHECKING:
    # Whoever has one has loaded it; most projects have none.
    from opsmigrate.waivers import CheckWaiver, DriftWaiver

ENVIRONMENTS = ("development", "test", "staging", "production")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
REHEARSALS = ("auto", "off", "schema", "clone", "kept")
OLD_RELEASE = ("error", "warn", "off")
# In their order; opsmigrate/playbook/sequence.py says what each does.
PLAYBOOK_STEPS = (
    "backup",
    "baseline",
    "preflight",
    "seed",
    "preflight-again",
    "migrate",
    "uat",
)


@dataclass(frozen=True)
class SeedSetting:
    """The column that seed_payment_id fills: `app.Model`, the field's name, the SQL of a value."""

    model: str
    field: str
    expression: str | None = None


@dataclass(frozen=True, kw_only=True)
class KeyUrl:
    """A URL's name or path, what it must answer, and in how many milliseconds."""

    url: str
    status: int = 200
    text: str = ""
    budget_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class UatSettings:
    """What run_uat asks of the site, and the bounds of uat_load."""

    urls: tuple[KeyUrl, ...] = ()
    base_url: str | None = None
    login: Mapping[str, str] | None = None
    waivers: tuple[CheckWaiver, ...] = ()
    health_url: str | None = None
    baseline_max_age_hours: float = 24
    load_hosts: tuple[str, ...] = LOOPBACK
    load_max_users: int = 50
    load_max_seconds: int = 300


Argv = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PlaybookSettings:
    """What run_playbook runs before and after a step, by its name, and the URL that it tells."""

    before: Mapping[str, tuple[Argv, ...]]
    after: Mapping[str, tuple[Argv, ...]]
    webhook: str | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """OPSMIGRATE with its defaults; times in the unit that the name says, sizes in bytes."""

    environment: str
    named_release: str | None
    backup_dir: Path
    backup_keep: int | None
    backup_max_age_hours: float
    pg_bin: Path | None
    maintenance_db: str | None
    seed: SeedSetting | None
    lock_timeout_seconds: float
    rehearse: str
    rehearse_on: str | None
    rehearse_max_bytes: int
    rehearse_max_seconds: float
    old_release: str
    drift_waivers: tuple[DriftWaiver, ...]
    playbook: PlaybookSettings
    journal_dir: Path
    fleet: str | None
    fleet_storage: str | None
    uat: UatSettings

    @property
    def release(self) -> str | None:
        """Return the release that is named, else the commit of the working directory."""
        # A process of its own, which most commands have no use for.
        return self.named_release or _git_commit(Path.cwd())


KEYS = (
    "ENVIRONMENT",
    "RELEASE",
    "BACKUP_DIR",
    "BACKUP_KEEP",
    "BACKUP_MAX_AGE_HOURS",
    "SEAL_KEY",
    "PG_BIN",
    "MAINTENANCE_DB",
    "SEED",
    "LOCK_TIMEOUT_SECONDS",
    "REHEARSE",
    "REHEARSE_ON",
    "REHEARSE_MAX_BYTES",
    "REHEARSE_MAX_SECONDS",
    "OLD_RELEASE",
    "DRIFT_WAIVERS",
    "PLAYBOOK",
    "JOURNAL_DIR",
    "FLEET",
    "FLEET_STORAGE",
    "UAT",
)
PLAYBOOK_KEYS = ("BEFORE", "AFTER", "WEBHOOK", "WEBHOOK_KEY")
UAT_KEYS = (
    "URLS",
    "BASE_URL",
    "LOGIN",
    "WAIVERS",
    "HEALTH_URL",
    "BASELINE_MAX_AGE_HOURS",
    "LOAD_HOSTS",
    "LOAD_MAX_USERS",
    "LOAD_MAX_SECONDS",
)


def load_settings() -> Settings:
    """Return OPSMIGRATE as Settings; raise SettingsError naming the key that is wrong."""
    raw = getattr(django_settings, "OPSMIGRATE", {})
    require_mapping("OPSMIGRATE", raw, KEYS)
    _seal_key(raw)
    pg_bin = text(raw, "PG_BIN")
    return Settings(
        environment=_environment(raw),
        named_release=_named_release(raw),
        backup_dir=Path(text(raw, "BACKUP_DIR") or "backups"),
        backup_keep=_keep(raw),
        backup_max_age_hours=positive(raw, "BACKUP_MAX_AGE_HOURS", 24),
        pg_bin=Path(pg_bin) if pg_bin else None,
        maintenance_db=text(raw, "MAINTENANCE_DB"),
        seed=_seed(raw),
        lock_timeout_seconds=positive(raw, "LOCK_TIMEOUT_SECONDS", 0.1),
        rehearse=one_of(raw, "REHEARSE", REHEARSALS, "auto"),
        rehearse_on=text(raw, "REHEARSE_ON"),
        rehearse_max_bytes=int(positive(raw, "REHEARSE_MAX_BYTES", 1 << 30)),
        rehearse_max_seconds=positive(raw, "REHEARSE_MAX_SECONDS", 3600),
        old_release=one_of(raw, "OLD_RELEASE", OLD_RELEASE, "warn"),
        drift_waivers=_drift_waivers(raw),
        playbook=_playbook(raw),
        journal_dir=Path(text(raw, "JOURNAL_DIR") or "reports"),
        fleet=text(raw, "FLEET"),
        fleet_storage=text(raw, "FLEET_STORAGE"),
        uat=_uat(raw),
    )


def load_seal_key() -> bytes | None:
    """Return the key of seals, None where none is set; raise SettingsError where it is none.

    It is in no Settings, so that it is in nothing that somebody prints.
    """
    raw = getattr(django_settings, "OPSMIGRATE", {})
    return _seal_key(raw) if isinstance(raw, Mapping) else None


def load_webhook_key() -> bytes | None:
    """Return the key that what is sent to the webhook is signed with; as load_seal_key()."""
    raw = getattr(django_settings, "OPSMIGRATE", {})
    value = raw.get("PLAYBOOK", {}) if isinstance(raw, Mapping) else {}
    return _webhook_key(value) if isinstance(value, Mapping) else None


def _seal_key(raw: Mapping[str, Any]) -> bytes | None:
    return secret_key(raw, "SEAL_KEY", "OPSMIGRATE_SEAL_KEY")


def _webhook_key(raw: Mapping[str, Any]) -> bytes | None:
    return secret_key(raw, "WEBHOOK_KEY", "OPSMIGRATE_WEBHOOK_KEY")


def _environment(raw: Mapping[str, Any]) -> str:
    # Unset counts as production: the careful answer when nobody said where this is.
    from_environment = os.environ.get("OPSMIGRATE_ENVIRONMENT") or "production"
    if "ENVIRONMENT" not in raw and from_environment not in ENVIRONMENTS:
        raise SettingsError(
            f"the variable OPSMIGRATE_ENVIRONMENT is {from_environment!r}",
            id="bad-setting",
            hint=f"set it to one of {', '.join(ENVIRONMENTS)}",
        )
    return one_of(raw, "ENVIRONMENT", ENVIRONMENTS, from_environment)


def _named_release(raw: Mapping[str, Any]) -> str | None:
    told = text(raw, "RELEASE") or os.environ.get("OPSMIGRATE_RELEASE")
    # A variable may hold what is no text, and it goes into every manifest.
    return (told and shown(told)) or None


def _git_commit(folder: Path) -> str | None:
    git = which("git")
    if git is None:
        return None
    try:
        answer = subprocess.run(
            [git, "-C", str(folder), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def _keep(raw: Mapping[str, Any]) -> int | None:
    value = raw.get("BACKUP_KEEP")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise setting_error("BACKUP_KEEP", f"is {value!r}", "set it to a whole number of 1 or more")
    return value


def _seed(raw: Mapping[str, Any]) -> SeedSetting | None:
    value = raw.get("SEED")
    if value is None:
        return None
    example = 'set it as in {"model": "treasury.Payment", "field": "payment_id"}'
    if not isinstance(value, Mapping) or set(value) - {"expression"} != {"model", "field"}:
        raise setting_error("SEED", "does not name a model and a field", example)
    expression = value.get("expression")
    return SeedSetting(
        model=str(value["model"]),
        field=str(value["field"]),
        expression=None if expression is None else str(expression),
    )


def seeded_field(seed: SeedSetting) -> tuple[type[Model], Any]:
    """Return the model and the field that SEED names; raise SettingsError where one is not there.

    The apps must be loaded.
    """
    try:
        model = apps.get_model(seed.model)
        return model, model._meta.get_field(seed.field)
    except (LookupError, ValueError, FieldDoesNotExist) as error:
        raise setting_error(
            "SEED",
            f"names {seed.model}.{seed.field}, and there is no such field",
            "name a model and a field of the project, as in "
            '{"model": "treasury.Payment", "field": "payment_id"}; or remove SEED if no column '
            "is to be seeded",
        ) from error


def _playbook(raw: Mapping[str, Any]) -> PlaybookSettings:
    value = raw.get("PLAYBOOK", {})
    require_mapping('OPSMIGRATE["PLAYBOOK"]', value, PLAYBOOK_KEYS)
    webhook = text(value, "WEBHOOK")
    if webhook is not None:
        # It is not repeated: such addresses have a secret in them.
        if not webhook.startswith(("https://", "http://")):
            raise setting_error(
                "PLAYBOOK", "has a WEBHOOK that is no URL", "set it to an https:// URL"
            )
        if _webhook_key(value) is None:
            raise setting_error(
                "PLAYBOOK",
                "has a WEBHOOK, and no WEBHOOK_KEY to sign what is sent to it",
                "set the variable OPSMIGRATE_WEBHOOK_KEY to what this prints",
                MAKE_KEY,
            )
    return PlaybookSettings(
        before=_hooks(value, "BEFORE"), after=_hooks(value, "AFTER"), webhook=webhook
    )


def _hooks(raw: Mapping[str, Any], key: str) -> dict[str, tuple[Argv, ...]]:
    value = raw.get(key, {})
    example = f'write it as in "{key}": {{"migrate": [["touch", "maintenance"]]}}'
    if not isinstance(value, Mapping):
        raise setting_error("PLAYBOOK", f"has {key}, which is not a dict", example)
    unknown = [str(step) for step in value if step not in PLAYBOOK_STEPS]
    if unknown:
        known = ", ".join(PLAYBOOK_STEPS)
        raise setting_error("PLAYBOOK", f"has {key} of {unknown[0]!r}", f"the steps are {known}")
    for commands in value.values():
        if not is_list(commands) or not all(
            is_list(argv) and argv and all(isinstance(word, str) for word in argv)
            for argv in commands
        ):
            # A text would need a shell.
            raise setting_error("PLAYBOOK", f"has {key} that are no lists of words", example)
    return {step: tuple(map(tuple, commands)) for step, commands in value.items()}


def _uat(raw: Mapping[str, Any]) -> UatSettings:
    value = raw.get("UAT", {})
    require_mapping('OPSMIGRATE["UAT"]', value, UAT_KEYS)
    lists = {key: value.get(key) or () for key in ("URLS", "WAIVERS", "LOAD_HOSTS")}
    for key, entries in lists.items():
        if not isinstance(entries, list | tuple):
            raise setting_error("UAT", f"has {key}, which is not a list", f'set "{key}": []')
    return UatSettings(
        urls=tuple(map(_key_url, lists["URLS"])),
        base_url=text(value, "BASE_URL"),
        login=_login(value.get("LOGIN")),
        waivers=tuple(map(_check_waiver, lists["WAIVERS"])),
        health_url=text(value, "HEALTH_URL"),
        baseline_max_age_hours=_uat_number(value, "BASELINE_MAX_AGE_HOURS", 24),
        load_hosts=tuple(map(str, lists["LOAD_HOSTS"])) or LOOPBACK,
        load_max_users=int(_uat_number(value, "LOAD_MAX_USERS", 50)),
        load_max_seconds=int(_uat_number(value, "LOAD_MAX_SECONDS", 300)),
    )


def _uat_number(raw: Mapping[str, Any], key: str, default: float) -> float:
    value = raw.get(key, default)
    if not is_positive(value):
        raise setting_error(
            "UAT", f"has the {key} {value!r}, not a number above 0", f'set "{key}": {default}'
        )
    return float(value)


def _key_url(entry: object) -> KeyUrl:
    example = 'write it as {"url": "/", "status": 200, "text": "Welcome", "budget_ms": 500}'
    known = ("url", "status", "text", "budget_ms")
    if not isinstance(entry, Mapping) or "url" not in entry or set(entry) - set(known):
        raise setting_error("UAT", f"has the URL {entry!r}", example)
    status, budget = entry.get("status", 200), entry.get("budget_ms")
    if not isinstance(status, int) or not (budget is None or is_positive(budget)):
        raise setting_error("UAT", f"has the URL {entry!r}", example)
    return KeyUrl(
        url=str(entry["url"]), status=status, text=str(entry.get("text", "")), budget_ms=budget
    )


def _check_waiver(entry: object) -> CheckWaiver:
    from opsmigrate.waivers import check_waiver

    try:
        return check_waiver(entry)
    except ValueError as error:
        example = (
            'write it as {"check": "url-latency", "owner": "Ada Lovelace", '
            '"reason": "slow until the index is built, T-42", "expires": "2031-01-31"}'
        )
        raise setting_error("UAT", str(error), example) from None


def _drift_waivers(raw: Mapping[str, Any]) -> tuple[DriftWaiver, ...]:
    key = "DRIFT_WAIVERS"
    example = (
        'write it as [{"drift": "drift-index", "table": "public.treasury_payment", "owner": '
        '"Ada Lovelace", "reason": "built on Sunday, T-42", "expires": "2031-01-31"}], with a '
        '"column" where only one is meant'
    )
    entries = raw.get(key, [])
    if not isinstance(entries, list | tuple):
        raise setting_error(key, "is not a list", example)
    if not entries:
        return ()
    from opsmigrate.waivers import drift_waiver

    try:
        return tuple(map(drift_waiver, entries))
    except ValueError as error:
        raise setting_error(key, str(error), example) from None


def _login(value: object) -> Mapping[str, str] | None:
    if value is None:
        return None
    # Its words are not repeated: one of them is a password.
    if not isinstance(value, Mapping) or set(value) != {"url", "username", "password"}:
        example = 'write it as {"url": "login", "username": "…", "password": "…"}'
        raise setting_error("UAT", "has a LOGIN without a url, a username and a password", example)
    return value
