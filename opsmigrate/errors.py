"""The errors that end a command; each becomes a finding in the report, with its exit code.

OpsmigrateError
 |__ UsageError        2: an unknown app, migration, alias or file
 |__ UndecidedError    3: could not decide, or could not run
 |    |__ SettingsError    OPSMIGRATE cannot be read
 |__ RefusedError      4: a guard said no, before anything was written
 |__ PartialError      5: stopped part of the way, safe to run again
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from opsmigrate.report import Finding, Result, Severity, Verdict
from opsmigrate.steps import Step


class OpsmigrateError(Exception):
    """A reason to stop: one sentence, a lasting slug, and what to type next."""

    verdict: ClassVar[Verdict] = Verdict.FAILED

    def __init__(  # noqa: PLR0913 - the parts of a finding
        self,
        message: str,
        *,
        id: str,
        hint: str | None = None,
        steps: tuple[Step, ...] = (),
        table: str | None = None,
        column: str | None = None,
        evidence: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.id = id
        self.hint = hint
        self.steps = steps
        self.table = table
        self.column = column
        self.evidence = evidence or {}
        self.facts = facts or {}

    def as_result(self) -> Result:
        """Return the result that a command reports for this error."""
        finding = Finding(
            id=self.id,
            severity=Severity.ERROR,
            message=str(self),
            hint=self.hint,
            steps=self.steps,
            table=self.table,
            column=self.column,
            evidence=self.evidence,
        )
        return Result(
            verdict=self.verdict, summary=str(self), findings=(finding,), facts=self.facts
        )


class UsageError(OpsmigrateError):
    """What was typed names something that is not there."""

    verdict = Verdict.USAGE


class UndecidedError(OpsmigrateError):
    """The question could not be decided, or the work not begun."""

    verdict = Verdict.UNDECIDED


class SettingsError(UndecidedError):
    """OPSMIGRATE holds something that cannot be used."""


class RefusedError(OpsmigrateError):
    """A guard refused, before anything was written."""

    verdict = Verdict.REFUSED


class PartialError(OpsmigrateError):
    """The work stopped part of the way; running it again goes on from there."""

    verdict = Verdict.PARTIAL
