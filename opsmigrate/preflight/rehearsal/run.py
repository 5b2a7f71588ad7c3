"""The rehearsal, the proof: the project's own `migrate` on a copy of the database."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings as django_settings
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.own_folder import own_folder
from opsmigrate.pgtools.run import dying_with_us
from opsmigrate.postgres.session import second_connection
from opsmigrate.preflight.plan import Target
from opsmigrate.preflight.rehearsal.copying import Copied, Copy, copy_database
from opsmigrate.preflight.rehearsal.database_settings import end_with_client, repeat_settings
from opsmigrate.preflight.rehearsal.disarm import Reach, disarm, times_refused
from opsmigrate.preflight.rehearsal.lacking import Lacking, lacking_in
from opsmigrate.preflight.rehearsal.outcome import Rehearsal
from opsmigrate.preflight.rehearsal.places import identity_of
from opsmigrate.preflight.rehearsal.selection import Selection
from opsmigrate.preflight.rehearsal.withheld import repeat_withheld
from opsmigrate.progress import Progress
from opsmigrate.scratch import looks_of, scratch_database

SECONDS_TO_END = 2


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where the copy is made: `place` is a connection to that server, maybe the examined one."""

    place: BaseDatabaseWrapper
    elsewhere: bool
    maintenance_db: str | None
    clients: Clients


def database_bytes(connection: BaseDatabaseWrapper) -> int:
    """Return the size of the database of `connection` in bytes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def rehearse(
    connection: BaseDatabaseWrapper,
    target: Target,
    *,
    stage: Stage,
    selection: Selection,
    run_id: str,
    progress: Progress,
) -> Rehearsal:
    """Copy the database into a scratch database on the stage, and migrate the copy.

    The examined database is read by pg_dump and not changed; the copy is dropped whatever
    happens. Where a kept database was selected, that one is copied, and stays as it is. Raises
    UndecidedError where no copy can be made.
    """
    kept = selection.kept
    begun = time.monotonic()
    if kept:
        progress.phase(f"Copying {kept.name}, restored from {kept.backup}")
    with (
        scratch_database(
            stage.place,
            run_id=run_id,
            maintenance_db=stage.maintenance_db,
            like=None if kept else looks_of(connection),
            template=kept.name if kept else None,
        ) as scratch,
        second_connection(stage.place, database=scratch.name) as copy,
    ):
        end_with_client(copy)
        copy.close()
        if kept:
            copied_as = Copied(reach=disarm(copy), broken=())
        else:
            progress.phase(f"Copying the database into {scratch.name}")
            copied_as = copy_database(
                Copy(
                    source=connection,
                    scratch=copy,
                    clients=stage.clients,
                    selection=selection,
                )
            )
        unbelieved = any(not item.believed for item in copied_as.broken)
        lacks = lacking_in(selection, copy, unbelieved=unbelieved)
        lacking = (
            *repeat_withheld(connection, copy),
            *repeat_settings(connection, copy, elsewhere=stage.elsewhere),
        )
        copy.close()
        copied = time.monotonic()
        progress.phase("Rehearsing migrate on the copy")
        result = _run_child(_job(connection, copy, target, copied_as.reach, lacks))
        refused = [*result["refused"], *map(_nowhere, (*lacking, *copied_as.reach.lacking))]
        if not refused and times_refused(copy):
            refused.append(_nowhere("it called a function that reaches beyond its database"))
        done = time.monotonic()
    return Rehearsal(
        failure=result["failure"],
        applied=tuple((label, backwards) for label, backwards in result["applied"]),
        may_skip=target.fake or target.fake_initial,
        asking=tuple((migration, operation) for migration, operation in result["asking"]),
        statements=tuple(result["statements"]),
        refused=tuple(refused),
        broken=copied_as.broken,
        selection=selection,
        copy_seconds=round(copied - begun, 3),
        migrate_seconds=round(done - copied, 3),
    )


def _nowhere(what: str) -> dict[str, str | None]:
    return {"what": what, "migration": None, "operation": None}


def _job(
    connection: BaseDatabaseWrapper,
    copy: BaseDatabaseWrapper,
    target: Target,
    reach: Reach,
    lacking: Lacking,
) -> dict[str, Any]:
    here, there = connection.settings_dict, copy.settings_dict
    elsewhere = any(here[key] != there[key] for key in ("USER", "HOST", "PORT"))
    return {
        "alias": connection.alias,
        "examined": {
            **{key: here[key] for key in ("NAME", "HOST", "PORT")},
            "identity": identity_of(connection),
        },
        "place": {key: there[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")},
        "options": there["OPTIONS"] if elsewhere else {},
        "without_options": [key for key in here["OPTIONS"] if elsewhere],
        "arguments": [item for item in (target.app_label, target.migration_name) if item],
        "flags": {
            "fake": target.fake,
            "fake_initial": target.fake_initial,
            "run_syncdb": target.run_syncdb,
        },
        "files": reach.files,
        "names": reach.names,
        "lacking": asdict(lacking),
    }


def _run_child(job: dict[str, Any]) -> dict[str, Any]:
    # What code writes to its temporary folder goes with this one.
    with own_folder() as folder:
        child = _start(str(folder))
        stdout, words = _finish(child, json.dumps({**job, "folder": str(folder)}, default=str))
    try:
        body: dict[str, Any] = json.loads(stdout)
    except ValueError:
        lines = words.strip().splitlines()
        last = lines[-1] if lines else f"exit status {child.returncode}"
        raise UndecidedError(
            f"the rehearsal's process ended before its end: {last}",
            id="rehearsal-broken",
            hint="--rehearse off, and report what it says",
        ) from None
    return body


def _start(folder: str) -> subprocess.Popen[str]:
    # Where manage.py stands is on our path only; --settings is in the environment by now.
    environment = {
        "DJANGO_SETTINGS_MODULE": str(django_settings.SETTINGS_MODULE),
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder),
    }
    return subprocess.Popen(
        [*dying_with_us(), sys.executable, "-m", "opsmigrate.preflight.rehearsal.child"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def _finish(child: subprocess.Popen[str], job: str) -> tuple[str, str]:
    """Hand the job over, wait, and return what the child said; end it on an exception."""
    try:
        return child.communicate(job)
    except BaseException:
        child.terminate()
        try:
            child.communicate(timeout=SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
        raise
