"""What the report says of where it was made: versions, migrations, the backup, the account."""

import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from shlex import quote
from typing import Any

import django
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from opsmigrate.conf import Settings
from opsmigrate.manifest import read_manifests
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.postgres.session import Session
from opsmigrate.steps import aimed_text
from opsmigrate.uat.site import Login
from opsmigrate.uat.system import System


def describe_environment(
    system: System, *, login: Login | None, aim: tuple[str, str | None]
) -> dict[str, Any]:
    """Return the facts that a reader needs to place what was seen.

    `aim` is the alias, and the settings that were typed, for commands that stand there.
    """
    applied, baseline = _applied(system.connection), system.baseline
    backup = _backup(system.settings, system.session, set(applied))
    if backup is not None:
        backup["restore"] = aimed_text(backup["restore"], *aim)
    before = backup["migrations"] if backup else baseline.migrations if baseline else applied
    return {
        "versions": _versions(system.connection),
        "migrations": {
            "applied": len(applied),
            "since": [
                {"name": name, "applied": when}
                for name, when in applied.items()
                if name not in set(before)
            ],
        },
        "backup": backup,
        "baseline": None
        if baseline is None
        else {"id": baseline.id, "taken": baseline.taken, "release": baseline.release},
        "account": _account(login),
    }


def _versions(connection: BaseDatabaseWrapper) -> dict[str, str]:
    driver = type(connection.connection).__module__.partition(".")[0]
    return {
        "python": platform.python_version(),
        "django": django.get_version(),
        "driver": driver,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _applied(connection: BaseDatabaseWrapper) -> dict[str, str]:
    recorder = MigrationRecorder(connection)
    with project_search_path(connection):
        if not recorder.has_table():
            return {}
        rows = recorder.migration_qs.order_by("applied", "id").values_list("app", "name", "applied")
        return {f"{app}.{name}": when.isoformat() for app, name, when in rows}


def _backup(settings: Settings, session: Session, applied: set[str]) -> dict[str, Any] | None:
    """Return the newest backup from before the migration, else the newest, else None."""
    now = datetime.now(timezone.utc)
    ours = [manifest for manifest in read_manifests(settings.backup_dir) if manifest.is_of(session)]
    ours.sort(key=lambda manifest: manifest.is_from_the_future(now))
    before = [manifest for manifest in ours if set(manifest.migrations) < applied]
    chosen = next(iter([*before, *ours]), None)
    if chosen is None:
        return None
    return {
        "id": chosen.sha256[:12],
        "file": str(settings.backup_dir / chosen.file),
        "taken": chosen.taken,
        "run_id": chosen.run_id,
        "release": chosen.release,
        "verified": chosen.verified,
        "sha256": chosen.sha256,
        "migrations": list(chosen.migrations),
        "restore": f"python manage.py restore_db {quote(str(settings.backup_dir / chosen.file))}",
    }


def _account(login: Login | None) -> Mapping[str, Any] | None:
    if login is None or not login.made:
        return None
    return {
        "username": login.username,
        "logins": login.made,
        "written": "the site itself writes a session and last_login for the login of "
        f"{login.username}; run_uat writes nothing else",
    }
