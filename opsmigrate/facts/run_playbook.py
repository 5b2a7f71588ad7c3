"""The facts of run_playbook."""

from typing import TypedDict

from opsmigrate.facts.preflight_migrate import Forecast, NoForecast, PlannedMigration
from opsmigrate.facts.report import Facts


class StepEnded(TypedDict):
    """A step of the playbook, and how it ended; null where it has not."""

    step: str
    verdict: str | None
    exit_code: int | None
    seconds: float | None
    message: str | None


class StepToDo(TypedDict):
    """A step that is to do, and what it took the last time."""

    step: str
    seconds: float | None


class Played(Facts):
    """A run, as far as its journal has it; `rollback` is what to type to go back.

    `run` is its id in the journal and in the reports of its steps, however often it was resumed.
    """

    journal: str
    run: str
    steps: list[StepEnded]
    backup: str | None
    rollback: str | None
    migrations_before: int


class WouldPlay(Facts):
    """--dry-run: what would be done, and what the plan would lock."""

    journal: str
    steps: list[StepToDo]
    plan: list[PlannedMigration] | None
    forecast: Forecast | NoForecast | None


PlaybookFacts = Played | WouldPlay | Facts
