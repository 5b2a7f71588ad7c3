"""The rehearsal, the proof: the project's own `migrate` on a copy of the database."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.project_process import project_environment
from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.postgres.connection_limit import require_connections
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.identity import identity_of
from opsmigrate.postgres.neighbours import NOBODY, Neighbours
from opsmigrate.postgres.opening import TIME_LIMITS
from opsmigrate.postgres.session import Session, no_time_limits, second_connection
from opsmigrate.preflight.plan import MigrateArguments
from opsmigrate.preflight.rehearsal.copy_differences import remove_copy_differences
from opsmigrate.preflight.rehearsal.copy_gaps import CopyGaps, copy_gaps
from opsmigrate.preflight.rehearsal.copying import Copied, Copy, copy_database
from opsmigrate.preflight.rehearsal.credentials import live_of, pointed_at_copy, scrubbed
from opsmigrate.preflight.rehearsal.cured_runs import run_cured
from opsmigrate.preflight.rehearsal.cures import Cures
from opsmigrate.preflight.rehearsal.database_settings import end_with_client, repeat_settings
from opsmigrate.preflight.rehearsal.disarm import Reach, disarm, times_refused
from opsmigrate.preflight.rehearsal.kept_copy import drop_earlier, keep_copy
from opsmigrate.preflight.rehearsal.migrated_schema import MigratedSchema
from opsmigrate.preflight.rehearsal.old_models_trial import trial_of
from opsmigrate.preflight.rehearsal.process import Limits, run_child
from opsmigrate.preflight.rehearsal.publications import repeat_publications, what_lacks
from opsmigrate.preflight.rehearsal.rehearsal_result import REHEARSE, Rehearsal
from opsmigrate.preflight.rehearsal.rehearsed_event_triggers import repeat_event_triggers
from opsmigrate.preflight.rehearsal.rehearsed_statement import rehearsed_statement
from opsmigrate.preflight.rehearsal.repeat_sequences import repeat_sequences
from opsmigrate.preflight.rehearsal.revoked_privileges import repeat_revoked_privileges
from opsmigrate.preflight.rehearsal.selection import CopySelection, without_some_rows
from opsmigrate.preflight.rehearsal.self_deadlock import SelfDeadlock
from opsmigrate.progress import Progress
from opsmigrate.scratch import ScratchDatabase, looks_of, scratch_database
from opsmigrate.steps import Step

# Sessions on the live server: the one that asks, that of the snapshot, and pg_dump's; where the
# copy is there as well, that which makes it, and pg_restore's.
HERE_TOO, ALL_HERE = 3, 5
# Large objects are in no schema, and are copied.
SIZE_OF_SCHEMAS = """
SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
WHERE c.relnamespace = ANY (%s::oid[]) AND c.relkind IN ('r', 'm')
    OR c.oid = 'pg_catalog.pg_largeobject'::regclass
"""
PLACE = ("NAME", "USER", "PASSWORD", "HOST", "PORT")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where the copy is made: `connection` is a connection to that server, maybe the examined one.

    `server` says which it is. `why_here` is why the examined one had to be taken, None where it
    was asked for. `superuser` is a connection to an embedded server as one.
    """

    connection: BaseDatabaseWrapper
    server: Literal["embedded", "alias", "examined", "clone"]
    maintenance_db: str | None
    clients: Clients
    why_here: str | None = None
    superuser: BaseDatabaseWrapper | None = None

    @property
    def elsewhere(self) -> bool:
        """Return whether it is another server than the examined one."""
        return self.server != "examined"

    @property
    def isolated(self) -> bool:
        """Return whether it is a temporary embedded server, which has nothing but the copy."""
        return self.server == "embedded"


@dataclass(frozen=True, kw_only=True)
class RehearsalBounds:
    """What a rehearsal keeps within: seconds for `migrate`, and what its process may know.

    `same` are the aliases that lead to the examined database; `databases` are the entries of
    DATABASES; on a temporary embedded server, the process learns none of its passwords.
    `try_old_release` says whether the models from before the plan are used on the copy after it.
    `keep`, the live session, asks for a copy that later rehearsals can use.
    """

    seconds: float
    same: tuple[str, ...]
    databases: tuple[Mapping[str, Any], ...]
    keep: Session | None = None
    try_old_release: bool = True


