"""Prove a backup: against its manifest, from the file alone or by restoring it."""

from collections.abc import Mapping
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backup.archive import rows_in_archive, sha256_of
from opsmigrate.backup.snapshot import count_rows, list_tables
from opsmigrate.manifest import Manifest
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.libpq import child_environment
from opsmigrate.pgtools.run import ClientError, run
from opsmigrate.postgres.session import second_connection
from opsmigrate.progress import Progress
from opsmigrate.report import Finding, Severity
from opsmigrate.scratch import scratch_database

AGAIN = "python manage.py backup_db"


def verify_archive(
    connection: BaseDatabaseWrapper,
    clients: Clients,
    file: Path,
    manifest: Manifest,
    progress: Progress,
) -> tuple[Finding, ...]:
    """Return what differs between the file and its manifest: checksum, then rows per table."""
    progress.phase("Verifying the archive: SHA-256, then every row")
    if sha256_of(file) != manifest.sha256:
        return (_broken("archive-changed", f"{file.name} is not the file that was written"),)
    try:
        rows = rows_in_archive(
            clients,
            connection,
            file,
            meanwhile=lambda total: progress.update(f"{total:,} rows read"),
        )
    except ClientError as error:
        return (_broken("archive-unreadable", f"pg_restore cannot read {file.name}: {error}"),)
    return _differences(rows, manifest.tables)


def verify_by_restoring(
    connection: BaseDatabaseWrapper,
    clients: Clients,
    file: Path,
    manifest: Manifest,
    *,
    run_id: str,
    maintenance_db: str | None,
    progress: Progress,
) -> tuple[Finding, ...]:
    """Restore the file in a scratch database, compare the rows of every table, and drop it."""
    with scratch_database(connection, run_id=run_id, maintenance_db=maintenance_db) as scratch:
        progress.phase(f"Restoring into the scratch database {scratch.name}")
        argv = [
            clients.program("pg_restore"),
            "--exit-on-error",
            "--no-owner",
            "--no-privileges",
            "--no-password",
            f"--dbname={scratch.name}",
            str(file.resolve()),
        ]
        try:
            with child_environment(connection, database=scratch.name) as environment:
                if environment.role:
                    argv.insert(1, f"--role={environment.role}")
                run(argv, environment, meanwhile=lambda: progress.update("restoring"))
        except ClientError as error:
            return (_broken("restore-failed", f"{file.name} cannot be restored: {error}"),)
        with second_connection(connection, database=scratch.name) as restored:
            return _differences(count_rows(restored, list_tables(restored)), manifest.tables)


def _broken(id: str, message: str) -> Finding:
    return Finding(id=id, severity=Severity.ERROR, message=message, hint=AGAIN)


def _differences(found: Mapping[str, int], recorded: Mapping[str, int]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            id="rows-differ",
            severity=Severity.ERROR,
            message=f"{table} had {rows:,} rows when it was backed up; the backup has "
            + (f"{found[table]:,}" if table in found else "no such table"),
            hint=AGAIN,
            table=table,
            evidence={"source": rows, "backup": found.get(table)},
        )
        for table, rows in recorded.items()
        if found.get(table) != rows
    )
