"""Where a rehearsal takes place, and how much of the database it gets."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.backup.foreign_code import foreign_code_of_database, refused_copy
from opsmigrate.errors import OpsmigrateError, UndecidedError
from opsmigrate.guard import APPROVAL, PRODUCTION, require_approval
from opsmigrate.management.database import aliases_of, postgresql_alias
from opsmigrate.management.database_command import Run
from opsmigrate.pgtools.clients import find_clients
from opsmigrate.pgtools.kept_folder import KeptFolder, kept_folder
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.neighbours import NOBODY, Neighbours
from opsmigrate.postgres.opening import own, release
from opsmigrate.postgres.session import Session, is_pooled_by_transaction, read_session
from opsmigrate.postgres.superuser_powers import has_superuser_powers
from opsmigrate.preflight.plan import MigrateArguments
from opsmigrate.preflight.rehearsal.cures import Cures
from opsmigrate.preflight.rehearsal.embedded_stage import (
    lack_of_server,
    on_embedded_server,
    why_not_embedded,
)
from opsmigrate.preflight.rehearsal.kept_copy import UnfitError, find_kept_copy
from opsmigrate.preflight.rehearsal.rehearsal_result import REHEARSE, NotRehearsed, Rehearsal
from opsmigrate.preflight.rehearsal.rehearse import RehearsalBounds, Stage, database_bytes, rehearse
from opsmigrate.preflight.rehearsal.selection import (
    CopySelection,
    select_all,
    select_kept,
    select_small,
)
from opsmigrate.preflight.rehearsal.sql_fence import require_grammar_here
from opsmigrate.scratch import find_kept, reap
from opsmigrate.scratch_rights import require_scratch_allowed
from opsmigrate.steps import command

APPROVED = command(f"{REHEARSE.text} {APPROVAL}")
AMONG_OTHERS = "on a server that others use"
WITH_POWERS = "as a superuser, or a role that has the server's files"
KEEP_A_COPY = command("python manage.py backup_db --verify restore --keep-scratch")
# There is no right or approval to give: the server has no room for a copy, or lets nobody in.
NO_PLACE = {"no-maintenance-database", "no-scratch-database", "too-few-connections"}
# A rehearsal of the schema takes whole tables up to this part of REHEARSE_MAX_BYTES.
PART_FOR_SCHEMA = 16


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The mode, and what was typed of alias and approval; None where nothing was."""

    mode: str
    on: str | None
    approval: str | None
    trust_code: bool = False
    keep_copy: bool = False
    try_old_release: bool = True
    # The tenants of whom a new copy has nothing.
    neighbours: Neighbours = NOBODY


def rehearse_as_asked(
    run: Run, arguments: MigrateArguments, asked: Asked, cures: Cures
) -> Rehearsal | NotRehearsed:
    """Rehearse where that was asked for, or where nothing speaks against it.

    Asked for by name, it raises what stands in its way, but where no copy can be had or looked at:
    then, as in the mode auto, that is said, and what was found without it stands.
    """
    try:
        return _rehearse(run, arguments, asked, cures)
    except _CannotError as error:
        return _not_rehearsed(error.reason)
    except UndecidedError as error:
        if asked.mode != "auto" and error.id not in NO_PLACE:
            raise
        return replace(_not_rehearsed(error), asked=asked.mode != "auto")


def _not_rehearsed(reason: OpsmigrateError) -> NotRehearsed:
    steps = reason.steps or (() if reason.hint else (REHEARSE,))
    return NotRehearsed(str(reason), reason.hint, steps)


def _rehearse(
    run: Run, arguments: MigrateArguments, asked: Asked, cures: Cures, unfit: str | None = None
) -> Rehearsal:
    """Rehearse, and again on the live server if the embedded one turned out to be `unfit`."""
    stage = None
    try:
        with _stage(run, asked, unfit) as stage:
            rehearsal = rehearse(
                run.connection,
                arguments,
                stage=stage,
                bounds=bounds_of(run, asked),
                selection=_selection(run, asked, stage),
                run_id=run.id,
                progress=run.progress,
                cures=cures,
                seed=lambda copy: seed_copy(run, copy),
            )
    except UndecidedError as error:
        if stage is None or not stage.isolated or error.id != "copy-failed":
            raise
        unfit = str(error)
    else:
        unfit = lack_of_server(rehearsal.failure) if stage.isolated else None
        if unfit is None:
            return rehearsal
    run.progress.phase(f"The temporary embedded server does not fit: {unfit}")
    return _rehearse(run, arguments, asked, cures, unfit)