def database_bytes(connection: BaseDatabaseWrapper, neighbours: Neighbours = NOBODY) -> int:
    """Return the size of the database of `connection` in bytes, without its neighbours."""
    with connection.cursor() as cursor:
        if neighbours.schemas:
            cursor.execute(SIZE_OF_SCHEMAS, [list(neighbours.read)])
        else:
            cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def rehearse(  # noqa: PLR0913 - what a command is asked
    connection: BaseDatabaseWrapper,
    target: MigrateArguments,
    *,
    stage: Stage,
    bounds: RehearsalBounds,
    selection: CopySelection,
    run_id: str,
    progress: Progress,
    cures: Cures,
    seed: Callable[[BaseDatabaseWrapper], None],
) -> Rehearsal:
    """Copy the database into a scratch database on the stage, and migrate the copy.

    The examined database is read by pg_dump and not changed; the copy is dropped whatever
    happens. Where a kept database was selected, that one is copied, and stays as it is. Where
    `migrate` fails, `cures` says what to type on the copy, and it is migrated again; `seed` does
    there what seed_payment_id does. Raises UndecidedError where no copy can be made.
    """
    require_connections(
        connection, HERE_TOO if stage.elsewhere else ALL_HERE, "the copy for a rehearsal"
    )
    begun = time.monotonic()
    with (
        _copied(connection, stage, selection, run_id, progress, keep=bounds.keep) as (
            scratch,
            copied_as,
        ),
        second_connection(stage.connection, database=scratch.name) as copy,
    ):
        end_with_client(copy)
        copy.close()
        not_repeated: list[str] = []
        if copied_as is None:
            not_repeated += repeat_sequences(connection, copy)
            copied_as = Copied(reach=_disarmed(copy, stage), broken=())
        differing = remove_copy_differences(connection, copy, selection)
        lacks_rows = {(each.schema, each.table) for each in copied_as.broken if each.lacks_rows}
        selection = without_some_rows(connection, selection, lacks_rows)
        not_validated_on_copy = any(not item.marked_valid for item in copied_as.broken)
        gaps = copy_gaps(
            selection, copy, differing=differing, not_validated_on_copy=not_validated_on_copy
        )
        unpublished = repeat_publications(copy, stage.superuser, copied_as.unpublished)
        not_repeated += [
            *what_lacks(copy, unpublished),
            *repeat_revoked_privileges(connection, copy, selection),
            *repeat_settings(
                connection, copy, elsewhere=stage.elsewhere, superuser=stage.superuser
            ),
        ]
        has_event_triggers = repeat_event_triggers(connection, copy, stage.superuser)
        before = read_catalog(copy) if bounds.try_old_release else None
        copy.close()
        copied = time.monotonic()
        progress.phase(
            f"Rehearsing migrate on the copy, for at most {bounds.seconds:g} s"
            " (REHEARSE_MAX_SECONDS)"
        )

        def migrate(cured: tuple[Step, ...] = ()) -> dict[str, Any]:
            copy.close()
            job = _job(connection, copy, target, copied_as.reach, gaps, stage, bounds)
            return run_child(
                {**job, "cures": [asdict(step) for step in cured]},
                _environment(copy, connection, stage, bounds),
                Limits(
                    seconds=bounds.seconds,
                    waits=SelfDeadlock(stage.connection, scratch.name),
                    spent=time.monotonic() - copied,
                ),
                progress,
            )

        result = migrate()
        not_repeated += what_lacks(copy, unpublished)
        refused = list(result["refused"])
        reached = result["reached"] if result["old_release"] else times_refused(copy)
        if not refused and reached:
            what = "it called a function that reaches beyond its database"
            refused.append({"what": what, "migration": None, "operation": None})
        schema = None
        if before is not None and result["old_release"] is not None:
            schema = MigratedSchema(before, read_catalog(copy))
        done = time.monotonic()
        if result["failure"]:
            progress.phase("Rehearsing again, with what stands in the way put right on the copy")
        cured = run_cured(
            {**result, "refused": refused}, cures, seed=lambda: seed(copy), migrate=migrate
        )
    return Rehearsal(
        failure=result["failure"],
        stopped=result["stopped"],
        isolation={
            "server": stage.server,
            "network": result["network"],
            "fence": "isolated" if stage.isolated else "shared",
            "why": [why for why in (stage.why_here, result["why_network"]) if why],
        },
        applied=tuple((label, backwards) for label, backwards in result["applied"]),
        may_skip=target.fake or target.fake_initial,
        asking=tuple((migration, operation) for migration, operation in result["asking"]),
        statements=tuple(map(rehearsed_statement, result["statements"])),
        refused=tuple(refused),
        gaps=tuple(dict.fromkeys(not_repeated)),
        broken=copied_as.broken,
        selection=selection,
        differing=differing,
        has_event_triggers=has_event_triggers,
        trial=trial_of(result["old_release"]),
        schema=schema,
        cured=cured,
        copy_seconds=round(copied - begun, 3),
        migrate_seconds=round(done - copied, 3),
    )


