"""A report as SARIF 2.1.0, which GitHub and other services show beside the code."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from opsmigrate import __version__
from opsmigrate.errors import UsageError
from opsmigrate.formats.places import place_of, settings_place
from opsmigrate.pages import page_of
from opsmigrate.report import Finding, Report, Severity, Verdict, by_severity, what_next
from opsmigrate.shown import shown

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
# SARIF 2.1.0, 3.11.5 and 3.11.6: placeholders, and links of plain text.
PLACEHOLDER = re.compile(r"\{(\d+)\}")
# They are decided when a finding is understood, and do not change with its words.
FINGERPRINT = "opsmigrate/v1"


def sarif(report: Report) -> str:
    """Return the report as a SARIF log of one run.

    A finding stands at the line of its operation. What is in no migration of the repository stands
    at the settings, since some services show nothing that has no place.
    """
    findings = by_severity(report.result.findings)
    ids = sorted({each.id for each in findings})
    run = {
        "tool": {
            "driver": {
                "name": "opsmigrate",
                "version": __version__,
                "rules": [_rule(id, findings) for id in ids],
            }
        },
        "automationDetails": {"id": _automation(report)},
        "invocations": [_invocation(report)],
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, ids.index(each.id)) for each in findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, default=str)


def _automation(report: Report) -> str:
    alias = report.database.alias if report.database else "none"
    return f"{report.command}/{shown(alias)}/{shown(report.run_id)}"


def _invocation(report: Report) -> dict[str, Any]:
    result = report.result
    return {
        "executionSuccessful": result.verdict in (Verdict.PASSED, Verdict.FAILED),
        "exitCode": report.exit_code,
        "exitCodeDescription": _text(f"{result.verdict.value}: {result.summary}")["text"],
        "startTimeUtc": _moment(report.started.isoformat()),
        "endTimeUtc": _moment(report.finished.isoformat()),
        "toolExecutionNotifications": [
            {"level": "warning", "message": _text(f"undecided: {each.what}: {each.why}")}
            for each in result.undecided
        ],
    }


def _moment(iso: str) -> str:
    return iso.replace("+00:00", "Z")


def _rule(id: str, findings: Iterable[Finding]) -> dict[str, Any]:
    severities = [each.severity for each in findings if each.id == id]
    worst = min(severities, key=list(Severity).index)
    rule: dict[str, Any] = {"id": id, "defaultConfiguration": {"level": LEVELS[worst]}}
    try:
        page = page_of(id)
    except UsageError:
        # A check of the project has no page.
        return {**rule, "shortDescription": {"text": id}}
    return {
        **rule,
        "shortDescription": _text(page.split("\n\n")[1]),
        "help": {"text": page, "markdown": page},
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    lines = [finding.message, *what_next(finding)]
    names = (finding.id, finding.migration, finding.operation, finding.table, finding.column)
    return {
        "ruleId": finding.id,
        "ruleIndex": index,
        "level": LEVELS[finding.severity],
        "message": _text("\n".join(lines)),
        "locations": _locations(finding),
        "partialFingerprints": {FINGERPRINT: sha256(json.dumps(names).encode()).hexdigest()},
        "properties": {
            "migration": finding.migration,
            "operation": finding.operation,
            "table": finding.table,
            "column": finding.column,
            "steps": [asdict(each) for each in finding.steps],
        },
    }


def _locations(finding: Finding) -> list[Mapping[str, Any]]:
    place = place_of(finding) or settings_place()
    location: dict[str, Any] = {}
    if place:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": place.uri, "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": place.line},
        }
    name = ".".join(filter(None, (finding.table, finding.column)))
    if name:
        location["logicalLocations"] = [{"fullyQualifiedName": shown(name), "kind": "resource"}]
    return [location] if location else []


def _text(text: str) -> dict[str, str]:
    """Return a plain message: no placeholder, and no link to where others would have it."""
    plain = PLACEHOLDER.sub(r"{{\1}}", shown(text, lines=True))
    return {"text": plain.replace("](", "] (")}
