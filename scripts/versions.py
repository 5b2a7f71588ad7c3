"""Which versions go together, and docs/versions.md from the runs of them that were kept.

    python scripts/versions.py

`scripts/test.py --record docs/versions.json`, which each session `tests` of the noxfile calls, adds
a run to that file. Here the table is written from it: what is not in the file is not claimed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.environment import ROOT
from scripts.interpreters import DJANGOS, OLDEST_FOR_DJANGO_6, PYTHONS

RESULTS = ROOT / "docs" / "versions.json"
PAGE = ROOT / "docs" / "versions.md"
BEGIN, END = "<!-- results: written by scripts/versions.py -->", "<!-- end of the results -->"
DRIVERS = ("psycopg2", "psycopg")
MAJORS = (14, 15, 16, 17, 18)
# minimum_database_version of Django's backend (django/db/backends/postgresql/features.py).
OLDEST_SERVER = {"5.2": 14, "6.0": 14, "6.1": 15}
NOT_NOTED = "-"


@dataclass(frozen=True)
class Combination:
    """A Python, a Django, a driver and a PostgreSQL that go together."""

    python: str
    django: str
    driver: str
    major: int

    @property
    def id(self) -> str:
        """How nox calls it: 3.13-6.1-psycopg-18."""
        return f"{self.python}-{self.django}-{self.driver}-{self.major}"

    def arguments(self) -> list[str]:
        """Return the options of scripts/test.py that run on it."""
        return [
            f"--python={self.python}",
            f"--django={self.django}",
            f"--driver={self.driver}",
            f"--major={self.major}",
            "--tests-only",
        ]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of tests that was kept. `commit` ends with + where files were changed since."""

    date: str
    commit: str
    python: str
    django: str
    driver: str
    postgresql: str
    tests: str
    passed: int
    failed: int
    skipped: int
    seconds: float | None


def combinations() -> list[Combination]:
    """Return all that are supported."""
    return [
        Combination(*each) for each in product(PYTHONS, DJANGOS, DRIVERS, MAJORS) if _fits(*each)
    ]


def _fits(python: str, django: str, driver: str, major: int) -> bool:
    """Say whether they go together; every driver goes with all of them."""
    new_enough = tuple(map(int, python.split("."))) >= OLDEST_FOR_DJANGO_6
    return major >= OLDEST_SERVER[django] and (new_enough or django == DJANGOS[0])


def read_runs(file: Path) -> list[Run]:
    """Return the runs that were kept in a file; none where it is not there."""
    return [Run(**each) for each in json.loads(file.read_text("utf-8"))] if file.exists() else []


def keep(run: Run, file: Path) -> None:
    """Add a run to a file; it takes the place of an earlier one of the same tests and versions."""
    others = [each for each in read_runs(file) if _what(each) != _what(run)]
    text = json.dumps([asdict(each) for each in [*others, run]], indent=1)
    file.write_text(text + "\n", encoding="utf-8")


def _what(run: Run) -> tuple[str, ...]:
    return run.python, run.django, run.driver, run.postgresql, run.tests


def page(text: str, runs: Iterable[Run]) -> str:
    """Return the page with the table of these runs, the newest first."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    ordered = sorted(runs, key=lambda run: (run.date, run.python, run.django), reverse=True)
    return f"{before}{BEGIN}\n{table(ordered)}\n{END}{after}"


def table(runs: Iterable[Run]) -> str:
    """Return the rows of the runs as a table in Markdown."""
    lines = [
        "| date | commit | Python | Django | driver | PostgreSQL | tests | outcome | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_row(run) for run in runs)])


def _row(run: Run) -> str:
    counts = {"failed": run.failed, "skipped": run.skipped}
    others = [f"{count:,} {word}" for word, count in counts.items() if count]
    outcome = ", ".join([f"{run.passed:,} passed", *others])
    minutes = NOT_NOTED if run.seconds is None else f"{run.seconds / 60:.1f}"
    cells = (run.date, run.commit, run.python, run.django, run.driver, run.postgresql, run.tests)
    return f"| {' | '.join([*cells, outcome, minutes])} |"


def main() -> int:
    """Write the page, and return the exit code."""
    PAGE.write_text(page(PAGE.read_text("utf-8"), read_runs(RESULTS)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
