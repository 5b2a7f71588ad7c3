"""What the process of migrate_safely does: `migrate` in sessions with limits, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.core.management import call_command
from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.migrations import Migration
from django.db.models.signals import pre_migrate

from opsmigrate.playbook.effects import Effects, runs_concurrently
from opsmigrate.playbook.fingerprints import Fingerprint, fingerprints, unlike
from opsmigrate.playbook.one_at_a_time import LOCK_SPACE, OF_ITS_PROCESS, key_of
from opsmigrate.playbook.time_limits import SECONDS_CONCURRENTLY
from opsmigrate.postgres.django_tenants import migrate_command
from opsmigrate.postgres.driver_errors import first_line, sqlstate
from opsmigrate.postgres.identity import identity_of
from opsmigrate.postgres.locks import as_timeout
from opsmigrate.preflight.plan import MigrateArguments, make_plan
from opsmigrate.preflight.rehearsal.sent_text import written

# In the project's session names resolve as the project has it; what somebody planted must not.
SET = "SELECT pg_catalog.set_config(%s, %s, false)"
SHARE = "SELECT pg_catalog.pg_try_advisory_lock_shared(%s::pg_catalog.int4, %s::pg_catalog.int4)"
# The server looks so often whether we are still there (documentation of
# client_connection_check_interval); not every system can.
LOOKS = ("client_connection_check_interval", "2s")


class StoppedError(Exception):
    """Nothing may be migrated here: `kind` is why, for the parent."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


def migrate_within_limits(
    job: dict[str, Any], connection: BaseDatabaseWrapper, every: Sequence[BaseDatabaseWrapper]
) -> dict[str, Any]:
    """Run `migrate` on `connection`, whose sessions get the limits; return what happened, as JSON.

    `every` are the connections of the project, that one among them.
    """
    # A session that AppConfig.ready() has opened has no limits.
    connection.close()

    def prepare(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        if connection.alias == job["alias"]:
            _prepare(connection, job)

    connection_created.connect(prepare, weak=False)
    try:
        connection.ensure_connection()
        effects = Effects(connection.alias, _required_plan(connection, job))
        for each in every:
            effects.watch(each)
        return _run(job, connection, effects)
    except StoppedError as error:
        return {"failure": {"kind": error.kind, "words": str(error)}}


def _prepare(connection: BaseDatabaseWrapper, job: dict[str, Any]) -> None:
    """Give a new session of ours its limits, and the lock that says that we are at work."""
    found, wanted = identity_of(connection), job["identity"]
    if found != wanted:
        connection.close()
        raise StoppedError("another-database", _elsewhere(found, wanted))
    with connection.cursor() as cursor:
        cursor.execute(SHARE, [LOCK_SPACE, key_of(connection, OF_ITS_PROCESS)])
        for name, value in _limits(job):
            cursor.execute(SET, [name, value])
    with suppress(Error), connection.cursor() as cursor:
        cursor.execute(SET, LOOKS)


def _elsewhere(found: list[str], wanted: list[str]) -> str:
    """Return the words for a database that is not the examined one, by the identities of both."""
    if found[:2] == wanted[:2]:
        return (
            "the process of migrate reached a server with the same files as the examined one, "
            "which was started at another time: a copy of it that was promoted, or the same one "
            "after a restart"
        )
    return (
        f"the process of migrate reached the database with the oid {found[1]} of the server "
        f"{found[0]}, and the examined one has the oid {wanted[1]} of the server {wanted[0]}"
    )


def _limits(job: dict[str, Any]) -> list[tuple[str, str]]:
    limits = [("lock_timeout", as_timeout(job["lock_timeout"]))]
    if job["statement_timeout"] is not None:
        limits.append(("statement_timeout", as_timeout(job["statement_timeout"])))
    return limits


def _required_plan(connection: BaseDatabaseWrapper, job: dict[str, Any]) -> list[Migration]:
    """Return the migrations of the plan, which is the one that passed."""
    plan = make_plan(connection, MigrateArguments(**job["target"]))
    if plan.executor is None:
        raise StoppedError("plan-changed", f"{plan.findings[0].message}")
    _require_same(fingerprints((each.migration, each.backwards) for each in plan.steps), job)
    return [each.migration for each in plan.steps]


def _require_same(found: tuple[Fingerprint, ...], job: dict[str, Any]) -> None:
    differences = unlike([Fingerprint(*each) for each in job["plan"]], found)
    if differences:
        raise StoppedError(
            "plan-changed", "; ".join(f"{name} {why}" for name, why in differences[:5])
        )


def _run(
    job: dict[str, Any],
    connection: BaseDatabaseWrapper,
    effects: Effects,
) -> dict[str, Any]:
    current = effects.current
    atomic: dict[str, bool] = {}

    def planned(plan: Any, using: str, **kwargs: Any) -> None:
        # The very plan that this `migrate` is about to apply.
        if using == connection.alias and plan is not None:
            _require_same(fingerprints(plan), job)
            atomic.update({f"{each.app_label}.{each.name}": each.atomic for each, _ in plan})

    pre_migrate.connect(planned, weak=False)
    connection.execute_wrappers.append(_unhurried(connection, job))
    target = MigrateArguments(**job["target"])
    try:
        with current.following():
            call_command(
                migrate_command(connection),
                *(each for each in (target.app_label, target.migration_name) if each),
                database=connection.alias,
                interactive=False,
                verbosity=job["verbosity"],
                skip_checks=True,
                no_color=True,
                **{key: asdict(target)[key] for key in ("fake", "fake_initial", "run_syncdb")},
            )
    except StoppedError:
        raise
    except (Exception, SystemExit) as error:
        migration = current.place.migration
        return {
            "failure": {
                "kind": "error",
                "migration": migration,
                "operation": current.place.operation,
                "after_the_plan": current.planned_all,
                "atomic": atomic.get(migration or "", True),
                "lasting": effects.of(migration),
                "error": type(error).__name__,
                "words": first_line(error),
                "sqlstate": _sqlstate(error),
            }
        }
    return {"failure": None}


def _sqlstate(error: BaseException | None) -> str | None:
    """Return PostgreSQL's code, also where code of the project has wrapped its error."""
    while error is not None:
        if isinstance(error, Error) and (state := sqlstate(error)):
            return state
        error = error.__cause__
    return None


def _unhurried(connection: BaseDatabaseWrapper, job: dict[str, Any]) -> Callable[..., Any]:
    """Return what gives a statement that runs CONCURRENTLY its time, and takes it back."""

    def unhurried(
        execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        if not runs_concurrently(written(sql, context["cursor"].cursor)):
            return execute(sql, params, many, context)
        patient = [("lock_timeout", as_timeout(SECONDS_CONCURRENTLY)), ("statement_timeout", "0")]
        _set(connection, patient)
        try:
            return execute(sql, params, many, context)
        finally:
            if connection.connection is not None:
                with suppress(Exception):
                    # Of none, it is again what the role and the alias have.
                    _set(connection, [("statement_timeout", None), *_limits(job)])

    return unhurried


def _set(connection: BaseDatabaseWrapper, limits: Sequence[tuple[str, str | None]]) -> None:
    with connection.connection.cursor() as cursor:
        for each in limits:
            cursor.execute(SET, each)
