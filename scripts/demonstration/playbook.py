"""The playbook as steps: what is typed, what must come of it, and how that is shown."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import processes
from scripts.environment import DEMO, ROOT

VERDICTS = {0: "passed", 1: "failed", 2: "usage", 3: "undecided", 4: "refused", 5: "partial"}
SETTINGS = "--settings=staging_settings"
FIRST_LINES = 24
LAST_LINES = 8


@dataclass(frozen=True)
class Step:
    """One command line, without the interpreter, and the exit code that it must end with."""

    title: str
    arguments: tuple[str, ...]
    expected: int = 0

    @property
    def shown(self) -> str:
        """The command line as one would type it; no secret is ever part of it."""
        return " ".join(("python", *self.arguments))


@dataclass(frozen=True)
class Outcome:
    """What came of a step."""

    step: Step
    exit_code: int
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Whether this is what the playbook's story needs."""
        return self.exit_code == self.step.expected

    @property
    def verdict(self) -> str:
        """The word for the exit code; a "no" that was wanted is marked as such."""
        word = VERDICTS.get(self.exit_code, f"exit code {self.exit_code}")
        return f"{word}, as it must" if self.as_expected and self.exit_code else word


class StepProblem(Exception):
    """A step did not end as it must."""


def manage(title: str, *arguments: str, expected: int = 0) -> Step:
    """Return a step that is a management command."""
    return Step(title, ("manage.py", *arguments, SETTINGS), expected)


def staging(rows: int) -> Step:
    """Return what happened before the playbook: the staging database drifted."""
    return manage("The staging database", "make_legacy_staging", "--rows", str(rows))


STEPS_BEFORE_THE_SITE = (
    manage(
        "Back up, and restore it to see that it is a backup", "backup_db", "--verify", "restore"
    ),
    manage("Would migrate apply? It must say no", "preflight_migrate", expected=1),
    manage("Add payment_id and fill it, while the old release writes", "seed_payment_id"),
    manage("Would migrate apply now?", "preflight_migrate"),
    manage("Migrate", "migrate"),
)
SOMETHING_TO_SEE = manage("Dashboards and alerts, for something to see", "make_treasury_demo")


BASELINE = (DEMO / "baseline.json").relative_to(ROOT).as_posix()
WHAT_MUST_STAY = manage(
    "Save what must be the same afterwards", "run_uat", "--save-baseline", BASELINE
)


def acceptance(base_url: str) -> Step:
    """Return the last step: the acceptance test against the running site."""
    arguments = (
        "scripts/run_uat.py",
        SETTINGS,
        "--base-url",
        base_url,
        "--baseline",
        BASELINE,
    )
    return Step("Accept", arguments)


def run(step: Step, number: str, python: Path, environment: Mapping[str, str]) -> Outcome:
    """Run a step and show it; raise StepProblem where it does not end as it must."""
    print(f"\n[{number}] {step.title}\n    $ {step.shown}", flush=True)
    started = time.monotonic()
    done = processes.run([python, *step.arguments], cwd=ROOT, environment=environment, capture=True)
    outcome = Outcome(step, done.returncode, time.monotonic() - started)
    for line in excerpt(done.stdout.strip().splitlines()):
        print(f"    | {line}")
    code, seconds = outcome.exit_code, outcome.seconds
    print(f"    {outcome.verdict}: exit code {code}, {seconds:.1f} s", flush=True)
    if not outcome.as_expected:
        raise StepProblem(
            f"step {number}, `{step.shown}`, ended with {code} and not with {step.expected}; "
            f"its stderr:\n{done.stderr.strip() or '(empty)'}"
        )
    return outcome


def excerpt(lines: Sequence[str]) -> list[str]:
    """Return the lines, or the first and last of many."""
    left_out = len(lines) - FIRST_LINES - LAST_LINES
    if left_out <= 1:
        return list(lines)
    return [*lines[:FIRST_LINES], f"... {left_out} lines more ...", *lines[-LAST_LINES:]]


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the summary of the steps."""
    rows = [("step", "verdict", "seconds")]
    for outcome in outcomes:
        words = [word for word in outcome.step.arguments if word not in ("manage.py", SETTINGS)]
        rows.append((" ".join(words), outcome.verdict, f"{outcome.seconds:.1f}"))
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{name:<{first}}  {word:<{second}}  {took:>7}" for name, word, took in rows)
