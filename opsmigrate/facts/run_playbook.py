"""The facts of run_playbook."""

from typing import TypedDict

from opsmigrate.facts.preflight_migrate import Forecast, NoForecast, PlannedMigration
from opsmigrate.facts.report import Facts


class TakenStep(TypedDict):
    """A step of the playbook and how it ended; null where it has not begun."""

    step: str
    verdict: str | None
    exit_code: int | None
    seconds: float | None
    message: str | None


class Played(Facts):
    """The steps that were taken; `rollback` is what to type to go back, null where nothing is."""

    journal: str
    steps: list[TakenStep]
    backup: str | None
    rollback: str | None
    migrations_before: int


class StepToDo(TypedDict):
    """A step that would be taken, and the seconds of the last time."""

    step: str
    seconds: float | None


class PlannedSteps(Facts):
    """--dry-run: the steps that would be taken, and what the plan is expected to lock."""

    journal: str
    steps: list[StepToDo]
    plan: list[PlannedMigration] | None
    forecast: Forecast | NoForecast | None


PlaybookFacts = Played | PlannedSteps | Facts
