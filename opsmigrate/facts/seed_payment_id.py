"""The facts of seed_payment_id."""

from collections.abc import Mapping
from typing import Literal, TypedDict

from opsmigrate.facts.report import Facts


class SeedPhase(TypedDict):
    """A phase of a seed, with its statements and the strongest lock that they take."""

    phase: str
    lock: str
    statements: list[str]


class Planned(Facts):
    """--dry-run: what would be done."""

    phases: list[SeedPhase]
    rows: int
    seconds_expected: float


class _Column(Facts):
    rows: int | None
    nulls: int | None
    duplicates: int | None


class VerifiedColumn(_Column):
    """--verify-only: what every row says of the column."""

    seeded: int


class Work(TypedDict):
    """What a run has done; `seconds` maps each phase to what it took."""

    seeded: int
    batches: int
    batch_rows: int | None
    rows_per_second: int | None
    workers: int
    longest_lock_wait_ms: float
    batches_with_locked_rows: int
    throttled_seconds: Mapping[str, float]
    throttles_not_visible: list[str]
    reconnects: int
    seconds: Mapping[str, float]


class Seeded(_Column, Work):
    """The seed came to its end."""

    approval: str | None
    backup: str | None


class StoppedPartWay(Facts, Work):
    """The seed stopped part of the way."""

    stopped_by: Literal["time-budget", "interrupt", "lock", "trouble"]


class NotSeeded(Facts, Work):
    """The seed could not go on."""


class ScriptsWritten(Facts):
    """--write-scripts: the files."""

    scripts: list[str]


SeedFacts = Planned | Seeded | VerifiedColumn | StoppedPartWay | NotSeeded | ScriptsWritten | Facts
