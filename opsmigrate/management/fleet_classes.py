"""What is known of a fleet's targets before any process is started: what is pending, who is equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.fleet.catalogs import CatalogDigest, catalog_digests
from opsmigrate.fleet.classes import Difference, TargetClass, classes, difference
from opsmigrate.fleet.members import Told, told_by
from opsmigrate.fleet.pending import Pending, pending
from opsmigrate.fleet.run_folder import Outcome
from opsmigrate.fleet.targets import Target
from opsmigrate.management.examination import arguments_of
from opsmigrate.postgres.session import second_connection
from opsmigrate.report import Verdict

# What these do where nothing is pending, a query says.
KNOW_PENDING = ("migrate_safely", "preflight_migrate")
BY_CLASS = ("preflight_migrate",)
NOTHING = "nothing to migrate"
UNKNOWN = "what is applied to it cannot be read"


def find_pending(targets: Sequence[Target], options: Mapping[str, Any]) -> dict[str, Pending]:
    """Return by label what is pending, as far as that can be read; `options` of the command."""
    arguments = arguments_of(dict(options))
    found: dict[str, Pending] = {}
    for alias, here in _by_alias(targets).items():
        try:
            with second_connection(connections[alias]) as connection:
                each = pending(connection, here, arguments)
        except Error:
            # Out of reach, perhaps: each target's own process says what is in the way.
            continue
        found |= {one.target.label: one for one in each}
    return found


def outcome_of_nothing(target: Target) -> Outcome:
    """Return the outcome of a target that has nothing pending: no process was needed for it."""
    return Outcome(
        label=target.label,
        verdict=Verdict.PASSED.value,
        exit_code=0,
        attempts=0,
        seconds=0.0,
        summary=NOTHING,
    )


class FleetClasses:
    """Which targets of a fleet are equal, but for their rows."""

    def __init__(self, found: Mapping[str, Pending]) -> None:
        """Take what is pending, by label."""
        self._pending = found
        self.made: list[TargetClass] = []

    def groups(self, targets: Sequence[Target]) -> Sequence[Sequence[Target]]:
        """Return the targets in groups of equal ones: the smallest first, as the drifted tenant."""
        known = [
            self._pending.get(each.label) or Pending(target=each, migrations=None, why=UNKNOWN)
            for each in targets
        ]
        digests: dict[str, CatalogDigest] = {}
        for alias, here in _by_alias(targets).items():
            try:
                with second_connection(connections[alias]) as connection:
                    digests |= catalog_digests(connection, here, here[0].server)
            except Error:
                continue
        made = classes(known, digests)
        self.made += made
        return [each.members for each in made]

    def different(
        self, some: Sequence[TargetClass], largest: TargetClass
    ) -> list[tuple[TargetClass, Difference]]:
        """Return what makes each of some classes another one than the largest."""
        targets = [each.members[0] for each in (*some, largest)]
        with _connected(targets) as opened:
            return [(each, difference(each, largest, opened)) for each in some]

    def told_by(self, report: Mapping[str, Any], first: Target, others: Sequence[Target]) -> Told:
        """Return of which others the report of the first says what one of their own would."""
        with _connected([first, *others]) as opened:
            return told_by(report, first, others, opened)


@contextmanager
def _connected(targets: Sequence[Target]) -> Iterator[dict[str, BaseDatabaseWrapper]]:
    with ExitStack() as stack:
        yield {
            alias: stack.enter_context(second_connection(connections[alias]))
            for alias in _by_alias(targets)
        }


def _by_alias(targets: Sequence[Target]) -> dict[str, list[Target]]:
    found: dict[str, list[Target]] = {}
    for each in targets:
        found.setdefault(each.alias, []).append(each)
    return found
