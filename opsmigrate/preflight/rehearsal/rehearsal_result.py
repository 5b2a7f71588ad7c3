"""What a rehearsal comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsmigrate.steps import Step, command

if TYPE_CHECKING:
    # Whoever has a result has loaded them; most runs have none.
    from opsmigrate.preflight.rehearsal.broken_constraint import BrokenConstraint
    from opsmigrate.preflight.rehearsal.migrated_schema import MigratedSchema
    from opsmigrate.preflight.rehearsal.old_models_trial import Trial
    from opsmigrate.preflight.rehearsal.rehearsed_statement import RehearsedStatement
    from opsmigrate.preflight.rehearsal.selection import CopySelection

# What to type for a rehearsal.
REHEARSE = command("python manage.py preflight_migrate --rehearse clone")
WITHOUT = command("python manage.py preflight_migrate --rehearse off")


@dataclass(frozen=True, kw_only=True)
class CuredRun:
    """One more `migrate` on the copy, after `typed` had put right what stood in its way there.

    The rest is as in Rehearsal.
    """

    typed: tuple[Step, ...]
    failure: Mapping[str, Any] | None
    refused: tuple[Mapping[str, Any], ...]
    statements: tuple[RehearsedStatement, ...]


@dataclass(frozen=True)
class CuredRuns:
    """The runs after the first one, and why there are no more; None where the last one applied.

    `failed` says that a step which was to put something right is the reason.
    """

    runs: tuple[CuredRun, ...] = ()
    ended: str | None = None
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What happened on the copy; `failure` is None where `migrate` applied, times in seconds.

    `stopped` says that it was ended before its end. `isolation` says how far the process was kept
    from what is live: on which `server` the copy was, in which `network` the process.

    `applied` are the migrations that it began, with their direction; `may_skip` says that it may
    have recorded some without beginning them. `asking` are the places, migration and operation,
    whose statements may have asked for what the copy lacks. `refused` is what the fence did not
    let happen; `gaps` are, in words, what the copy lacks without which it answers no question.
    `broken` are foreign keys and checks that rows contradict. `selection` says which tables came
    without their rows, `differing` has the names of what is not as it is live, and
    `has_event_triggers` says whether those of the live database ran. `trial` is what the models
    from before the plan met on the copy after it, None where they were not used, and `schema` is
    what the copy was then. `cured` are the runs that followed a failure.
    """

    failure: Mapping[str, Any] | None
    stopped: bool
    isolation: Mapping[str, Any]
    applied: tuple[tuple[str, bool], ...]
    may_skip: bool
    asking: tuple[tuple[str | None, str | None], ...]
    statements: tuple[RehearsedStatement, ...]
    refused: tuple[Mapping[str, Any], ...]
    gaps: tuple[str, ...]
    broken: tuple[BrokenConstraint, ...]
    selection: CopySelection
    differing: frozenset[str]
    has_event_triggers: bool
    trial: Trial | None
    schema: MigratedSchema | None
    cured: CuredRuns
    copy_seconds: float
    migrate_seconds: float

    @property
    def succeeded(self) -> bool:
        """Return whether `migrate` came to its end."""
        return self.failure is None and not self.stopped


@dataclass(frozen=True)
class NotRehearsed:
    """Why there is no rehearsal, and what to decide and type for one.

    Where it was `switched_off`, that is worth a word only where it leaves questions open; where it
    was `asked` for by name, a warning.
    """

    why: str
    hint: str | None = None
    steps: tuple[Step, ...] = ()
    switched_off: bool = False
    asked: bool = False
