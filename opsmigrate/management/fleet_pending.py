"""What is known of a fleet's targets before any process is started: which have nothing pending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import Error, connections

from opsmigrate.fleet.pending import Pending, pending
from opsmigrate.fleet.run_folder import Outcome
from opsmigrate.fleet.targets import Target
from opsmigrate.management.examination import arguments_of
from opsmigrate.postgres.opening import owned
from opsmigrate.report import Verdict

# What it does where nothing is pending, a query says; for preflight_migrate, see ClassEngine.
KNOWS_PENDING = "migrate_safely"
NOTHING = "nothing to migrate"


def find_pending(targets: Sequence[Target], options: Mapping[str, Any]) -> dict[str, Pending]:
    """Return by label what is pending, as far as that can be read; `options` of the command."""
    arguments = arguments_of(dict(options))
    found: dict[str, Pending] = {}
    for alias, here in _by_alias(targets).items():
        try:
            # Django's recorder of migrations asks the alias's own connection.
            with owned(connections[alias]) as connection:
                each = pending(connection, here, arguments)
        except Error:
            # Out of reach, perhaps: each target's own process says what is in the way.
            continue
        finally:
            connections[alias].close()
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


def _by_alias(targets: Sequence[Target]) -> dict[str, list[Target]]:
    found: dict[str, list[Target]] = {}
    for each in targets:
        found.setdefault(each.alias, []).append(each)
    return found
