"""The HTML page: a function of the JSON report and its pictures, so that it can be verified."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from django.template import Context, Engine

from opsmigrate.report import place
from opsmigrate.shown import shown
from opsmigrate.uat.outcome import WORST_FIRST, decides, rank
from opsmigrate.uat.reports.former_schema import by_present_names
from opsmigrate.uat.reports.plot import Bar

TEMPLATES = Path(__file__).resolve().parent / "templates"
# What "<" is in the JSON inside the page, so that no text can end its element.
LESS_THAN = "\\u003c"
HEADLINES = {
    "passed": "Accepted by every check",
    "failed": "Not accepted",
    "undecided": "Not decided",
    "usage": "Not run",
    "refused": "Refused",
    "partial": "Stopped part of the way",
}
WORDS = {"PASS": "passed", "FAIL": "failed", "ERROR": "error", "NOT_RUN": "not run"}
# Accepted, and yet not green: a blocker is what must not be missed.
RESERVED = "reserved"
STATES = ("changed", "declared", "same", "new", "live")


def html_page(body: Mapping[str, Any], images: Mapping[str, bytes]) -> str:
    """Return the page; `body` is the sealed JSON report, `images` its pictures by SHA-256."""
    facts = by_present_names(body)["facts"]
    told = {item["evidence"].get("check"): item for item in body["findings"]}
    checks = [_check(each, images, told.get(each["id"])) for each in facts.get("checks", [])]
    concerns = sorted((each for each in checks if each["status"] != "PASS"), key=_rank)
    database = body["database"] or {}
    engine = Engine(dirs=[str(TEMPLATES)])
    tables = [
        table
        for check in facts.get("checks", [])
        for table in check["evidence"]
        if table["kind"] == "table"
    ]
    context = {
        "body": body,
        "facts": facts,
        "headline": headline(body["verdict"], checks),
        "tone": RESERVED if _lacks_a_blocker(body["verdict"], checks) else body["verdict"],
        "where": place(database.get("host"), database.get("port")),
        "when": _moment(body["started"]),
        "seconds": _seconds_between(body["started"], body["finished"]),
        "counts": _counts(checks),
        "groups": _groups(concerns, body["findings"]),
        "checks": checks,
        "comparisons": [_comparison(table) for table in tables],
        "pictures": [picture for check in checks for picture in check["pictures"]],
        "bars": _bars(facts.get("checks", [])),
        "json": json.dumps(body, sort_keys=True).replace("<", LESS_THAN),
    }
    page = engine.get_template("uat_report.html").render(Context(context))
    return shown(page, lines=True)


def headline(verdict: str, checks: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdict in words, which promise no more than what was looked at."""
    if _lacks_a_blocker(verdict, checks):
        return "Accepted, but a blocker was not checked"
    if verdict == "passed" and any(check["waived"] for check in checks):
        return "Accepted, with waivers"
    if verdict == "passed" and any(check["status"] in ("FAIL", "ERROR") for check in checks):
        return "Accepted, with warnings"
    if verdict == "passed" and any(check["status"] != "PASS" for check in checks):
        return "Accepted by every check that ran"
    return HEADLINES[verdict]


def _lacks_a_blocker(verdict: str, checks: Sequence[Mapping[str, Any]]) -> bool:
    return verdict == "passed" and any(
        check["status"] == "NOT_RUN" and check["severity"] == "blocker" and not check["waived"]
        for check in checks
    )


def _rank(check: Mapping[str, Any]) -> tuple[int, ...]:
    return rank(
        check["status"],
        check["severity"],
        required=check["required"],
        waived=bool(check["waived"]),
    )


def _groups(
    concerns: Sequence[Mapping[str, Any]], findings: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what decided, and what did not, each with its title; what is empty is left out."""
    items = [
        *concerns,
        *(_finding(each) for each in findings if "check" not in each["evidence"]),
    ]
    groups = [
        {
            "title": title,
            "weight": weight,
            "items": [item for item in items if item["decided"] == (weight == "decided")],
        }
        for title, weight in (
            ("What decided", "decided"),
            ("Worth a look, but without effect on the verdict", "light"),
        )
    ]
    return [group for group in groups if group["items"]]


def _finding(finding: Mapping[str, Any]) -> dict[str, Any]:
    """Return a finding that is of no check, as a check is shown."""
    is_error = finding["severity"] == "error"
    return {
        "id": finding["id"],
        "tone": "fail" if is_error else "not_run",
        "word": finding["severity"],
        "decided": is_error,
        "message": finding["message"],
        **_next(finding),
    }


def _next(finding: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what to do, in words, and each of the ways to go with the steps to type."""
    steps = finding.get("steps", []) if finding else []
    return {
        "hint": finding["hint"] if finding else None,
        "ways": [list(way) for _, way in groupby(steps, key=lambda step: step["alternative"])],
    }


def _check(
    check: Mapping[str, Any], images: Mapping[str, bytes], finding: Mapping[str, Any] | None
) -> dict[str, Any]:
    decided = decides(
        check["status"],
        check["severity"],
        required=check["required"],
        waived=bool(check["waived"]),
    )
    evidence = [each for each in check["evidence"] if each["kind"] in ("sql", "http", "text")]
    return {
        **check,
        "word": WORDS[check["status"]],
        "tone": "waived" if check["waived"] else check["status"].lower(),
        "decided": decided,
        **_next(finding),
        "milliseconds": _duration(check["seconds"]),
        "proof": [{**each, "took": _took(each)} for each in evidence],
        "pictures": [
            {"title": each["title"], "source": _data_uri(images[each["sha256"]])}
            for each in check["evidence"]
            if each["kind"] == "image" and each["sha256"] in images
        ],
    }


def _counts(checks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"word": WORDS[status], "tone": status.lower(), "number": number}
        for status in WORST_FIRST
        if (number := sum(check["status"] == status for check in checks))
    ]


def _comparison(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table for the page; of a comparison, what is the same only without its groups."""
    head, *rows = table["rows"]
    state = head.index("state") if "state" in head else None
    shown = [
        {"cells": row, "state": row[state] if state is not None else ""}
        for row in rows
        if state is None or row[state] != "same" or (_is_total(row[0]) and row[1] != "0")
    ]
    if state is not None:
        shown.sort(key=lambda row: STATES.index(row["state"]))
    return {
        "title": table["title"],
        "head": head,
        "rows": shown,
        "left_out": len(rows) - len(shown),
    }


def _is_total(figure: str) -> bool:
    return "[" not in figure and not any(f".{kind}(" in figure for kind in ("nulls", "fingerprint"))


def _bars(checks: Sequence[Mapping[str, Any]]) -> list[Bar]:
    end = max((check["started"] + check["seconds"] for check in checks), default=0) or 1
    return [
        Bar(
            label=check["id"],
            tone="waived" if check["waived"] else check["status"].lower(),
            took=_duration(check["seconds"]),
            number=number,
            start=100 * check["started"] / end,
            length=100 * check["seconds"] / end,
        )
        for number, check in enumerate(checks)
    ]


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _took(evidence: Mapping[str, Any]) -> str:
    return _duration(evidence["seconds"]) if "seconds" in evidence else ""


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%d %B %Y, %H:%M UTC").lstrip("0")


def _seconds_between(started: str, finished: str) -> str:
    return _duration(
        (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
    )


def _data_uri(image: bytes) -> str:
    kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{b64encode(image).decode('ascii')}"
