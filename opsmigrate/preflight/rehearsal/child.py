"""The rehearsal's own process: the project's `migrate`, on the scratch database, inside the fence.

Reads a job (JSON) from standard input and writes what happened (JSON) to standard output.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.driver_errors import first_line, said_besides, sqlstate
from opsmigrate.postgres.identity import identity_of
from opsmigrate.preflight.rehearsal.copy_gaps import CopyGaps
from opsmigrate.preflight.rehearsal.copy_name import recording_name
from opsmigrate.preflight.rehearsal.credentials import clean, live_of, scrubbed
from opsmigrate.preflight.rehearsal.current_operation import CurrentOperation
from opsmigrate.preflight.rehearsal.driver_fence import fence_driver
from opsmigrate.preflight.rehearsal.fence import raise_fence
from opsmigrate.preflight.rehearsal.in_memory import keep_in_memory
from opsmigrate.preflight.rehearsal.namespace import NoNamespaceError, enter_own_network
from opsmigrate.preflight.rehearsal.outward_rules import FenceBounds
from opsmigrate.preflight.rehearsal.progress_file import RehearsalProgress, write_progress
from opsmigrate.preflight.rehearsal.receiver import receiver_of, receiver_running
from opsmigrate.preflight.rehearsal.recording import OperationRef, Recording
from opsmigrate.preflight.rehearsal.rehearsed_statement import LONGEST_SQL
from opsmigrate.preflight.rehearsal.sql_fence import DISARMED, sql_fence
from opsmigrate.preflight.rehearsal.type_cures import type_cures

# Raised where a foreign table is read whose wrapper was disarmed.
NOT_IN_PREREQUISITE_STATE = "55000"


# Of an alias that the rehearsal has no use for.
SECRET = {"password", "passfile", "service", "sslcert", "sslkey", "sslpassword"}


class Refusals:
    """What was refused, and where: from there on, the rehearsal proves nothing."""

    def __init__(self, current: CurrentOperation, recorded_one: Callable[[], None]) -> None:
        """Call `recorded_one` whenever there is a new one."""
        self._current = current
        self._recorded_one = recorded_one
        self.recorded: list[dict[str, str | None]] = []

    def record(self, what: str) -> None:
        """Remember it once for each place."""
        place = self._current.place
        receiver = receiver_running(sys._getframe(1))
        what = f"the receiver {receiver}: {what}" if receiver else what
        item = {"what": what, "migration": place.migration, "operation": place.operation}
        if item not in self.recorded:
            self.recorded.append(item)
            self._recorded_one()


def main() -> None:
    """Do the job of standard input."""
    job = json.load(sys.stdin)
    # Standard output is the result only, whatever the project prints.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        json.dump(_rehearse(job), out, default=str)
    # The fence stands to the end: exit functions and threads that still run must not get out.
    os._exit(0)


def _rehearse(job: dict[str, Any]) -> dict[str, Any]:
    """Return what happened, for the parent."""
    begun = time.monotonic()
    # Settings may ask a vault for their secrets. Nothing else of the project has been loaded yet.
    settings.INSTALLED_APPS  # noqa: B018 - it loads them
    _repoint(job)
    why_network = _leave_network(job)
    django.setup()
    connection = _connected(job)
    folder = Path(job["folder"])

    def moved() -> None:
        place = current.place
        far = RehearsalProgress(
            place.migration, place.operation, current.applied, refusals.recorded
        )
        write_progress(folder, far)

    current = CurrentOperation(moved)
    refusals = Refusals(current, moved)
    recording = Recording(connection, current.of, refusals.record)
    keep_in_memory(refusals.record)
    inside = sql_fence(
        FenceBounds(database=job["place"]["NAME"], files=job["files"], isolated=job["isolated"]),
        live=job["examined"],
        names=job["names"],
        foreign=job["foreign"],
        record=refusals.record,
    )
    gaps = CopyGaps(**job["gaps"])
    asking: set[OperationRef] = set()

    def heard(statement: str) -> None:
        if gaps.asked_by(statement):
            asking.add(current.of(statement))
        inside(statement)

    fence_driver(
        connection,
        [connections[alias] for alias in connections],
        heard,
        refusals.record,
        identity=job["identity"],
    )
    # So that the session, too, is one that the fence has let through.
    connection.close()
    for entry in connections.settings.values():
        if entry["NAME"] == job["place"]["NAME"]:
            entry["NAME"] = recording_name(entry["NAME"], refusals.record)
    host = str(job["place"]["HOST"] or "")
    raise_fence(folder, [host], refusals.record)
    # Only now: they take Django's choice of a driver, which the settings may make.
    from opsmigrate.preflight.rehearsal.disarm import times_refused
    from opsmigrate.preflight.rehearsal.old_models import OldModels

    refused_before = [*refusals.recorded]
    old = OldModels(connection) if job["try_old_release"] else None
    cure_failed = type_cures(connection, job["cures"])
    # What was asked for them is none of migrate's.
    asking.clear()
    refusals.recorded[:] = refused_before
    failure = None
    if cure_failed is None:
        failure = _migrate(job, connection, recording, current, refusals.record)
    if failure:
        last = recording.last_sql or ""
        failure["asks"] = gaps.asked_by(last)
        failure["unlike"] = gaps.meets_a_difference(last)
    answer: dict[str, Any] = {
        "failure": failure,
        "applied": current.applied,
        "statements": [each.as_json() for each in recording.statements()],
        "asking": [astuple(place) for place in asking],
        "refused": [*refusals.recorded],
        "stopped": False,
        "network": "shared" if why_network else "namespace",
        "why_network": why_network,
        "old_release": None,
        "cure_failed": cure_failed,
    }
    left = job["seconds"] - (time.monotonic() - begun)
    if old is not None and not (failure or cure_failed) and not answer["refused"]:
        # Nor is what is refused to them.
        with suppress(Error):
            answer["reached"] = times_refused(connection)
            answer["old_release"] = old.used_within(left / 2)
    return answer


def _leave_network(job: dict[str, Any]) -> str | None:
    """Go into a network of our own, where the copy is reached without one; return why not."""
    host, port = str(job["place"]["HOST"] or ""), job["place"]["PORT"] or 5432
    if not job["isolated"] or not host.startswith("/"):
        return "the copy is reached through the network"
    try:
        enter_own_network(Path(host, f".s.PGSQL.{port}"))
    except NoNamespaceError as error:
        return str(error)
    return None


def _repoint(job: dict[str, Any]) -> None:
    """Point the alias at the scratch database, and the others that lead to the examined one.

    On a temporary embedded server nothing else is needed, and no other password is kept.
    """
    place = job["place"]
    databases = connections.settings
    if job["isolated"]:
        live = live_of(databases.values(), os.environ)
        os.environ.update(scrubbed(os.environ, live, job["examined"], place))
        for name in dir(settings):
            value = getattr(settings, name)
            if name.isupper() and isinstance(value, str):
                setattr(settings, name, clean(name, value, live, job["examined"], place))
    if job["alias"] not in databases:
        databases[job["alias"]] = {**databases["default"]}
    for name, entry in databases.items():
        entry["OPTIONS"].pop("pool", None)
        if name == job["alias"] or name in job["same"]:
            entry.update(place)
            dropped = {"dbname", *job["without_options"]}
            remaining = {key: entry["OPTIONS"][key] for key in entry["OPTIONS"].keys() - dropped}
            entry["OPTIONS"] = {**remaining, **job["options"]}
            given = entry["OPTIONS"].get("options") or os.environ.get("PGOPTIONS")
            if given:
                # What the client says goes before what the database has; a pooler may take none.
                entry["OPTIONS"]["options"] = " ".join([given, *job["session"]])
        elif job["isolated"]:
            entry["PASSWORD"] = ""
            entry["OPTIONS"] = {
                key: entry["OPTIONS"][key] for key in entry["OPTIONS"].keys() - SECRET
            }


def _connected(job: dict[str, Any]) -> BaseDatabaseWrapper:
    """Return the alias's connection, to the scratch database."""
    connection = connections[job["alias"]]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.current_database()")
        if cursor.fetchone()[0] != job["place"]["NAME"]:
            raise SystemExit("the rehearsal did not reach its scratch database")
    # A clone may have the name of the live database.
    identity = identity_of(connection)
    if identity == job["live"]:
        raise SystemExit("the rehearsal reached the live database")
    if identity != job["identity"]:
        raise SystemExit("the rehearsal reached another database than its copy")
    return connection


