"""One report of a whole fleet: the worst first, and what to type for each."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opsmigrate.counted import counted
from opsmigrate.fleet.run_folder import Outcome
from opsmigrate.fleet.targets import Target
from opsmigrate.playbook.command_process import CommandEnd
from opsmigrate.playbook.run import findings_of
from opsmigrate.postgres.tenant import in_target
from opsmigrate.report import WIDTH, Finding, Result, Severity, Undecided, Verdict
from opsmigrate.shown import shown
from opsmigrate.steps import aimed_text, command

# From the worst on: what must not be deployed, then what nobody knows, then what goes on.
ORDER = (
    Verdict.FAILED,
    Verdict.USAGE,
    Verdict.REFUSED,
    Verdict.UNDECIDED,
    Verdict.PARTIAL,
    Verdict.PASSED,
)
SHOWN_LABELS = 8
NOT_DONE = "not done"


@dataclass(frozen=True, kw_only=True)
class Row:
    """Targets of which the same is said: one line of the table."""

    verdict: str
    labels: tuple[str, ...]
    what: str


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What is known of a run: its targets, and what became of those that were begun."""

    targets: Sequence[Target]
    outcomes: Mapping[str, Outcome]
    report_of: Callable[[Outcome], Mapping[str, Any]]
    stopped: str | None = None

    @property
    def not_done(self) -> list[str]:
        """Return the labels of the targets that have no outcome, in their order."""
        return [each.label for each in self.targets if each.label not in self.outcomes]


def merged(fleet: Fleet, *, facts: Mapping[str, Any], again: str) -> Result:
    """Return the result of the whole: the worst verdict of all, and what was found, said once.

    `again` is the command that goes on where this run stopped.
    """
    done = [fleet.outcomes[each.label] for each in fleet.targets if each.label in fleet.outcomes]
    verdict = worst(done)
    if verdict is Verdict.PASSED and fleet.not_done:
        verdict = Verdict.PARTIAL
    rows = rows_of(fleet)
    findings = [*_stopped(fleet, again), *_found(fleet, done, str(facts["command"]))]
    return Result(
        verdict=verdict,
        summary=_summary(fleet, done),
        findings=tuple(findings),
        undecided=tuple(_undecided(fleet, done)),
        facts={
            **facts,
            "counts": dict(Counter(each.verdict for each in done)),
            "not_done": fleet.not_done,
            "stopped": fleet.stopped,
            "rows": [
                {"verdict": each.verdict, "what": each.what, "targets": list(each.labels)}
                for each in rows
            ],
            "targets": [_target(each, fleet.outcomes.get(each.label)) for each in fleet.targets],
        },
        detail=(*_table(rows), "", f"Reports: {facts['folder']}"),
        again=None if verdict is Verdict.PASSED or fleet.stopped else again,
    )


def worst(outcomes: Sequence[Outcome]) -> Verdict:
    """Return the worst verdict of all; of none, it is passed."""
    found = {Verdict(each.verdict) for each in outcomes}
    return next((each for each in ORDER if each in found), Verdict.PASSED)


def rows_of(fleet: Fleet) -> list[Row]:
    """Return the lines of the table, the worst first; in each, the targets keep their order."""
    groups: dict[tuple[str, str], list[str]] = {}
    for target in fleet.targets:
        outcome = fleet.outcomes.get(target.label)
        if outcome is None:
            groups.setdefault((NOT_DONE, ""), []).append(target.label)
        else:
            what = without_schema(outcome.summary, target)
            groups.setdefault((outcome.verdict, what), []).append(target.label)
    order = [each.value for each in ORDER]
    order.insert(-1, NOT_DONE)
    rows = [
        Row(verdict=verdict, labels=tuple(labels), what=what)
        for (verdict, what), labels in groups.items()
    ]
    # What few have stands out among many.
    return sorted(rows, key=lambda row: (order.index(row.verdict), len(row.labels)))


def without_schema(text: str, target: Target) -> str:
    """Return words in which the tenant's own schema is not named, so that equal ones are equal."""
    if target.schema is None:
        return text
    name = re.escape(target.schema)
    return re.sub(rf'(?<![\w"./$-])(?:"{name}"|{name})\.(?=["\w])', "", text)


def _summary(fleet: Fleet, done: Sequence[Outcome]) -> str:
    if not fleet.targets:
        return "there is no target in this part"
    counts = Counter(each.verdict for each in done)
    passed = counts.pop(Verdict.PASSED.value, 0)
    parts = [f"{counts[each.value]:,} {each.value}" for each in ORDER if counts[each.value]]
    if fleet.not_done:
        parts.append(f"{len(fleet.not_done):,} not done")
    said = f"{passed:,} of {counted(len(fleet.targets), 'target')} passed"
    return ", ".join([said, *parts]) + (f": {fleet.stopped}" if fleet.stopped else "")


