"""The rehearsal, the proof: the project's own `migrate` on a copy of the database."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.libpq import child_environment
from opsmigrate.pgtools.run import ClientError, started
from opsmigrate.preflight.plan import Target
from opsmigrate.progress import Progress
from opsmigrate.scratch import scratch_database

LOCK_TIMEOUT_MS = 5000
SECONDS_TO_END = 10


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What happened on the copy; `failure` is None where `migrate` applied, times in seconds."""

    failure: Mapping[str, Any] | None
    statements: tuple[Mapping[str, Any], ...]
    refused: tuple[Mapping[str, Any], ...]
    copy_seconds: float
    migrate_seconds: float


@dataclass(frozen=True)
class NotRehearsed:
    """Why there is no rehearsal, and what to type for one."""

    why: str
    hint: str


def database_bytes(connection: BaseDatabaseWrapper) -> int:
    """Return the size of the database of `connection` in bytes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def rehearse(
    connection: BaseDatabaseWrapper,
    target: Target,
    *,
    clients: Clients,
    run_id: str,
    maintenance_db: str | None,
    progress: Progress,
) -> Rehearsal:
    """Copy the database into a scratch database on the same server, and migrate the copy.

    The examined database is read by pg_dump and not changed; the copy is dropped whatever
    happens. Raises UndecidedError where no copy can be made.
    """
    with scratch_database(connection, run_id=run_id, maintenance_db=maintenance_db) as scratch:
        progress.phase(f"Copying the database into {scratch.name}")
        begun = time.monotonic()
        _copy(connection, clients, scratch.name)
        copied = time.monotonic()
        progress.phase("Rehearsing migrate on the copy")
        result = _run_child(connection, scratch.name, target)
        done = time.monotonic()
    return Rehearsal(
        failure=result["failure"],
        statements=tuple(result["statements"]),
        refused=(*result["refused"], *_lacking(connection)),
        copy_seconds=round(copied - begun, 3),
        migrate_seconds=round(done - copied, 3),
    )


def _lacking(connection: BaseDatabaseWrapper) -> tuple[Mapping[str, Any], ...]:
    """Return what a copy lacks that may decide: settings of the database or of roles in it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_db_role_setting WHERE setdatabase ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        if not cursor.fetchone()[0]:
            return ()
    what = "the database has settings of its own (ALTER DATABASE … SET), which a copy lacks"
    return ({"what": what, "migration": None, "operation": None},)


def _copy(connection: BaseDatabaseWrapper, clients: Clients, scratch: str) -> None:
    """Pipe pg_dump into pg_restore: no row of the database is written to a file of ours."""
    dump = [
        clients.program("pg_dump"),
        "--format=custom",
        "--compress=0",
        "--blobs",
        "--no-password",
        "--no-publications",
        "--no-subscriptions",
        f"--lock-wait-timeout={LOCK_TIMEOUT_MS}",
    ]
    restore = [
        clients.program("pg_restore"),
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        "--no-password",
        f"--dbname={scratch}",
    ]
    try:
        with (
            child_environment(connection) as source,
            child_environment(connection, database=scratch) as copy,
            started([*dump, *_role(source.role)], source, stdout=subprocess.PIPE) as dumping,
            started([*restore, *_role(copy.role)], copy, stdin=dumping.stdout) as restoring,
        ):
            restoring.wait()
    except ClientError as error:
        raise UndecidedError(
            f"no copy could be made for the rehearsal: {error}",
            id="copy-failed",
            hint="--rehearse off, or give the role what is missing",
        ) from error


def _role(role: str | None) -> list[str]:
    return [f"--role={role}"] if role else []


def _run_child(connection: BaseDatabaseWrapper, scratch: str, target: Target) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="opsmigrate") as folder:
        result = Path(folder) / "result.json"
        words = _finish(_start(), json.dumps(_job(connection, scratch, target, result)))
        if not result.exists():
            raise UndecidedError(
                f"the rehearsal's process ended before its end: {words}",
                id="rehearsal-broken",
                hint="--rehearse off, and report what it says",
            )
        body: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return body


def _job(
    connection: BaseDatabaseWrapper, scratch: str, target: Target, result: Path
) -> dict[str, Any]:
    place = {key: connection.settings_dict[key] for key in ("USER", "PASSWORD", "HOST", "PORT")}
    arguments = [item for item in (target.app_label, target.migration_name) if item]
    return {
        "alias": connection.alias,
        "place": {**place, "NAME": scratch},
        "arguments": arguments,
        "flags": {
            "fake": target.fake,
            "fake_initial": target.fake_initial,
            "run_syncdb": target.run_syncdb,
        },
        "result": str(result),
    }


def _start() -> subprocess.Popen[str]:
    # Where manage.py stands is on our path only; --settings is in the environment by now.
    environment = {
        "DJANGO_SETTINGS_MODULE": str(django_settings.SETTINGS_MODULE),
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "opsmigrate.preflight.child"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(child: subprocess.Popen[str], job: str) -> str:
    """Hand the job over, wait, and return the child's last line; end it on an exception."""
    try:
        _, words = child.communicate(job)
    except BaseException:
        child.terminate()
        try:
            child.communicate(timeout=SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
        raise
    lines = words.strip().splitlines()
    return lines[-1] if lines else f"exit status {child.returncode}"
