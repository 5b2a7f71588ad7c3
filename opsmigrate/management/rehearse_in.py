"""--rehearse-in: a rehearsal in a clone that somebody else made, which is written to."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import RefusedError
from opsmigrate.guard import require_approval
from opsmigrate.management.database import postgresql_alias
from opsmigrate.management.database_command import Run
from opsmigrate.management.rehearsing import (
    AMONG_OTHERS,
    Asked,
    bounds_of,
    reached,
    require_same_major,
    require_trusted,
    seed_copy,
)
from opsmigrate.pgtools.clients import find_clients
from opsmigrate.postgres.opening import own, release
from opsmigrate.postgres.session import is_pooled_by_transaction
from opsmigrate.preflight.plan import MigrateArguments
from opsmigrate.preflight.rehearsal.cures import Cures
from opsmigrate.preflight.rehearsal.named_clone import (
    leading_there,
    require_alike,
    require_not_live,
    rows_of_clone,
)
from opsmigrate.preflight.rehearsal.rehearsal_result import Rehearsal
from opsmigrate.preflight.rehearsal.rehearse import Stage, rehearse
from opsmigrate.preflight.rehearsal.selection import select_kept
from opsmigrate.preflight.rehearsal.sql_fence import require_grammar_here

OPTION = "--rehearse-in"


def rehearse_in_clone(
    run: Run,
    arguments: MigrateArguments,
    asked: Asked,
    cures: Cures,
    *,
    alias: str,
    confirm: Callable[[str], bool] | None,
) -> Rehearsal:
    """Rehearse in the database of `alias`, which stays as the rehearsal leaves it.

    `confirm` is asked before anything is written, with what is going to be; None where it need not
    be. Raises RefusedError where the alias leads to the live database, or to another one than a
    clone of it as it is now, and UndecidedError where the clone cannot be used.
    """
    clone = postgresql_alias(alias, option=OPTION)
    with suppress(Error):  # A session that is lost says so when it is asked.
        own(clone)
    try:
        clients = find_clients(run.session.major, run.settings.pg_bin)
        identity = _require_usable(run, clone, asked)
        with leading_there(clone, identity):
            run.progress.phase(f"Comparing the live database with {alias}")
            require_alike(run.connection, clone, clients)
            taken = datetime.now(timezone.utc).isoformat()
            kept = rows_of_clone(run.connection, clone, taken=taken)
            if confirm is not None and not confirm(_what_is_written(clone)):
                raise RefusedError(
                    f"nothing was written to {alias!r}: writing to it was not confirmed",
                    id="not-confirmed",
                    hint="answer yes, or run it with --no-input",
                )
            return rehearse(
                run.connection,
                arguments,
                stage=Stage(connection=clone, server="clone", maintenance_db=None, clients=clients),
                bounds=bounds_of(run, asked),
                selection=select_kept(run.connection, kept),
                run_id=run.id,
                progress=run.progress,
                cures=cures,
                seed=lambda copy: seed_copy(run, copy),
            )
    finally:
        release(clone)


def _require_usable(run: Run, clone: BaseDatabaseWrapper, asked: Asked) -> list[str]:
    """Return the identity of the clone; raise where it cannot be used, or not without approval."""
    session = reached(clone)
    identity = require_not_live(run.connection, clone)
    if session.in_recovery or session.read_only:
        raise RefusedError(
            f"the database of {clone.alias!r} cannot be written to: it is a standby, or read-only",
            id="read-only",
            hint=f"name the alias of a clone that may be written to with {OPTION}",
        )
    if is_pooled_by_transaction(clone):
        raise RefusedError(
            f"there is a connection pooler in transaction mode before {clone.alias!r}",
            id="pooled-by-transaction",
            hint="let the alias point to the server itself, not to the pooler",
        )
    require_same_major(run, clone.alias, session, option=OPTION)
    if session.system_identifier == run.session.system_identifier and _same_start(run, clone):
        action = "a rehearsal on the live server"
        require_approval(run.settings, action=action, approval=asked.approval)
    require_grammar_here(AMONG_OTHERS)
    require_trusted(run, asked, clone)
    return identity


def _same_start(run: Run, clone: BaseDatabaseWrapper) -> bool:
    """Return whether both are databases of one running server."""
    started = []
    for each in (run.connection, clone):
        with each.cursor() as cursor:
            cursor.execute("SELECT pg_postmaster_start_time()")
            started.append(cursor.fetchone()[0])
    return bool(started[0] == started[1])


def _what_is_written(clone: BaseDatabaseWrapper) -> str:
    settings = clone.settings_dict
    where = f"{settings['NAME']} on {settings['HOST'] or 'the local socket'}"
    return (
        f"The rehearsal changes the database of {clone.alias!r} ({where}): functions that lead "
        "outside are replaced, settings are changed, and migrate is run there. It stays so."
    )