def _table(rows: Sequence[Row]) -> Iterator[str]:
    if rows:
        yield f"{'verdict':<11}{'targets':>7}  what"
    # Each backup has a name of its own: of what passed, a line for each would hide the rest.
    passed = [row for row in rows if row.verdict == Verdict.PASSED.value]
    unsaid = passed[SHOWN_LABELS:]
    for row in rows[: len(rows) - len(unsaid)]:
        few = len(row.labels) <= SHOWN_LABELS
        labels = list(row.labels if few else row.labels[:SHOWN_LABELS])
        if not few:
            labels.append(f"and {len(row.labels) - SHOWN_LABELS:,} more")
        head = f"{row.verdict:<11}{len(row.labels):>7,}  "
        yield from _column(row.what or ", ".join(labels), head)
        if row.what and row.verdict != Verdict.PASSED.value:
            yield from _column(", ".join(labels), " " * len(head))
    if unsaid:
        number = sum(len(row.labels) for row in unsaid)
        yield f"{Verdict.PASSED.value:<11}{number:>7,}  each as its own report says"


def _column(text: str, head: str) -> list[str]:
    return textwrap.wrap(
        shown(text),
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * (11 + 7 + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _stopped(fleet: Fleet, again: str) -> Iterator[Finding]:
    if fleet.stopped is not None and fleet.not_done:
        yield Finding(
            id="fleet-stopped",
            severity=Severity.ERROR,
            message=f"{counted(len(fleet.not_done), 'target')} not done: {fleet.stopped}",
            hint="put right what is said of the others, if anything is; then go on with this run",
            steps=(command(again),),
            evidence={"targets": fleet.not_done},
        )


def _found(fleet: Fleet, done: Sequence[Outcome], typed: str) -> list[Finding]:
    """Return what the reports of the targets say, what several say once, the errors first.

    `typed` is what was run on each of them.
    """
    targets = {each.label: each for each in fleet.targets}
    groups: dict[tuple[Any, ...], list[tuple[str, Finding]]] = {}
    for outcome in done:
        report = fleet.report_of(outcome)
        found = findings_of(CommandEnd(outcome.exit_code, report))
        if not report and outcome.exit_code:
            found = [_without_report(outcome, targets[outcome.label], typed)]
        for each in found:
            target = targets[outcome.label]
            key = (
                each.severity,
                each.id,
                each.migration,
                each.operation,
                each.column,
                without_schema(each.message, target),
            )
            groups.setdefault(key, []).append((outcome.label, each))
    return [_of_all(each) for each in groups.values()]


def _without_report(outcome: Outcome, target: Target, typed: str) -> Finding:
    typed = aimed_text(f"python manage.py {typed}", target.alias)
    return Finding(
        id="target-without-report",
        severity=Severity.ERROR,
        message=outcome.summary,
        hint="see whether the machine had too little memory, or somebody ended the process, and "
        "what the command says alone; then go on with this run",
        steps=(command(in_target(target.alias, target.schema) + typed),),
    )


def _of_all(said: Sequence[tuple[str, Finding]]) -> Finding:
    label, first = said[0]
    labels = [each for each, _ in said]
    if len(labels) == 1:
        return replace(
            first,
            message=f"{label}: {first.message}",
            evidence={**first.evidence, "targets": labels},
        )
    more = f"{label} and {counted(len(labels) - 1, 'more target')}"
    hint = f"as for {label} here; what the others type stands in their own reports"
    return replace(
        first,
        message=f"{more}: {first.message}",
        hint=f"{first.hint} ({hint})" if first.hint else hint,
        evidence={**first.evidence, "targets": labels},
    )


def _undecided(fleet: Fleet, done: Sequence[Outcome]) -> Iterator[Undecided]:
    targets = {each.label: each for each in fleet.targets}
    for outcome in done:
        for each in fleet.report_of(outcome).get("undecided", ()):
            why = without_schema(each["why"], targets[outcome.label])
            yield Undecided(f"{outcome.label}: {each['what']}", why)


def _target(target: Target, outcome: Outcome | None) -> dict[str, Any]:
    return {
        "label": target.label,
        "alias": target.alias,
        "schema": target.schema,
        "server": target.server,
        "verdict": outcome and outcome.verdict,
        "exit_code": outcome and outcome.exit_code,
        "attempts": outcome and outcome.attempts,
        "seconds": outcome and round(outcome.seconds, 3),
        "summary": outcome and outcome.summary,
        "report": outcome and outcome.report,
    }
