"""What every command says: findings, a verdict, a report, as text and as JSON."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

from opsmigrate.counted import counted
from opsmigrate.shown import shown
from opsmigrate.steps import Step, as_lines

# In columns: what a file gets, and what a terminal gets at least and at most.
WIDTH, NARROWEST, WIDEST = 80, 60, 120
SHOWN_INFOS = 10
AFTER_CURE = "found after putting right the errors before it on the copy"
AS_ABOVE = "the steps said above are for this one too"
SHOWN_UNDECIDED = 5
SHOWN_OF_A_SORT = 3
SHOWN_REASONS = 8


class Severity(str, Enum):
    """How much a finding weighs."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Verdict(str, Enum):
    """The answer of a command; `exit_code` is what the process ends with."""

    PASSED = "passed"
    FAILED = "failed"
    USAGE = "usage"
    UNDECIDED = "undecided"
    REFUSED = "refused"
    PARTIAL = "partial"

    @property
    def exit_code(self) -> int:
        """The exit code that deploy scripts rely on, 0 to 5."""
        return list(Verdict).index(self)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found; `id` is a lasting slug.

    `hint` says in words what to do next, `steps` are what to type for it. `after_cure` says that a
    rehearsal met it only after the errors before it had been put right on the copy.
    """

    id: str
    severity: Severity
    message: str
    hint: str | None = None
    steps: tuple[Step, ...] = ()
    migration: str | None = None
    operation: str | None = None
    table: str | None = None
    column: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    after_cure: bool = False

    @property
    def places(self) -> list[tuple[str, str]]:
        """Return where it is: what is known of migration, operation, table and column."""
        known = (
            ("migration", self.migration),
            ("operation", self.operation),
            ("table", self.table),
            ("column", self.column),
        )
        return [(name, value) for name, value in known if value]


@dataclass(frozen=True)
class Undecided:
    """Something that could not be decided, and why; never counted as passed.

    `sort` says what the reason has in common with others, in words: for people, many stand
    together under it.
    """

    what: str
    why: str
    sort: str | None = None


@dataclass(frozen=True, kw_only=True)
class Database:
    """Which database a report speaks of; None where the server could not be asked.

    `host` and `port` are those that it was reached at: for a Unix socket its folder.
    """

    alias: str
    name: str
    host: str | None
    port: int | None
    server_version: str | None = None
    system_identifier: str | None = None
    oid: int | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a capability returns: the verdict, one sentence, and what it rests on.

    `detail` is shown in the text report only; what it says stands in `facts` for programs. `text`,
    where there is one, is all that people see. `again` is the command that asks again, said where
    there are steps to type.
    """

    verdict: Verdict
    summary: str
    findings: tuple[Finding, ...] = ()
    undecided: tuple[Undecided, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    detail: tuple[str, ...] = ()
    text: str | None = None
    again: str | None = None

    def failing_on(self, severity: Severity) -> "Result":
        """Return this result, failed where it passed with a warning and `severity` is warning."""
        warned = any(finding.severity is Severity.WARNING for finding in self.findings)
        if self.verdict is Verdict.PASSED and severity is Severity.WARNING and warned:
            summary = f"{self.summary} (failed on a warning, as --fail-on warning asks)"
            return replace(self, verdict=Verdict.FAILED, summary=summary)
        return self

    def with_findings(self, *findings: Finding) -> "Result":
        """Return this result with more findings."""
        return replace(self, findings=(*self.findings, *findings))

    def with_facts(self, **facts: Any) -> "Result":
        """Return this result with more facts."""
        return replace(self, facts={**self.facts, **facts})


@dataclass(frozen=True, kw_only=True)
class Report:
    """A result with what it was obtained by, when, and on which database."""

    command: str
    run_id: str
    started: datetime
    finished: datetime
    database: Database | None
    result: Result
    exit_code: int

    def as_json(self) -> str:
        """Return the report as one JSON object, the `"schema": 2` of the documentation.

        It is plain ASCII, so that a terminal or a pipe of any encoding can carry it.
        """
        result = self.result
        body = {
            "schema": 2,
            "command": self.command,
            "run_id": self.run_id,
            "verdict": result.verdict.value,
            "exit_code": self.exit_code,
            "started": self.started.isoformat(),
            "finished": self.finished.isoformat(),
            "database": asdict(self.database) if self.database else None,
            "findings": [asdict(finding) for finding in result.findings],
            "undecided": [{"what": it.what, "why": it.why} for it in result.undecided],
            "facts": {"summary": result.summary, **result.facts},
        }
        return json.dumps(body, indent=2, default=str)

    def as_text(self, width: int = WIDTH) -> str:
        """Return the report for people, within `width` columns where the words allow it.

        The width is kept between 60 and 120: a longer line is hard to read.
        """
        result = self.result
        if result.text is not None:
            return shown(result.text, lines=True)
        width = min(max(width, NARROWEST), WIDEST)
        headline = f"{result.verdict.value.upper()}: {result.summary}"
        lines = [*_wrapped(headline, width, first="", rest="  "), ""]
        lines += _wrapped(self._where(), width, first="", rest="  ")
        if result.detail:
            lines += ["", *map(shown, result.detail)]
        said: list[tuple[Step, ...]] = []
        shown_here = _shown(result.findings)
        for finding in shown_here:
            lines += ["", *_finding_lines(_said_once(finding, said), width)]
        for id, hidden in _hidden(result.findings, shown_here).items():
            lines += ["", f"info [{id}] and {hidden:,} more: --format json has them all"]
        if result.undecided:
            lines += ["", "Undecided:", *_undecided_lines(result.undecided, width)]
        if result.again and any(
            item.steps for item in result.findings if item.severity is not Severity.INFO
        ):
            lines += ["", f"Then ask again: {shown(result.again)}"]
        return "\n".join(lines)

    def _where(self) -> str:
        seconds = (self.finished - self.started).total_seconds()
        database = f"{described(self.database)}, " if self.database else ""
        return f"{self.command}: {database}{seconds:.1f} s, run {self.run_id}"


def what_next(finding: Finding) -> Iterator[str]:
    """Yield what is to be known and typed for a finding, in lines."""
    if finding.after_cure:
        yield AFTER_CURE
    if finding.hint or finding.steps:
        yield from as_lines(finding.hint, finding.steps)


def place(host: str | None, port: int | None) -> str:
    """Return where a server was reached, in words; of a Unix socket `host` is the folder."""
    where = f"{host or ''}{f':{port}' if port else ''}"
    return f"the local socket {where}" if where.startswith(("/", "@")) else where


def described(database: Database) -> str:
    """Return in words which database a report speaks of."""
    where = f" on {place(database.host, database.port)}" if database.host else ""
    version = database.server_version
    server = f" (PostgreSQL {version})" if version is not None else ""
    return f"database {database.name}{where}{server}"


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, the errors first; else in their order."""
    return sorted(findings, key=lambda item: list(Severity).index(item.severity))


def _shown(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings by severity; of the information of one id, only the first few.

    Where many of them are about one table, they are alike, and fewer show what they are.
    """
    ordered = by_severity(findings)
    infos = [item for item in ordered if item.severity is Severity.INFO]
    many = Counter((item.id, item.table) for item in infos)
    counts: Counter[str] = Counter()
    here: Counter[tuple[str, str | None]] = Counter()
    shown = []
    for finding in ordered:
        if finding.severity is Severity.INFO:
            place = (finding.id, finding.table)
            alike = finding.table is not None and many[place] > SHOWN_INFOS
            if counts[finding.id] >= SHOWN_INFOS or (alike and here[place] >= SHOWN_OF_A_SORT):
                continue
            counts[finding.id] += 1
            here[place] += 1
        shown.append(finding)
    return shown


def _hidden(findings: Iterable[Finding], shown: Iterable[Finding]) -> Counter[str]:
    """Return how many findings of an id are not shown."""
    return Counter(item.id for item in findings) - Counter(item.id for item in shown)


def _said_once(finding: Finding, said: list[tuple[Step, ...]]) -> Finding:
    """Return the finding without the steps that one before it says; `said` grows by its own.

    Rights are given one by one; steps of another kind belong together.
    """
    steps = finding.steps
    if finding.id == "missing-privilege":
        steps = tuple(step for step in steps if (step,) not in said)
        said += [(step,) for step in steps]
    elif steps in said:
        steps = ()
    elif steps:
        said.append(steps)
    if steps == finding.steps:
        return finding
    return replace(finding, hint=finding.hint if steps else AS_ABOVE, steps=steps)


def _finding_lines(finding: Finding, width: int) -> Iterable[str]:
    yield from _wrapped(
        finding.message, width, first=f"{finding.severity.value} [{finding.id}] ", rest="    "
    )
    place = [f"{name} {value}" for name, value in finding.places]
    if place:
        yield from _wrapped(", ".join(place), width, first="    in ", rest="       ")
    if finding.after_cure:
        yield f"    {AFTER_CURE}"
    if finding.hint or finding.steps:
        lines = as_lines(finding.hint, finding.steps)
        if finding.hint and "\n" not in finding.hint:
            # Words; what is typed, and what is pasted, stays whole.
            yield from _wrapped(next(lines), width, first="    ", rest="          ")
        yield from (f"    {line}" for line in lines)


def _undecided_lines(undecided: Sequence[Undecided], width: int) -> Iterable[str]:
    """Yield what is undecided, grouped by reason.

    Many reasons of one sort are grouped by the sort; the list is cut after some groups.
    """
    sorts = Counter(item.sort for item in undecided if item.sort)
    groups: dict[str, list[Undecided]] = {}
    for item in undecided:
        many = item.sort is not None and sorts[item.sort] > SHOWN_UNDECIDED
        groups.setdefault((many and item.sort) or item.why, []).append(item)
    for why, items in [*groups.items()][:SHOWN_REASONS]:
        yield from _group_lines(why, items, width)
    if hidden := [*groups.values()][SHOWN_REASONS:]:
        reasons = counted(len(hidden), "other reason")
        yield f"  - and {sum(map(len, hidden)):,} more, for {reasons}: --format json has them all"


def _group_lines(why: str, items: Sequence[Undecided], width: int) -> Iterable[str]:
    if len(items) == 1:
        yield from _wrapped(f"{items[0].what}: {items[0].why}", width, first="  - ", rest="    ")
        return
    yield from _wrapped(f"{counted(len(items), 'place')}: {why}", width, first="  - ", rest="    ")
    alike = why == items[0].why
    shown_here = SHOWN_UNDECIDED if alike else SHOWN_OF_A_SORT
    ending = _common_ending([item.why for item in items])
    for item in items[:shown_here]:
        text = item.what if alike else f"{item.what}: {item.why.removesuffix(ending)}"
        yield from _wrapped(text, width, first="      ", rest="        ")
    if (more := len(items) - shown_here) > 0:
        yield f"      and {more:,} more: --format json has them all"


def _common_ending(reasons: Sequence[str]) -> str:
    """Return the clause with which all of the reasons end: what they have in common says it."""
    first = reasons[0]
    clauses = (
        first[place:] for place in range(len(first)) if first.startswith((", ", ": "), place)
    )
    return next((each for each in clauses if all(item.endswith(each) for item in reasons)), "")


def _wrapped(text: str, width: int, *, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        shown(text),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]
