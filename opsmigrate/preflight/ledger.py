"""What the walk through the plan has found so far, and where it stands."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from textwrap import shorten
from typing import Any

from opsmigrate.postgres.mentions import mentions
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.report import Finding, Severity, Undecided
from opsmigrate.steps import Step

SHOWN = 100
# Several privileges may be missing at one place, and each is to be granted; each victim is named.
EACH = ("missing-privilege", "dropped-by-cascade", "view-dropped-by-cascade")
ALTERS = ("ALTER ", "DROP ", "EXECUTE ")


class Effect(Enum):
    """What code may do at most to rows: work on those that are there, make some, or anything."""

    WORKS_ON_ROWS = 0
    MAKES_ROWS = 1
    ANYTHING = 2


ANYTHING = Effect.ANYTHING


@dataclass(frozen=True)
class _Here:
    """Where the walk is, and why nothing that is found there would be certain."""

    migration: str | None = None
    operation: str | None = None
    operation_unknown: str | None = None


def place_of(migration: str | None, operation: str | None) -> str:
    """Return how a report names an operation, or what migrate does outside of any."""
    return f"{migration} {operation}" if migration else "migrate"


def _names(name: str, texts: Iterable[str]) -> bool:
    return any(mentions(text, name) for text in texts)


def _alters(text: str) -> bool:
    """Return whether a text of SQL or of code may alter something, as far as its words tell."""
    words = " ".join(text.upper().split())
    return any(word in words for word in ALTERS)


# Why a question of rows stays open, where nobody can ask them.
BY_ROWS = "it depends on the rows"


@dataclass
class Ledger:
    """Findings and undecided questions, each with its migration and operation.

    `at()` says which these are for everything that is found inside it; nothing else sets them.
    """

    statements: list[PlannedStatement] = field(default_factory=list)
    drift: list[dict[str, Any]] | None = None
    # How often code has run so far; the last time of these that may have made rows where there
    # were none; and whether something has run that may have made triggers, which make rows later.
    code_runs: int = 0
    last_run_that_made_rows: int = 0
    code_unknown: bool = False
    # What has changed the schema in a way that nobody knows; from there on nothing is certain.
    schema_unknown_since: str | None = None
    _here: _Here = field(default=_Here(), init=False)
    # What was raised last, and where.
    _raised: tuple[BaseException, _Here] | None = field(default=None, init=False)
    _findings: list[Finding] = field(default_factory=list, init=False)
    _undecided: list[Undecided] = field(default_factory=list, init=False)
    _raw: list[str] = field(default_factory=list, init=False)
    _again: dict[Undecided, Callable[[], None]] = field(default_factory=dict, init=False)

    @property
    def migration(self) -> str | None:
        """Return the migration that is walked, None outside of any."""
        return self._here.migration

    @property
    def operation(self) -> str | None:
        """Return the operation that is walked, None outside of any."""
        return self._here.operation

    @property
    def operation_unknown(self) -> str | None:
        """Return why nothing is certain at the present place, None where it is."""
        return self._here.operation_unknown

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return what was found so far."""
        return tuple(self._findings)

    @property
    def undecided(self) -> tuple[Undecided, ...]:
        """Return the questions that are open."""
        return tuple(self._undecided)

    def at(
        self, migration: str | None, operation: str | None = None
    ) -> AbstractContextManager[None]:
        """Let what is found inside be of this migration and operation; of neither, of `migrate`.

        Inside of another one, it holds until its own end. What is in doubt of a migration is so
        of its operations.
        """
        same = migration == self.migration
        return self._at(_Here(migration, operation, self.operation_unknown if same else None))

    def where_raised(self, error: BaseException) -> AbstractContextManager[None]:
        """Let what is found inside be of the place at which the error was raised."""
        raised, self._raised = self._raised, None
        return self._at(raised[1] if raised and raised[0] is error else self._here)

    @contextmanager
    def _at(self, here: _Here) -> Iterator[None]:
        before, self._here = self._here, here
        try:
            yield
        except BaseException as error:
            if self._raised is None or self._raised[0] is not error:
                self._raised = error, self._here
            raise
        finally:
            self._here = before

    def doubt(self, why: str) -> None:
        """Let nothing be certain that is found at the present place from here on."""
        self._here = replace(self._here, operation_unknown=why)

    def find(  # noqa: PLR0913 - the parts of a finding
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
        is `operation_unknown`, or where the schema was `schema_unknown_since` before. What nothing
        in the plan puts right is for add().
        """
        doubt = self.operation_unknown or self.schema_unknown_since
        if doubt:
            self.mark_undecided(f"{message}; but {doubt}")
            return
        wrote = self._wrote_of(name, column, table)
        if wrote:
            self.mark_undecided(f"{message}; but hand-written SQL before it names {wrote}")
            return
        place = (id, self.migration, self.operation, table, column)
        own = message if id in EACH else None
        if (*place, own) in {
            (f.id, f.migration, f.operation, f.table, f.column, own and f.message)
            for f in self._findings
        }:
            return
        self.add(
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

    def add(self, *findings: Finding) -> None:
        """Add findings as they are, each once: whatever SQL written by hand says, they are true."""
        for finding in findings:
            if finding not in self._findings:
                self._findings.append(finding)

    def add_before(self, finding: Finding) -> None:
        """Add a finding before all others of its migration."""
        same = (n for n, each in enumerate(self._findings) if each.migration == finding.migration)
        self._findings.insert(next(same, len(self._findings)), finding)

    def replace(self, finding: Finding, better: Finding) -> None:
        """Report a finding in other words, or with other steps."""
        self._findings[self._findings.index(finding)] = better

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
        altered = [text for text in self._raw if _alters(text)]
        return found or (label if label and _names(label, altered) else None)

    def mark_undecided(
        self, why: str, again: Callable[[], None] | None = None, *, sort: str | None = None
    ) -> None:
        """Mark the present operation as undecided, and say why; `sort` as in the report.

        `again` asks anew, and of the live rows, once it is known that no code touches them before.
        """
        item = Undecided(what=place_of(self.migration, self.operation), why=why, sort=sort)
        if item not in self._undecided:
            self._undecided.append(item)
            if again is not None:
                self._again[item] = partial(self._ask, again, self.migration, self.operation)

    def asked_again(self, items: Iterable[Undecided]) -> list[Finding]:
        """Return what asking these questions again finds; nothing of it is kept."""
        findings, undecided = [*self._findings], [*self._undecided]
        for item in items:
            self.ask_again(item)
        found = self._findings[len(findings) :]
        self._findings, self._undecided = findings, undecided
        return found

    def ask_again(self, item: Undecided) -> bool:
        """Ask an undecided question again; return whether it was answered, or is a finding now."""
        again = self._again.get(item)
        if again is None:
            return False
        self._undecided.remove(item)
        others = len(self._undecided)
        again()
        return len(self._undecided) == others

    def _ask(self, ask: Callable[[], None], migration: str | None, operation: str | None) -> None:
        with self.at(migration, operation):
            ask()

    def answered(self, is_answered: Callable[[Undecided], bool]) -> None:
        """Remove the undecided questions that are answered."""
        self._undecided = [item for item in self._undecided if not is_answered(item)]

    def code(
        self,
        what: str,
        texts: Iterable[str] = (),
        *,
        effect: Effect = ANYTHING,
        sort: str = "code, which only a rehearsal decides",
    ) -> None:
        """Mark as undecided what code will do: from here on, rows may have been changed.

        `texts` are the strings in it that look like SQL; `effect` is what it may do at most.
        """
        self._raw += texts
        self.code_runs += 1
        self.code_unknown = self.code_unknown or effect is Effect.ANYTHING
        if self.code_unknown or effect is Effect.MAKES_ROWS:
            self.last_run_that_made_rows = self.code_runs
        self.mark_undecided(what, sort=sort)

    def raw(
        self, statement: str, *, by: str = "hand-written SQL", effect: Effect = ANYTHING
    ) -> None:
        """Mark as undecided what a statement that Django did not write will do."""
        words = " ".join(statement.split())
        self._raw.append(words)
        what = f"{by} is not understood: {shorten(words, SHOWN, placeholder=' …')}"
        self.code(what, effect=effect, sort=f"{by}, which is not understood")

    def remember(self, statement: str) -> None:
        """Keep SQL written by hand that is understood, but not by all who ask what it names."""
        self._raw.append(" ".join(statement.split()))

    def prepared(self, what: str, texts: Iterable[str]) -> None:
        """Mark as undecided what code does before the plan; `texts` are the strings in it."""
        self.code(f"{what} runs before the plan: only a rehearsal decides", texts)

    def statement(self, sql: str, tables: Iterable[str], composed: str) -> PlannedStatement:
        """Keep the SQL that the present operation would execute; see PlannedStatement."""
        if self.operation_unknown:
            self._raw.append(sql)
        kept = PlannedStatement(
            migration=self.migration,
            operation=self.operation,
            sql=sql,
            tables=tuple(tables),
            composed=composed,
        )
        self.statements.append(kept)
        return kept
