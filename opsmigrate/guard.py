"""The environment guard: what production demands before anything is written."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from opsmigrate.conf import Settings
from opsmigrate.errors import RefusedError
from opsmigrate.postgres.session import Session
from opsmigrate.steps import Step, command

if TYPE_CHECKING:
    from opsmigrate.manifest import Manifest

PRODUCTION = "production"
# What to type where production demands it.
APPROVAL = '--approval "who approved it"'


def approved(settings: Settings, text: str) -> Step:
    """Return the step that types a command which needs approval in production."""
    return command(f"{text} {APPROVAL}" if settings.environment == PRODUCTION else text)


def require_approval(
    settings: Settings, *, action: str, approval: str | None, again: str | None = None
) -> None:
    """Raise RefusedError if this is production and no approval was given.

    `again` is the command to type once more, with it.
    """
    if settings.environment == PRODUCTION and not (approval or "").strip():
        raise RefusedError(
            f"{action} needs approval in production, and none was given",
            id="approval-needed",
            hint="name who approved it, and where, with --approval; or, if this is not "
            'production, set OPSMIGRATE["ENVIRONMENT"] to development, test or staging',
            steps=(approved(settings, again),) if again else (),
        )


def require_backup(
    settings: Settings, session: Session, applied: tuple[str, ...], *, hours: float
) -> Manifest:
    """Return the newest verified backup of this database, all its rows, at this migration state.

    Raises RefusedError where there is none, or where it is older than `hours`. One that says that
    it is dated in the future does not count: its age is not known.
    """
    # Loaded only where a backup is demanded.
    from opsmigrate.manifest import read_manifests

    folder, now = Path(settings.backup_dir), datetime.now(timezone.utc)
    ours = [
        manifest
        for manifest in read_manifests(folder)
        if manifest.verified
        and not manifest.excluded
        and manifest.is_of(session)
        and manifest.migrations == applied
    ]
    ahead = [manifest for manifest in ours if manifest.is_from_the_future(now)]
    ours = [manifest for manifest in ours if manifest not in ahead]
    if ahead and not ours:
        raise RefusedError(
            f"{ahead[0].file} claims to have been taken at {ahead[0].taken}, which is in the "
            "future; so its age is not known",
            id="backup-from-future",
            hint="correct the clocks of the server and of this machine, and take a new backup",
            steps=(command("python manage.py backup_db"),),
        )
    if not ours:
        raise RefusedError(
            f"there is no verified backup of all rows of database {session.database} at its "
            f"present migration state in {folder}",
            id="backup-missing",
            steps=(command("python manage.py backup_db"),),
        )
    age = ours[0].age_hours(now)
    if age > hours:
        raise RefusedError(
            f"the newest verified backup of database {session.database}, {ours[0].file}, is "
            f"{age:.1f} hours old; at most {hours:g} are allowed",
            id="backup-stale",
            steps=(command("python manage.py backup_db"),),
        )
    return ours[0]


def require_seed_allowed(
    settings: Settings,
    session: Session,
    applied: tuple[str, ...],
    *,
    approval: str | None,
    again: str | None = None,
) -> Manifest | None:
    """Return the backup that production demands before a seed, None elsewhere; or refuse.

    `again` is what to type for this very seed.
    """
    require_approval(settings, action="seed_payment_id", approval=approval, again=again)
    if settings.environment != PRODUCTION:
        return None
    return require_backup(settings, session, applied, hours=settings.backup_max_age_hours)
