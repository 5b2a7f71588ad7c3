"""Restore a backup beside the live database, prove it, and let the two change places; or undo."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate import interrupts
from opsmigrate.backup.counters import Counters, read_counters, written_since
from opsmigrate.backup.properties import give_properties
from opsmigrate.backup.restore import require_extensions, why_not_owners
from opsmigrate.backup.rollback_checks import (
    Loss,
    loss_since,
    require_owners,
    require_same_database,
    require_settings,
    require_swappable,
)
from opsmigrate.backup.swap import FormerDatabase, Swapped, find_former_databases, rename, swap
from opsmigrate.backup.venue import Venue, not_by_a_role, scratch_for, venue_to_stay
from opsmigrate.backup.verifier import Verifier
from opsmigrate.backup.verify import (
    Verification,
    prove_restored,
    unreadable,
    verify_checksum,
)
from opsmigrate.errors import OpsmigrateError, RefusedError, UsageError
from opsmigrate.manifest import Manifest
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.run import ClientError
from opsmigrate.postgres.comments import comment_on
from opsmigrate.postgres.names import LONGEST_NAME, quoted
from opsmigrate.postgres.session import (
    Session,
    no_time_limits,
    second_connection,
    set_for_session,
)
from opsmigrate.postgres.transaction import transaction
from opsmigrate.progress import Progress
from opsmigrate.report import Finding, Severity, Undecided
from opsmigrate.schema.history import applied_migrations
from opsmigrate.scratch import (
    ScratchDatabase,
    leave,
    maintenance_connection,
)
from opsmigrate.scratch_role import hand_over
from opsmigrate.steps import command, statement

Confirm = Callable[[Loss], bool]

# Which backups there are.
LISTED = (command("python manage.py backup_db --list"),)


@dataclass(frozen=True, kw_only=True)
class RestoreJob:
    """Where to work: the live database, its server, and the clients that suit it.

    `confirm` is asked with what would be lost; None: whatever is lost was accepted beforehand.
    `trust_code`: what others wrote may run with a superuser's rights.
    """

    connection: BaseDatabaseWrapper
    session: Session
    clients: Clients
    run_id: str
    maintenance_db: str | None
    progress: Progress
    keep_slots: bool = False
    confirm: Confirm | None = None
    trust_code: bool = False


@dataclass(frozen=True, kw_only=True)
class RollbackResult:
    """Who is who now, what was lost, and what the verification and the search for it warned of."""

    swapped: Swapped
    loss: Loss
    proof: Verification | None = None
    strangers: tuple[Finding, ...] = ()


class NotProvenError(Exception):
    """What was restored is not what was backed up; `findings` say where."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(findings[0].message)
        self.findings = findings


def restore_beside(job: RestoreJob, file: Path, manifest: Manifest, name: str) -> Verification:
    """Restore the backup into a new database `name`, proven; return what was not looked at.

    Until it is proven it has the name of a scratch database, which killed runs do not leave
    behind. Raises UsageError where the name is taken, NotProvenError. On a server without the
    roles of the backup everything belongs to the present role.
    """
    _require_free(job.connection, name)
    require_extensions(job.connection, manifest.extensions)
    _require_whole(file, manifest)
    why = why_not_owners(job.connection, manifest)
    if why is None:
        require_settings(job.connection, manifest)
    with (
        _restored(job, file, manifest, owners=why is None) as (scratch, proof),
        maintenance_connection(job.connection, job.maintenance_db) as maintenance,
    ):
        leave(maintenance, scratch)
        with transaction(maintenance) as cursor:
            interrupts.hold_back()
            cursor.execute(rename(scratch.name, name))
            if why is None:
                give_properties(maintenance, name, manifest.properties)
            else:
                cursor.execute(comment_on(name, manifest.properties["comment"]))
        if why is not None:
            missed = Undecided("owners, rights and settings: not restored", why)
            proof = replace(proof, undecided=(*proof.undecided, missed))
    return proof