def bounds_of(run: Run, asked: Asked) -> RehearsalBounds:
    """Return what the rehearsal keeps within."""
    return RehearsalBounds(
        seconds=run.settings.rehearse_max_seconds,
        try_old_release=asked.try_old_release,
        keep=run.session if asked.keep_copy else None,
        same=aliases_of(run.connection),
        databases=tuple(connections.settings.values()),
    )


def seed_copy(run: Run, copy: BaseDatabaseWrapper) -> None:
    """Do on the copy what seed_payment_id does; raise an OpsmigrateError where it cannot."""
    # Loaded only where a seed stands in the way.
    from opsmigrate.backfill.column_spec import column_spec_of
    from opsmigrate.backfill.pace import Pace
    from opsmigrate.backfill.seed import seed
    from opsmigrate.backfill.work import SeedOptions

    target = run.settings.seed
    assert target is not None  # noqa: S101 - nobody says to type it without one
    spec = column_spec_of(copy, target.model, target.field, expression=target.expression)
    # Nobody else is there: it need not give way to anyone.
    pace = Pace(batch_rows=5000, lock_timeout=1, max_rows_per_second=None, patience=1)
    limit = run.settings.rehearse_max_seconds
    seed(copy, spec, SeedOptions(pace=pace, time_budget=limit, triggers="refuse"), run.progress)


