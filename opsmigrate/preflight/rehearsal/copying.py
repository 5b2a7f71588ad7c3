"""The copy that is rehearsed on: pg_dump into pg_restore, disarmed in between, giving way."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import IO

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.known_failures import remedy_for
from opsmigrate.pgtools.libpq import ChildEnvironment, child_environment
from opsmigrate.pgtools.run import ClientError, started
from opsmigrate.pgtools.special_extensions import why_not_restored
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.session import second_connection, set_for_session
from opsmigrate.postgres.transaction import SNAPSHOT, transaction
from opsmigrate.preflight.rehearsal.archive_selection import (
    FOREIGN_KEY,
    SCHEDULERS,
    SCHEMA,
    wanted_entries,
    words_of,
)
from opsmigrate.preflight.rehearsal.broken_checks import DroppedCheck, drop_checks, restore_checks
from opsmigrate.preflight.rehearsal.broken_constraint import BrokenConstraint
from opsmigrate.preflight.rehearsal.broken_keys import add_broken_keys
from opsmigrate.preflight.rehearsal.broken_rows import NullsLetIn, leave_out_twice
from opsmigrate.preflight.rehearsal.disarm import Reach, disarm
from opsmigrate.preflight.rehearsal.extensions import create_as_live, other_versions
from opsmigrate.preflight.rehearsal.foreign_wrappers import make_wrappers
from opsmigrate.preflight.rehearsal.publications import Publication, left_out
from opsmigrate.preflight.rehearsal.rehearsal_result import WITHOUT
from opsmigrate.preflight.rehearsal.selection import CopySelection
from opsmigrate.steps import command

AT_ERROR = "--exit-on-error"
# libpq's own words, which are not translated (pgtools/libpq.py).
UNREACHED = "connection to server"
LOCK_TIMEOUT_MS = 5000
SECONDS_BETWEEN_LOOKS = 0.25
# Who waits in pg_locks is seen by every role. Only a lock that conflicts with reading waits for
# pg_dump, and whoever comes after it waits behind it.
WAITERS = """
SELECT EXISTS (
    SELECT FROM pg_locks w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b (pid)
    JOIN pg_stat_activity a ON a.pid = b.pid
    WHERE NOT w.granted AND a.application_name = %s)
"""
# As backup/snapshot.py has it.
XMIN = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
SETTING = "SELECT current_setting('server_version_num')::int >= 170000"


@dataclass(frozen=True, kw_only=True)
class Copy:
    """What is to be copied where, and what of it; `isolated` and `superuser` as in run.Stage."""

    source: BaseDatabaseWrapper
    scratch: BaseDatabaseWrapper
    clients: Clients
    selection: CopySelection
    isolated: bool
    superuser: BaseDatabaseWrapper | None = None


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What is to be known of a copy: what SQL could still reach from it, and where it is lenient.

    `broken` are the constraints that rows contradict (broken_constraint.py), `unpublished` the
    publications that only a superuser makes, which it lacks; `whole` says that nothing else of the
    database was left out. Every transaction with an id before `xmin` had ended at the snapshot.
    """

    reach: Reach
    broken: tuple[BrokenConstraint, ...]
    unpublished: tuple[Publication, ...] = ()
    whole: bool = False
    xmin: int = 0


def copy_database(copy: Copy) -> Copied:
    """Fill the scratch database, and return what is to be known of it.

    No row of the database is written to a file, nor is any password of a foreign server
    copied. pg_dump is ended as soon as somebody waits for a table that it has locked. Raises
    UndecidedError where no copy can be made.
    """
    if unrestored := why_not_restored(_extensions(copy.source)):
        raise UndecidedError(
            f"no copy could be made for the rehearsal: {unrestored}",
            id="no-scratch-database",
            hint="rehearse on a server where it was restored by hand; or do without",
            steps=(WITHOUT,),
        )
    try:
        with _snapshot(copy.source) as (snapshot, xmin), tempfile.TemporaryFile() as schema:
            unpublished = left_out(copy.source)
            wrappers = make_wrappers(copy.source, copy.scratch, copy.superuser)
            work = _CopyPrograms(copy, snapshot, [each.name for each in unpublished], wrappers)
            work.dump_schema(schema)
            with work.wanted(schema) as (schemas, wanted, keys):
                if schemas.tell():
                    work.restore_schema(schema, schemas, "pre-data")
                create_as_live(copy.scratch, other_versions(copy.source, copy.scratch))
                copy.scratch.close()
                work.restore_schema(schema, wanted, "pre-data")
                reach = disarm(copy.scratch, isolated=copy.isolated)
                checks = drop_checks(copy.scratch)
                copy.scratch.close()
                broken = work.load_rows() + work.restore_checks(checks)
                broken += work.restore_indexes(schema, wanted)
                broken += work.restore_keys(schema, keys)
    except ClientError as error:
        words = f"no copy could be made for the rehearsal: {error}"
        if UNREACHED in str(error):
            raise UndecidedError(
                words,
                id="no-scratch-database",
                hint="allow the role more connections; or run without a rehearsal",
                steps=(WITHOUT,),
            ) from error
        if known := remedy_for(words):
            raise UndecidedError(
                words,
                id="no-scratch-database",
                hint=f"{known.hint}; or do without",
                steps=(*known.steps, replace(WITHOUT, alternative=2)),
            ) from error
        raise UndecidedError(
            words,
            id="copy-failed",
            hint=(
                "grant the role what is missing, or make room on that server; or run without a "
                "rehearsal"
            ),
            steps=(WITHOUT,),
        ) from error
    names = (*reach.names, *work.gaps)
    reach = replace(reach, names=names)
    whole = not (broken or unpublished or wrappers or work.gaps)
    return Copied(reach=reach, broken=broken, unpublished=unpublished, whole=whole, xmin=xmin)


