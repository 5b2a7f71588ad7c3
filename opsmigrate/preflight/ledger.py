"""What the walk through the plan has found so far, and where it stands."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from textwrap import shorten
from typing import Any

from opsmigrate.postgres.mentions import naming
from opsmigrate.report import Finding, Severity, Unexamined
from opsmigrate.steps import Step

SHOWN = 100
# Of rights, several may lack at one place, and each is to be given; of victims, each is named.
EACH = ("missing-privilege", "dropped-by-cascade", "view-dropped-by-cascade")
ALTERS = re.compile(r"\b(?:ALTER|DROP|EXECUTE)\s", re.IGNORECASE)


class Effect(Enum):
    """What code may do at most to rows: work on those that are there, make some, or anything."""

    WORKS_ON_ROWS = 0
    MAKES_ROWS = 1
    ANYTHING = 2


ANYTHING = Effect.ANYTHING


def place_of(migration: str | None, operation: str | None) -> str:
    """Return how a report names an operation, or what migrate does outside of any."""
    return f"{migration} {operation}" if migration else "migrate"


def _names(name: str, texts: Iterable[str]) -> bool:
    pattern = re.compile(naming([name], frozenset()))
    return any(pattern.search(text) for text in texts)


@dataclass
class Ledger:
    """Findings and undecided questions, each with its migration and operation."""

    migration: str | None = None
    operation: str | None = None
    findings: list[Finding] = field(default_factory=list)
    unexamined: list[Unexamined] = field(default_factory=list)
    statements: list[dict[str, Any]] = field(default_factory=list)
    drift: list[dict[str, Any]] | None = None
    # How often code has run so far; the last time of these that may have made rows where there
    # were none; and whether something has run that may have made triggers, which make rows later.
    code_runs: int = 0
    made_rows: int = 0
    opaque: bool = False
    uncertain: str | None = None
    # What has changed the schema in a way that nobody knows; from there on nothing is certain.
    reshaped: str | None = None
    _raw: list[str] = field(default_factory=list)
    _again: dict[Unexamined, Callable[[], None]] = field(default_factory=dict)

    def find(
        self,
        id: str,
        message: str,
        *,
        hint: str | None = None,
        steps: tuple[Step, ...] = (),
        table: str | None = None,
        column: str | None = None,
        name: str | None = None,
        severity: Severity = Severity.ERROR,
        evidence: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a finding at the present place, once; `name` is that of an index, a view and so on.

        Where SQL written by hand came before and names the same thing, or alters its table, it may
        have put right what is wrong: then the question stays open. So it does where the operation
        is `uncertain`, or where the schema was `reshaped` before.
        """
        doubt = self.uncertain or self.reshaped
        if doubt:
            self.leave_open(f"{message}; but {doubt}")
            return
        wrote = self._wrote_of(name, column, table)
        if wrote:
            self.leave_open(f"{message}; but hand-written SQL before it names {wrote}")
            return
        place = (id, self.migration, self.operation, table, column)
        own = message if id in EACH else None
        if (*place, own) in {
            (f.id, f.migration, f.operation, f.table, f.column, own and f.message)
            for f in self.findings
        }:
            return
        self.findings.append(
            Finding(
                id=id,
                severity=severity,
                message=message,
                hint=hint,
                steps=steps,
                migration=self.migration,
                operation=self.operation,
                table=table,
                column=column,
                evidence=evidence or {},
            )
        )

    @property
    def by_hand(self) -> tuple[str, ...]:
        """Return the SQL written by hand so far, and the texts in code that look like it."""
        return tuple(self._raw)

    def wrote(self, name: str) -> bool:
        """Return whether SQL written by hand, so far in the plan, names this."""
        return _names(name, self._raw)

    def _wrote_of(self, name: str | None, column: str | None, table: str | None) -> str | None:
        """Return which of the names SQL written by hand has; of a column's table, ALTER or DROP."""
        label = (table or "").rpartition(".")[2]
        subjects = [each for each in (name, column) if each] or [label]
        found = next((each for each in subjects if each and self.wrote(each)), None)
        altered = [text for text in self._raw if ALTERS.search(text)]
        return found or (label if label and _names(label, altered) else None)

    def leave_open(self, why: str, again: Callable[[], None] | None = None) -> None:
        """Mark the present operation as undecided, and say why.

        `again` asks anew, and of the live rows, once it is known that no code touches them before.
        """
        item = Unexamined(what=place_of(self.migration, self.operation), why=why)
        if item not in self.unexamined:
            self.unexamined.append(item)
            if again is not None:
                self._again[item] = partial(self._at, self.migration, self.operation, again)

    def ask_again(self, item: Unexamined) -> bool:
        """Ask an undecided question again; return whether it was answered, or is a finding now."""
        again = self._again.get(item)
        if again is None:
            return False
        self.unexamined.remove(item)
        others = len(self.unexamined)
        again()
        return len(self.unexamined) == others

    def _at(self, migration: str | None, operation: str | None, ask: Callable[[], None]) -> None:
        here = self.migration, self.operation
        self.migration, self.operation = migration, operation
        ask()
        self.migration, self.operation = here

    def code(self, what: str, texts: Iterable[str] = (), *, effect: Effect = ANYTHING) -> None:
        """Mark as undecided what code will do: from here on, rows may have been changed.

        `texts` are the strings in it that look like SQL; `effect` is what it may do at most.
        """
        self._raw += texts
        self.code_runs += 1
        self.opaque = self.opaque or effect is Effect.ANYTHING
        if self.opaque or effect is Effect.MAKES_ROWS:
            self.made_rows = self.code_runs
        self.leave_open(what)

    def raw(
        self, statement: str, *, by: str = "written by hand", effect: Effect = ANYTHING
    ) -> None:
        """Mark as undecided what a statement that Django did not write will do."""
        words = " ".join(statement.split())
        self._raw.append(words)
        what = f"SQL {by} is not understood: {shorten(words, SHOWN, placeholder=' …')}"
        self.code(what, effect=effect)

    def prepared(self, what: str, texts: Iterable[str]) -> None:
        """Mark as undecided what code does before the plan; `texts` are the strings in it."""
        self.code(f"{what} runs before the plan: only a rehearsal decides", texts)

    def statement(self, sql: str, tables: list[str]) -> None:
        """Keep the SQL that the present operation would execute, and which tables it touches."""
        if self.uncertain:
            self._raw.append(sql)
        self.statements.append(
            {
                "migration": self.migration,
                "operation": self.operation,
                "sql": sql,
                "tables": tables,
            }
        )