def _migrate(
    job: dict[str, Any],
    connection: BaseDatabaseWrapper,
    recording: Recording,
    current: CurrentOperation,
    record: Callable[[str], None],
) -> dict[str, Any] | None:
    # Only now: it takes Django's choice of a driver, which the settings may make.
    from opsmigrate.postgres.django_tenants import migrate_command

    def disarmed(execute: Callable[..., Any], *args: Any) -> Any:
        try:
            return execute(*args)
        except Error as error:
            state = sqlstate(error)
            if state == DISARMED or (job["names"] and state == NOT_IN_PREREQUISITE_STATE):
                record(f"it may not do this in a rehearsal: {first_line(error)}")
            raise

    try:
        with (
            connection.execute_wrapper(disarmed),
            connection.execute_wrapper(recording),
            current.following(),
        ):
            call_command(
                migrate_command(connection),
                *job["arguments"],
                database=job["alias"],
                interactive=False,
                verbosity=0,
                skip_checks=True,
                **job["flags"],
            )
    except (Exception, SystemExit) as error:
        return {
            "migration": current.place.migration,
            "operation": current.of(recording.last_sql or "").operation,
            "after_the_plan": current.planned_all,
            "sql": recording.last_sql and recording.last_sql[:LONGEST_SQL],
            "receiver": receiver_of(error),
            "error": type(error).__name__,
            "words": first_line(error),
            "sqlstate": sqlstate(error) if isinstance(error, Error) else None,
            **(said_besides(error) if isinstance(error, Error) else {}),
        }
    return None


if __name__ == "__main__":
    main()