def roll_back(job: RestoreJob, file: Path, manifest: Manifest) -> RollbackResult:
    """Restore the backup beside, prove it, and put it in the place of the live database.

    The live one is kept. Raises RefusedError before anything is done, NotProvenError where the
    restored database is not what was backed up; whatever happens, the live one stays as it was.
    """
    connection, live = job.connection, job.session.database
    require_same_database(job.session, manifest)
    require_swappable(connection, job.session, keep_slots=job.keep_slots)
    require_owners(connection, manifest)
    require_settings(connection, manifest)
    require_extensions(connection, manifest.extensions)
    _require_whole(file, manifest)
    stated = _require_confirmed(job, loss_since(connection, manifest))
    with _restored(job, file, manifest, owners=True) as (scratch, proof):
        # After hours of silence the server, or a firewall, may have ended it: connect anew.
        connection.close()
        # As it will be done, to learn now and not in front of closed doors whether it can be.
        with maintenance_connection(connection, job.maintenance_db) as maintenance:
            _try(maintenance, scratch.name, manifest.properties)
        with second_connection(connection, database=scratch.name) as restored:
            baseline = read_counters(restored)
        # What the application wrote meanwhile would be lost as well.
        present = loss_since(connection, manifest)
        if written_since(stated.counters, present.counters):
            stated = _require_confirmed(job, present)
        swapped = swap(
            connection,
            job.maintenance_db,
            live=live,
            replacement=scratch.name,
            about={
                "backup": manifest.sha256,
                "file": manifest.file,
                "counters": baseline,
                "migrations": applied_migrations(connection),
            },
            require=lambda counters: _require_no_more(job, stated, counters),
            finish=lambda renaming: give_properties(renaming, live, manifest.properties),
        )
    return RollbackResult(
        swapped=swapped,
        loss=replace(
            stated,
            written=written_since(manifest.counters, swapped.counters, reset=stated.reset),
        ),
        proof=proof,
    )


def undo(job: RestoreJob) -> RollbackResult:
    """Put the database that was kept last back in the place of the live one, which is kept.

    Raises UsageError where none was kept, RefusedError before anything is done: also where what
    is there was not put aside by this program, for the present live one.
    """
    connection, live = job.connection, job.session.database
    former, strangers = _put_aside(connection, live)
    require_swappable(connection, job.session, keep_slots=job.keep_slots)
    with second_connection(connection, database=former.name) as other:
        theirs = read_counters(other)
        recorded = applied_migrations(other)
    _require_whole_again(former, theirs, recorded)
    counters = read_counters(connection)
    stated = Loss(
        written=written_since(former.about["counters"], counters),
        migrations=tuple(name for name in applied_migrations(connection) if name not in recorded),
        counters=counters,
    )
    _require_confirmed(job, stated)

    def finish(renaming: BaseDatabaseWrapper) -> None:
        with renaming.cursor() as cursor:
            cursor.execute(comment_on(live, former.about["comment"]))

    swapped = swap(
        connection,
        job.maintenance_db,
        live=live,
        replacement=former.name,
        about={"counters": theirs, "migrations": applied_migrations(connection)},
        require=lambda counters: _require_no_more(job, stated, counters),
        finish=finish,
    )
    written = written_since(former.about["counters"], swapped.counters)
    loss = replace(stated, written=written)
    return RollbackResult(swapped=swapped, loss=loss, strangers=strangers)


def _put_aside(
    connection: BaseDatabaseWrapper, live: str
) -> tuple[FormerDatabase, tuple[Finding, ...]]:
    """Return what was kept last, and a warning for each database that only says that it was."""
    found = find_former_databases(connection, live)
    strangers = tuple(
        Finding(
            id="not-a-former-database",
            severity=Severity.WARNING,
            message=f"the database {each.name} claims to be the former {live}, but restore_db did "
            f"not put it aside for the present one: {each.stranger}",
            hint="find out who owns it; drop it if it is not needed, or, as its owner or a "
            "superuser, remove the comment that claims so",
            steps=(
                statement(
                    f"COMMENT ON DATABASE {quoted(each.name)} IS NULL",
                    risk="no --undo will find it again",
                ),
            ),
        )
        for each in found
        if each.stranger
    )
    kept = [each for each in found if not each.stranger]
    if kept:
        return kept[0], strangers
    if strangers:
        raise RefusedError(
            strangers[0].message,
            id="not-a-former-database",
            hint="restore a backup with restore_db; or, if you are sure of the other one, swap "
            "the two names by hand (ALTER DATABASE, RENAME TO)",
            steps=LISTED,
            evidence={"databases": [each.name for each in found]},
        )
    raise UsageError(
        f"there is no former database of {live}",
        id="nothing-to-undo",
        hint="to go back to a backup, give restore_db its file",
        steps=LISTED,
    )