class _CannotError(Exception):
    """No rehearsal was requested by name, and there is no place for one."""

    def __init__(self, reason: OpsmigrateError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _selection(run: Run, asked: Asked, stage: Stage) -> CopySelection:
    if asked.mode == "kept":
        return _kept(run, stage)
    most, neighbours = run.settings.rehearse_max_bytes, asked.neighbours
    small = asked.mode == "auto" and database_bytes(run.connection, neighbours) <= most
    if asked.mode == "clone" or small:
        return _unchanged(run, stage) or select_all(run.connection, neighbours)
    return select_small(run.connection, most // PART_FOR_SCHEMA, neighbours)


def _kept(run: Run, stage: Stage) -> CopySelection:
    run.progress.phase("Comparing the live database with its kept copy")
    try:
        kept = find_kept_copy(run.connection, run.session, stage.clients, may_be_stale=True)
    except UnfitError as error:
        raise UndecidedError(
            f"no kept copy can be used for a rehearsal: {error}",
            id="no-kept-copy",
            hint="take a backup that keeps its copy, or rehearse on a new one",
            steps=(KEEP_A_COPY, replace(REHEARSE, alternative=2)),
        ) from error
    return select_kept(run.connection, kept)


def _unchanged(run: Run, stage: Stage) -> CopySelection | None:
    """Return what is as good as a new clone: a kept copy of which nothing has changed since."""
    if not find_kept(stage.connection, source=run.session.oid):
        return None
    run.progress.phase("Comparing the live database with its kept copy")
    try:
        kept = find_kept_copy(
            run.connection,
            run.session,
            stage.clients,
            may_be_stale=False,
            server=stage.connection,
        )
    except UnfitError as error:
        run.progress.phase(f"A new copy is made: {error}")
        return None
    return select_kept(run.connection, kept)


@contextmanager
def _stage(run: Run, asked: Asked, unfit: str | None) -> Iterator[Stage]:
    """Yield where the copy is made: on the named alias, else on a temporary embedded server.

    Else, where that does not suit, on the examined one: `unfit` is why it does not, where that is
    known. What was kept is there, and nowhere else.
    """
    alias = None if asked.mode == "kept" else asked.on or run.settings.rehearse_on
    unasked = asked.mode == "auto"
    with _saying_why(unasked=unasked):
        if is_pooled_by_transaction(run.connection):
            raise UndecidedError(
                "there is a connection pooler in transaction mode in between",
                id="pooled-by-transaction",
                hint="let DATABASES point to the server itself, not to the pooler",
            )
        here = Stage(
            connection=run.connection,
            server="examined",
            maintenance_db=run.settings.maintenance_db,
            clients=find_clients(run.session.major, run.settings.pg_bin),
        )
        server = None if alias is None else _other_server(run, alias)
        if server is not None:
            with _released_where_refused(server):
                require_grammar_here(AMONG_OTHERS)
                require_trusted(run, asked, server)
        asked_here = asked.mode == "kept" or alias is not None
        why = None if asked_here else unfit or _why_not_embedded(run, asked)
        if not asked_here and why is None and has_superuser_powers(run.connection):
            require_grammar_here(WITH_POWERS)
    if server is not None:
        try:
            yield replace(here, connection=server, server="alias", maintenance_db=None)
        finally:
            release(server)
        return
    if not asked_here and why is None:
        with ExitStack() as stack:
            try:
                embedded, superuser = stack.enter_context(
                    on_embedded_server(
                        run.connection, run.session.major, _folder(run, asked, stack)
                    )
                )
            except UndecidedError as error:
                why = str(error)
            else:
                yield replace(
                    here,
                    connection=embedded,
                    server="embedded",
                    maintenance_db=None,
                    superuser=superuser,
                )
                return
    with _saying_why(unasked=unasked):
        _require_allowed_here(run, asked, why)
        require_grammar_here(AMONG_OTHERS)
        require_trusted(run, asked, run.connection)
    yield replace(here, why_here=why)


def _folder(run: Run, asked: Asked, stack: ExitStack) -> KeptFolder | None:
    """Return the folder of this database for the server, where a copy is kept or is to be."""
    name = f"{run.session.system_identifier}-{run.session.oid}"
    folder = stack.enter_context(kept_folder(name, new=asked.keep_copy))
    if folder is None or not (asked.keep_copy or folder.record):
        return None
    return folder


@contextmanager
def _released_where_refused(server: BaseDatabaseWrapper) -> Iterator[None]:
    try:
        yield
    except BaseException:
        release(server)
        raise


def require_trusted(run: Run, asked: Asked, server: BaseDatabaseWrapper) -> None:
    """Raise where the copy would run what others wrote with the powers of the role at `server`."""
    if not asked.trust_code and has_superuser_powers(server):
        code = foreign_code_of_database(run.connection)
        if code:
            raise refused_copy(code)


def _why_not_embedded(run: Run, asked: Asked) -> str | None:
    return why_not_embedded(run.connection, run.session.major, _bytes_of_copy(run, asked))


def _bytes_of_copy(run: Run, asked: Asked) -> int:
    whole = database_bytes(run.connection, asked.neighbours)
    most = run.settings.rehearse_max_bytes
    if asked.mode == "clone" or (asked.mode == "auto" and whole <= most):
        return whole
    return min(whole, most // PART_FOR_SCHEMA)


def _require_allowed_here(run: Run, asked: Asked, why: str | None) -> None:
    """Raise where no copy may be made on the live server; `why` it would have to be there."""
    if run.settings.environment == PRODUCTION and asked.mode == "auto":
        alternative = (
            "" if why is None else f", and it cannot be made on a temporary embedded server: {why}"
        )
        raise UndecidedError(
            f"no copy is made on a production server without --approval{alternative}",
            id="approval-needed",
            steps=(APPROVED,),
        )
    require_approval(run.settings, action="a rehearsal on the live server", approval=asked.approval)
    require_scratch_allowed(run.connection)


@contextmanager
def _saying_why(*, unasked: bool) -> Iterator[None]:
    try:
        yield
    except OpsmigrateError as error:
        if not unasked:
            raise
        raise _CannotError(error) from error


def _other_server(run: Run, alias: str) -> BaseDatabaseWrapper | None:
    """Return the connection of the alias, or None where it leads to the live server."""
    server = postgresql_alias(alias, option="--rehearse-on")
    with suppress(Error):  # A session that is lost says so when it is asked.
        own(server)
    try:
        if _is_another_server(run, alias, server):
            return server
    except BaseException:
        release(server)
        raise
    release(server)
    return None


def _is_another_server(run: Run, alias: str, server: BaseDatabaseWrapper) -> bool:
    session = reached(server)
    if session.system_identifier == run.session.system_identifier:
        return False
    require_same_major(run, alias, session, option="--rehearse-on")
    reap(server, None)
    require_scratch_allowed(server)
    return True


def require_same_major(run: Run, alias: str, session: Session, *, option: str) -> None:
    """Raise UndecidedError where the server of the alias is of another major version."""
    if session.major != run.session.major:
        raise UndecidedError(
            f"the server of the alias {alias!r} is PostgreSQL {session.major}, the live server is "
            f"{run.session.major}: a rehearsal on one version proves nothing for the other",
            id="server-version-differs",
            hint=f"name the alias of a PostgreSQL {run.session.major} server with {option}",
        )


def reached(server: BaseDatabaseWrapper) -> Session:
    """Return the session; raise UndecidedError where nobody is let in."""
    try:
        return read_session(server)
    except Error as error:
        raise UndecidedError(
            f"cannot connect to rehearse there: {first_line(error)}",
            id="cannot-connect",
            hint=f"check DATABASES[{server.alias!r}], and that the server is up",
        ) from error
