"""A report as JUnit XML: a suite for each migration, a case for each of its operations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from opsmigrate.formats.plan_rows import PlanRow, plan_rows
from opsmigrate.report import Finding, Report, Severity, by_severity, what_next
from opsmigrate.shown import shown

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True)
class _Case:
    name: str
    findings: tuple[Finding, ...] = ()
    # Why it is an error of its own, None where it is none.
    broken: str | None = None

    @property
    def kind(self) -> str | None:
        if self.broken is not None:
            return "error"
        failed = any(each.severity is Severity.ERROR for each in self.findings)
        return "failure" if failed else None


@dataclass(frozen=True)
class _Suite:
    name: str
    cases: tuple[_Case, ...]
    seconds: float = 0.0

    def count(self, kind: str) -> int:
        return sum(case.kind == kind for case in self.cases)


def junit(report: Report) -> str:
    """Return the report as JUnit XML.

    The suite `verdict` has one case, which fails where the exit code is not 0, so that nothing that
    is undecided, refused or failed on a warning looks like a pass.
    """
    suites = [*_suites(report), _Suite("verdict", (_verdict(report),))]
    root = ElementTree.Element("testsuites", _counts(suites) | {"name": report.command})
    for suite in suites:
        own = _counts([suite]) | {"name": shown(suite.name), "time": f"{suite.seconds:.3f}"}
        own["timestamp"] = report.started.isoformat()[:19]
        element = ElementTree.SubElement(root, "testsuite", own)
        for case in suite.cases:
            _add_case(element, f"{report.command}.{shown(suite.name)}", case)
    ElementTree.indent(root)
    return DECLARATION + ElementTree.tostring(root, encoding="unicode")


def _suites(report: Report) -> Iterable[_Suite]:
    findings = by_severity(report.result.findings)
    rows = plan_rows(report.result.facts)
    known = {row.migration for row in rows}
    for row in rows:
        mine = [each for each in findings if shown(each.migration or "") == row.migration]
        yield _Suite(row.migration, tuple(_cases(row, mine)), row.seconds or 0.0)
    other = [each for each in findings if shown(each.migration or "") not in known]
    names = dict.fromkeys(each.id for each in other)
    if names:
        yield _Suite(
            "database",
            tuple(_Case(id, tuple(each for each in other if each.id == id)) for id in names),
        )


def _cases(row: PlanRow, findings: Sequence[Finding]) -> Iterable[_Case]:
    labels = set()
    for number, words in enumerate(row.operations):
        mine = tuple(each for each in findings if _number(each.operation) == str(number))
        labels.add(str(number))
        yield _Case(f"{number}: {words}", mine)
    rest = tuple(each for each in findings if _number(each.operation) not in labels)
    if rest or not row.operations:
        yield _Case("the migration as a whole", rest)


def _number(operation: str | None) -> str:
    return (operation or "").partition(":")[0]


def _verdict(report: Report) -> _Case:
    result = report.result
    if not report.exit_code:
        return _Case(result.verdict.value)
    return _Case(result.verdict.value, broken=f"exit code {report.exit_code}: {result.summary}")


def _add_case(suite: ElementTree.Element, classname: str, case: _Case) -> None:
    element = ElementTree.SubElement(
        suite, "testcase", {"classname": classname, "name": shown(case.name), "time": "0"}
    )
    text = shown("\n\n".join("\n".join(_lines(each)) for each in case.findings), lines=True)
    if case.broken is not None:
        ElementTree.SubElement(
            element, "error", {"message": shown(case.broken), "type": case.name}
        ).text = text
    elif case.kind:
        worst = case.findings[0]
        attributes = {"message": shown(worst.message), "type": worst.id}
        ElementTree.SubElement(element, "failure", attributes).text = text
    elif text:
        ElementTree.SubElement(element, "system-out").text = text


def _lines(finding: Finding) -> Iterable[str]:
    yield f"{finding.severity.value} [{finding.id}] {finding.message}"
    yield from what_next(finding)


def _counts(suites: Sequence[_Suite]) -> dict[str, str]:
    return {
        "tests": str(sum(len(each.cases) for each in suites)),
        "failures": str(sum(each.count("failure") for each in suites)),
        "errors": str(sum(each.count("error") for each in suites)),
        "skipped": "0",
    }