def _extensions(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extname FROM pg_catalog.pg_extension")
        return [str(row[0]) for row in cursor.fetchall()]


@contextmanager
def _snapshot(source: BaseDatabaseWrapper) -> Iterator[tuple[str, int]]:
    """Yield the name of one view of the database for both dumps, and its pg_snapshot_xmin."""
    with second_connection(source) as other:
        set_for_session(other, idle_in_transaction_session_timeout="0")
        with other.cursor() as cursor:
            cursor.execute(SETTING)
            if cursor.fetchone()[0]:
                set_for_session(other, transaction_timeout="0")
        with transaction(other, SNAPSHOT) as cursor:
            cursor.execute(f"SELECT pg_export_snapshot(), {XMIN}")
            name, xmin = cursor.fetchone()
            yield str(name), int(xmin)


class _CopyPrograms:
    """The programs of one copy."""

    def __init__(
        self, copy: Copy, snapshot: str, publications: Sequence[str], wrappers: Sequence[str]
    ) -> None:
        self._copy = copy
        self._publications, self._wrappers = publications, wrappers
        self._snapshot = snapshot
        self._name = f"opsmigrate_copy_{token_hex(4)}"
        self._neighbours = sorted(copy.selection.neighbours.schemas)
        self.gaps: tuple[str, ...] = ()

    def dump_schema(self, schema: IO[bytes]) -> None:
        with self._source() as source:
            argv = [*self._dump(source), "--section=pre-data", "--section=post-data"]
            with started(argv, source, stdout=schema.fileno()) as dumping:
                self._wait(dumping)

    @contextmanager
    def wanted(self, schema: IO[bytes]) -> Iterator[tuple[IO[bytes], IO[bytes], IO[bytes]]]:
        """Yield lists of what is to be restored (pg_restore --use-list): schemas, rest, keys."""
        with child_environment(self._copy.source) as environment, tempfile.TemporaryFile() as list_:
            schema.seek(0)
            argv = [self._copy.clients.program("pg_restore"), "--list"]
            with started(argv, environment, stdin=schema, stdout=list_.fileno()) as listing:
                listing.wait()
            list_.seek(0)
            lines = list_.read().decode(errors="surrogateescape").splitlines(keepends=True)
            with (
                tempfile.TemporaryFile() as schemas,
                tempfile.TemporaryFile() as wanted,
                tempfile.TemporaryFile() as keys,
            ):
                selected, self.gaps = wanted_entries(
                    lines, self._copy.selection.absent_keys, self._publications, self._wrappers
                )
                for entry in selected:
                    rest = keys if words_of(entry).startswith(FOREIGN_KEY) else wanted
                    list_to = schemas if words_of(entry).startswith(SCHEMA) else rest
                    list_to.write(entry.encode(errors="surrogateescape"))
                for each in (schemas, wanted, keys):
                    each.flush()
                yield schemas, wanted, keys

    def restore_checks(self, checks: Sequence[DroppedCheck]) -> tuple[BrokenConstraint, ...]:
        """Add the checks again; return those that rows contradict, which are left unchecked."""
        try:
            return restore_checks(self._copy.scratch, checks)
        except Error as error:
            raise ClientError(first_line(error)) from error
        finally:
            self._copy.scratch.close()

    def restore_keys(self, schema: IO[bytes], keys: IO[bytes]) -> tuple[BrokenConstraint, ...]:
        """Restore the foreign keys; return those that rows contradict, which are left unchecked."""
        if not keys.tell():
            return ()
        try:
            self.restore_schema(schema, keys, "post-data", to_the_end=True)
        except ClientError as error:
            copy = self._copy
            try:
                broken = add_broken_keys(copy.source, copy.scratch, copy.selection)
            except Error:
                broken = ()
            copy.scratch.close()
            if not broken:
                raise error
            return broken
        return ()

    def restore_indexes(self, schema: IO[bytes], wanted: IO[bytes]) -> tuple[BrokenConstraint, ...]:
        """Restore what comes after the rows, without those that a unique index would refuse."""
        copy = self._copy
        try:
            self.restore_schema(schema, wanted, "post-data")
        except ClientError:
            broken = leave_out_twice(copy.source, copy.scratch)
            copy.scratch.close()
            if not broken:
                raise
            self.restore_schema(schema, wanted, "post-data", again=True)
            return broken
        return ()

    def restore_schema(
        self,
        schema: IO[bytes],
        wanted: IO[bytes],
        section: str,
        *,
        to_the_end: bool = False,
        again: bool = False,
    ) -> None:
        schema.seek(0)
        wanted.seek(0)
        with child_environment(self._copy.scratch) as place:
            inherited = replace(place, descriptors=(*place.descriptors, wanted.fileno()))
            use_list = f"--use-list=/dev/fd/{wanted.fileno()}"
            argv = [*self._restore(place), f"--section={section}", use_list]
            if to_the_end:
                argv.remove(AT_ERROR)
            if again:
                # What the first attempt has made goes first.
                argv += ["--clean", "--if-exists"]
            with started(argv, inherited, stdin=schema) as restoring:
                restoring.wait()

    def load_rows(self) -> tuple[BrokenConstraint, ...]:
        """Copy the rows, but for those that a NOT NULL would refuse."""
        copy = self._copy
        nulls = NullsLetIn(copy.source, copy.scratch, copy.selection)
        try:
            while True:
                try:
                    self.pipe_rows()
                except ClientError as error:
                    if not nulls.let_in(str(error)):
                        raise
                    copy.scratch.close()
                else:
                    return nulls.put_back()
        except Error as error:
            raise ClientError(first_line(error)) from error
        finally:
            copy.scratch.close()

    def pipe_rows(self) -> None:
        without = [f"--exclude-table-data={schema}.*" for schema in SCHEDULERS.values()]
        with (
            self._source() as source,
            child_environment(self._copy.scratch) as place,
            started(
                [*self._dump(source), "--section=data", "--blobs", *without],
                source,
                stdout=subprocess.PIPE,
            ) as dumping,
            started(
                [*self._restore(place), "--section=data"], place, stdin=dumping.stdout
            ) as restoring,
        ):
            self._wait(restoring)

    @contextmanager
    def _source(self) -> Iterator[ChildEnvironment]:
        with child_environment(self._copy.source) as environment:
            yield replace(environment, variables={**environment.variables, "PGAPPNAME": self._name})

    def _dump(self, environment: ChildEnvironment) -> list[str]:
        return [
            self._copy.clients.program("pg_dump"),
            "--format=custom",
            "--compress=0",
            "--no-password",
            "--no-subscriptions",
            f"--snapshot={self._snapshot}",
            f"--lock-wait-timeout={LOCK_TIMEOUT_MS}",
            *(f"--exclude-schema={quoted(each)}" for each in self._neighbours),
            *(
                f"--exclude-table={quoted(schema)}.{quoted(name)}"
                for schema, name in self._copy.selection.absent
            ),
            # Of the schema's dump as well: pg_dump asks where each sequence stands.
            *(
                f"--exclude-table-data={quoted(schema)}.{quoted(name)}"
                for schema, name in self._copy.selection.without_rows
            ),
            *_role(environment),
        ]

    def _restore(self, environment: ChildEnvironment) -> list[str]:
        return [
            self._copy.clients.program("pg_restore"),
            AT_ERROR,
            "--no-owner",
            "--no-privileges",
            # A foreign key is added when the policies are there already.
            "--enable-row-security",
            "--no-password",
            f"--dbname={self._copy.scratch.settings_dict['NAME']}",
            *_role(environment),
        ]

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the program; end the copy as soon as somebody waits for us."""
        while True:
            try:
                process.wait(SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                self._give_way()
            else:
                return

    def _give_way(self) -> None:
        with self._copy.source.cursor() as cursor:
            cursor.execute(WAITERS, [self._name])
            if not cursor.fetchone()[0]:
                return
        raise UndecidedError(
            "the copy for the rehearsal was cancelled: another session waits for a lock on a "
            "table that it was reading",
            id="copy-lock-conflict",
            hint="run it again when that session has finished",
            steps=(command("python manage.py preflight_migrate"),),
        )


def _role(environment: ChildEnvironment) -> list[str]:
    return [f"--role={environment.role}"] if environment.role else []
