"""The facts of migrate_safely: those of its examination, and what migrating took."""

from typing import TypedDict

from opsmigrate.facts.preflight_migrate import Examined
from opsmigrate.facts.report import Facts


class _Limits(TypedDict):
    applied: list[str]
    attempts: int
    lock_timeout_seconds: float
    statement_timeout_seconds: float | None


class _Migrating(_Limits):
    waited_for: list[str]
    ended_sessions: list[int]


class WouldMigrate(Examined, _Limits):
    """--dry-run: with which time-outs it would migrate."""


class Migrated(Examined, _Migrating):
    """The plan passed, and was migrated, as far as `applied` says."""


class MigratingStopped(Facts, _Migrating):
    """Migrating was stopped by an error; what the examination found is not repeated."""


MigrateSafelyFacts = Migrated | WouldMigrate | Examined | MigratingStopped | Facts
