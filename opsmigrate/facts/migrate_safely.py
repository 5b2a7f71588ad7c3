"""The facts of migrate_safely."""

from typing import TypedDict

from opsmigrate.facts.preflight_migrate import Examined
from opsmigrate.facts.report import Facts


class Waited(TypedDict, total=False):
    """Whom the run waited for, and the server processes that --end-blockers ended.

    A dry run waits for nobody.
    """

    waited_for: list[str]
    ended_sessions: list[int]


class Work(Waited):
    """What a run has done, how often it tried, and with which time-outs."""

    applied: list[str]
    attempts: int
    lock_timeout_seconds: float
    statement_timeout_seconds: float | None


class Migrated(Examined, Work):
    """The plan was examined and passed; this is how far it came."""


class Stopped(Facts, Work):
    """The plan passed, and was not completed."""


MigrateFacts = Migrated | Stopped | Examined | Facts
