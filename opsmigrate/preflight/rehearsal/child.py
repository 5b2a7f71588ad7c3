"""The rehearsal's own process: the project's `migrate`, on the scratch database, inside the fence.

Reads a job (JSON) from standard input and writes what happened (JSON) to standard output.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.errors import first_line, sqlstate
from opsmigrate.preflight.rehearsal.copy_name import told_name
from opsmigrate.preflight.rehearsal.driver_fence import fence_driver
from opsmigrate.preflight.rehearsal.fence import raise_fence
from opsmigrate.preflight.rehearsal.in_memory import keep_in_memory
from opsmigrate.preflight.rehearsal.lacking import Lacking
from opsmigrate.preflight.rehearsal.places import leads_to
from opsmigrate.preflight.rehearsal.recording import LONGEST_SQL, Place, Recording
from opsmigrate.preflight.rehearsal.sql_fence import DISARMED, sql_fence
from opsmigrate.preflight.rehearsal.whereabouts import Whereabouts

# Raised where a foreign table is read whose wrapper was disarmed.
NOT_IN_PREREQUISITE_STATE = "55000"


class Doubts:
    """What was refused, and where: from there on, the rehearsal proves nothing."""

    def __init__(self, whereabouts: Whereabouts) -> None:
        self._whereabouts = whereabouts
        self.told: list[dict[str, str | None]] = []

    def tell(self, what: str) -> None:
        """Remember it once for each place."""
        place = self._whereabouts.place
        item = {"what": what, "migration": place.migration, "operation": place.operation}
        if item not in self.told:
            self.told.append(item)


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
    django.setup()
    connection = _repoint(job)
    whereabouts = Whereabouts()
    doubts = Doubts(whereabouts)
    recording = Recording(connection, whereabouts.of, doubts.tell)
    keep_in_memory(doubts.tell)
    inside = sql_fence(
        job["place"]["NAME"],
        live=str(job["examined"]["NAME"]),
        files=job["files"],
        names=job["names"],
        tell=doubts.tell,
    )
    lacking = Lacking(**job["lacking"])
    asking: set[Place] = set()

    def heard(statement: str) -> None:
        if lacking.asked_by(statement):
            asking.add(whereabouts.of(statement))
        inside(statement)

    fence_driver(connection, [connections[alias] for alias in connections], heard, doubts.tell)
    # So that the session, too, is one that the fence has let through.
    connection.close()
    for settings in connections.settings.values():
        if settings["NAME"] == job["place"]["NAME"]:
            settings["NAME"] = told_name(settings["NAME"], doubts.tell)
    raise_fence(Path(job["folder"]), doubts.tell)
    failure = _migrate(job, connection, recording, whereabouts, doubts.tell)
    if failure:
        failure["asks"] = lacking.asked_by(recording.last_sql or "")
    return {
        "failure": failure,
        "applied": whereabouts.applied,
        "statements": recording.as_json(),
        "asking": [astuple(place) for place in asking],
        "refused": doubts.told,
    }


def _repoint(job: dict[str, Any]) -> BaseDatabaseWrapper:
    """Return the alias's connection, pointed at the scratch database.

    So are the other aliases that lead to the same database: as another role, by another name of
    the host.
    """
    alias, place = job["alias"], job["place"]
    if alias not in connections.settings:
        connections.settings[alias] = {**connections.settings["default"]}
    for name, settings in connections.settings.items():
        settings["OPTIONS"].pop("pool", None)
        other = connections.create_connection(name).copy()
        if name == alias or leads_to(other, job["examined"]):
            settings.update(place)
            dropped = {"dbname", *job["without_options"]}
            kept = {key: settings["OPTIONS"][key] for key in settings["OPTIONS"].keys() - dropped}
            settings["OPTIONS"] = {**kept, **job["options"]}
    # An AppConfig.ready() that asks the database has connected to the examined one by now.
    connections.close_all()
    for name in connections.settings:
        if hasattr(connections._connections, name):  # type: ignore[attr-defined]
            del connections[name]
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.current_database()")
        if cursor.fetchone()[0] != place["NAME"]:
            raise SystemExit("the rehearsal did not reach its scratch database")
    return connection


def _migrate(
    job: dict[str, Any],
    connection: BaseDatabaseWrapper,
    recording: Recording,
    whereabouts: Whereabouts,
    tell: Callable[[str], None],
) -> dict[str, Any] | None:
    def disarmed(execute: Callable[..., Any], *args: Any) -> Any:
        try:
            return execute(*args)
        except Error as error:
            state = sqlstate(error)
            if state == DISARMED or (job["names"] and state == NOT_IN_PREREQUISITE_STATE):
                tell(f"it may not do this on a copy: {first_line(error)}")
            raise

    try:
        with (
            connection.execute_wrapper(disarmed),
            connection.execute_wrapper(recording),
            whereabouts.following(),
        ):
            call_command(
                "migrate",
                *job["arguments"],
                database=job["alias"],
                interactive=False,
                verbosity=0,
                skip_checks=True,
                **job["flags"],
            )
    except (Exception, SystemExit) as error:
        return {
            "migration": whereabouts.place.migration,
            "operation": whereabouts.of(recording.last_sql or "").operation,
            "after_the_plan": whereabouts.planned_all,
            "sql": recording.last_sql and recording.last_sql[:LONGEST_SQL],
            "error": type(error).__name__,
            "words": first_line(error),
            "sqlstate": sqlstate(error) if isinstance(error, Error) else None,
        }
    return None


if __name__ == "__main__":
    main()
