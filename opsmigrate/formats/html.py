"""A report as an HTML page that needs nothing but itself."""

from itertools import groupby
from pathlib import Path
from typing import Any

from django.template import Context, Engine

from opsmigrate import __version__
from opsmigrate.formats.fleet_rows import fleet_rows
from opsmigrate.formats.plan_rows import lock_rows, plan_rows
from opsmigrate.report import AFTER_CURE, Finding, Report, by_severity, described
from opsmigrate.shown import shown

TEMPLATES = Path(__file__).resolve().parent / "templates"


def html(report: Report) -> str:
    """Return the page; everything in it is escaped, and it loads and runs nothing."""
    result = report.result
    context = {
        "report": report,
        "run_id": shown(report.run_id),
        "verdict": result.verdict.value,
        "summary": shown(result.summary),
        "database": shown(described(report.database)) if report.database else None,
        "seconds": (report.finished - report.started).total_seconds(),
        "plan": plan_rows(result.facts),
        "locks": lock_rows(result.facts),
        "fleet": fleet_rows(result.facts),
        "findings": [_finding(each) for each in by_severity(result.findings)],
        "undecided": [(shown(each.what), shown(each.why)) for each in result.undecided],
        "text": shown(result.text, lines=True) if result.text is not None else None,
        "again": shown(result.again) if result.again else None,
        "version": __version__,
    }
    engine = Engine(dirs=[str(TEMPLATES)])
    return engine.get_template("report.html").render(Context(context))


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "severity": finding.severity.value,
        "message": shown(finding.message),
        "after_cure": AFTER_CURE if finding.after_cure else None,
        "hint": shown(finding.hint, lines=True) if finding.hint else None,
        "places": [(name, shown(value)) for name, value in finding.places],
        "alternatives": [
            [(shown(step.text), step.kind, shown(step.risk or "")) for step in group]
            for _, group in groupby(finding.steps, key=lambda step: step.alternative)
        ],
    }