def _require_whole_again(
    former: FormerDatabase, tables: Iterable[str], migrations: Iterable[str]
) -> None:
    """Raise RefusedError where the kept database lacks what it had when it was put aside."""
    there = {"tables": set(tables), "migrations": set(migrations)}
    for what, name in (("table", "tables"), ("migration", "migrations")):
        lacking = sorted(set(former.about.get(name, ())) - there[name])
        if lacking:
            raise RefusedError(
                f"the former database {former.name} has changed since it was put aside: it lacks "
                f"the {what} {lacking[0]}",
                id="not-a-former-database",
                hint="to go back to a backup, give restore_db its file",
                steps=LISTED,
                evidence={name: lacking},
            )


@contextmanager
def _restored(
    job: RestoreJob, file: Path, manifest: Manifest, *, owners: bool
) -> Iterator[tuple[ScratchDatabase, Verification]]:
    """Yield a scratch database that is, row by row, what was backed up, and analyzed."""
    verifier = Verifier(
        connection=job.connection,
        clients=job.clients,
        file=file,
        manifest=manifest,
        progress=job.progress,
        run_id=job.run_id,
        maintenance_db=job.maintenance_db,
    )
    venue = _venue(verifier, trust_code=job.trust_code, owners=owners)
    with scratch_for(venue, verifier) as scratch:
        if owners:
            _require_to_give(job, scratch.name, manifest.properties)
        with venue.hands(scratch, manifest, owners=owners) as hands:
            proof = prove_restored(verifier, hands, scratch, owners=owners)
        if lacking := venue.lacking(proof.findings):
            raise not_by_a_role(file, venue, lacking)
        wrong = tuple(item for item in proof.findings if item.severity is Severity.ERROR)
        if wrong:
            raise NotProvenError(wrong)
        job.progress.phase("Analyzing it")
        with (
            second_connection(job.connection, database=scratch.name) as restored,
            restored.cursor() as cursor,
        ):
            set_for_session(restored, **no_time_limits(restored))
            if scratch.role:
                hand_over(cursor, scratch.role, scratch.name)
            cursor.execute("ANALYZE")
        yield scratch, replace(proof, where=venue.where)


def _venue(verifier: Verifier, *, trust_code: bool, owners: bool) -> Venue:
    try:
        return venue_to_stay(verifier, trust_code=trust_code, owners=owners)
    except ClientError as error:
        if not error.of_its_own:
            raise
        raise NotProvenError((unreadable(verifier.file, error),)) from error


def _require_whole(file: Path, manifest: Manifest) -> None:
    if changed := verify_checksum(file, manifest):
        raise NotProvenError(changed)


def _require_free(connection: BaseDatabaseWrapper, name: str) -> None:
    if not name or len(name.encode()) > LONGEST_NAME:
        raise UsageError(
            f"{name!r} is not a valid name of a database",
            id="database-exists",
            hint=f"give a name of 1 to {LONGEST_NAME} bytes with --into",
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if cursor.fetchone():
            raise UsageError(
                f"the database {name} already exists",
                id="database-exists",
                hint="give another name with --into",
            )


def _require_confirmed(job: RestoreJob, loss: Loss) -> Loss:
    if job.confirm is not None and not job.confirm(loss):
        raise RefusedError(
            "the loss was not confirmed; nothing was changed",
            id="not-confirmed",
            hint="answer yes, or accept the loss with --no-input",
        )
    # Whoever was asked may have thought about it for long.
    job.connection.close()
    return loss


def _require_no_more(job: RestoreJob, stated: Loss, counters: Counters) -> None:
    """Raise RefusedError if more was written than the operator agreed to lose."""
    more = written_since(stated.counters, counters)
    if job.confirm is not None and more:
        raise RefusedError(
            f"more was written since you confirmed: {more[0]}; the live database is as it was",
            id="writes-during-restore",
            hint="stop what writes, and run the command again",
            evidence={"written": [vars(each) for each in more]},
        )


def _require_to_give(job: RestoreJob, database: str, properties: Mapping[str, Any]) -> None:
    """Raise RefusedError where a database could not be given the properties, by trying it.

    Whose settings a role may set, and which, differs from major to major and is in no one catalog.
    """
    with maintenance_connection(job.connection, job.maintenance_db) as maintenance:
        try:
            _try(maintenance, database, properties)
        except OpsmigrateError as error:
            raise RefusedError(str(error), id="property-not-restored", hint=error.hint) from error


def _try(maintenance: BaseDatabaseWrapper, database: str, properties: Mapping[str, Any]) -> None:
    with maintenance.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            give_properties(maintenance, database, properties)
        finally:
            cursor.execute("ROLLBACK")