@contextmanager
def _copied(
    connection: BaseDatabaseWrapper,
    stage: Stage,
    selection: CopySelection,
    run_id: str,
    progress: Progress,
    *,
    keep: Session | None,
) -> Iterator[tuple[ScratchDatabase, Copied | None]]:
    """Yield a new copy, with what is to be known of it; None where it is one of a kept database.

    With `keep`, the live session, a whole copy stays as it is, and what is yielded is one of it.
    A clone that was named is yielded itself.
    """

    def scratch(template: str | None) -> AbstractContextManager[ScratchDatabase]:
        return scratch_database(
            stage.connection,
            run_id=run_id,
            maintenance_db=stage.maintenance_db,
            like=None if template else looks_of(connection),
            template=template,
        )

    if selection.kept and selection.kept.clone:
        yield ScratchDatabase(selection.kept.name, source=0, run=run_id, kept=True), None
        return
    if selection.kept:
        progress.phase(f"Copying {selection.kept.name}, {selection.kept.words}")
        with scratch(selection.kept.name) as made:
            yield made, None
        return
    with scratch(None) as first:
        progress.phase(f"Copying the database into {first.name}")
        with second_connection(stage.connection, database=first.name) as copy:
            end_with_client(copy)
            copy.close()
            copied_as = copy_database(
                Copy(
                    source=connection,
                    scratch=copy,
                    clients=stage.clients,
                    selection=selection,
                    isolated=stage.isolated,
                    superuser=stage.superuser,
                )
            )
            whole = copied_as.whole and selection == CopySelection("clone")
            if keep is None or not whole:
                if keep is not None:
                    progress.phase("The copy lacks something of the database, and is not kept")
                copy.close()
                yield first, copied_as
                return
            keep_copy(stage.connection, first, copy, keep, xmin=copied_as.xmin)
        drop_earlier(stage.connection, keep, stage.maintenance_db, but=first.name)
        with scratch(first.name) as made:
            yield made, copied_as


def _disarmed(copy: BaseDatabaseWrapper, stage: Stage) -> Reach:
    try:
        return disarm(copy, isolated=stage.isolated)
    except Error as error:
        raise UndecidedError(
            f"what leads outside of {copy.settings_dict['NAME']} cannot be taken from it: "
            f"{first_line(error)}",
            id="copy-failed",
            hint="let the role own what is in it; or rehearse on a new copy",
            steps=(REHEARSE,),
        ) from error


def _job(  # noqa: PLR0913 - what the child is told
    connection: BaseDatabaseWrapper,
    copy: BaseDatabaseWrapper,
    target: MigrateArguments,
    reach: Reach,
    gaps: CopyGaps,
    stage: Stage,
    bounds: RehearsalBounds,
) -> dict[str, Any]:
    here, there = connection.settings_dict, copy.settings_dict
    # An alias may say where it leads in its OPTIONS alone.
    elsewhere = stage.server == "clone" or any(
        here[key] != there[key] for key in ("USER", "HOST", "PORT")
    )
    return {
        "alias": connection.alias,
        "live": identity_of(connection),
        "identity": identity_of(copy),
        "same": bounds.same,
        "examined": str(here["NAME"] or ""),
        "place": {key: there[key] for key in PLACE},
        "options": there["OPTIONS"] if elsewhere else {},
        "session": [f"-c {name}=0" for name in TIME_LIMITS if name in no_time_limits(connection)],
        "without_options": [key for key in here["OPTIONS"] if elsewhere],
        "arguments": [item for item in (target.app_label, target.migration_name) if item],
        "flags": {
            "fake": target.fake,
            "fake_initial": target.fake_initial,
            "run_syncdb": target.run_syncdb,
        },
        "files": reach.files,
        "isolated": stage.isolated,
        "names": reach.names,
        "foreign": reach.foreign,
        "gaps": asdict(gaps),
        "try_old_release": bounds.try_old_release and not target.fake,
        "seconds": bounds.seconds,
    }


def _environment(
    copy: BaseDatabaseWrapper,
    connection: BaseDatabaseWrapper,
    stage: Stage,
    bounds: RehearsalBounds,
) -> dict[str, str]:
    own = project_environment()
    examined = str(connection.settings_dict["NAME"] or "")
    place = {key: copy.settings_dict[key] for key in PLACE}
    if stage.isolated:
        return scrubbed(own, live_of(bounds.databases, os.environ), examined, place)
    return pointed_at_copy(own, examined, place)
