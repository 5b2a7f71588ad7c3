"""A run of a fleet: the canary first, then the others, and where it stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from opsmigrate.fleet.run_folder import Outcome
from opsmigrate.fleet.targets import Target
from opsmigrate.fleet.unit import Unit


class Engine(Protocol):
    """What runs units, here or elsewhere."""

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of each unit, in the order in which they come."""

    def stop(self) -> None:
        """Begin no more units; outcomes() goes on until those that run have come to their end."""


@dataclass(frozen=True, kw_only=True)
class MostFailures:
    """How many targets may fail before no more are begun: a number, or percent of all."""

    number: int
    percent: bool = False

    def of(self, every: int) -> int:
        """Return how many that are, of so many targets."""
        return every * self.number // 100 if self.percent else self.number

    def __str__(self) -> str:
        return f"{self.number}%" if self.percent else f"{self.number}"


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """When no more targets are begun: `canary` are the first ones, None of a bound: never."""

    canary: int | None = None
    most_failures: MostFailures | None = None


def play(
    every: Sequence[Target],
    units: Sequence[Unit],
    bounds: Bounds,
    *,
    engine: Callable[[Sequence[Unit]], Engine],
    ended: Callable[[bool], None] = lambda passed: None,
    say: Callable[[str], None],
) -> str | None:
    """Run the units, which are those that are left of `every` target; return why it stopped early.

    None where all were run. `engine` returns what runs some of them; `ended` is told of each one
    whether it passed.
    """
    first = {each.label for each in every[: bounds.canary or 0]}
    canary = [each for each in units if each.target.label in first]
    others = [each for each in units if each.target.label not in first]
    most = bounds.most_failures
    limit = None if most is None else most.of(len(every))
    failed: list[Outcome] = []
    for group in (canary, others):
        if not group:
            continue
        failed += _not_passed(engine(group), limit, len(failed), ended)
        if group is canary and failed:
            return f"the canary did not pass ({_labels(failed)})"
        if group is canary and others:
            say(f"The canary passed: {', '.join(each.target.label for each in canary)}")
        if limit is not None and len(failed) > limit:
            return f"more than {most} of the targets did not pass (--max-failures)"
    return None


def _not_passed(
    engine: Engine, limit: int | None, before: int, ended: Callable[[bool], None]
) -> list[Outcome]:
    """Run the units of an engine; return what did not pass, begin no more above the limit."""
    failed = []
    for outcome in engine.outcomes():
        ended(outcome.exit_code == 0)
        if outcome.exit_code:
            failed.append(outcome)
            if limit is not None and before + len(failed) > limit:
                engine.stop()
    return failed


def _labels(outcomes: Sequence[Outcome]) -> str:
    return ", ".join(each.label for each in outcomes)
