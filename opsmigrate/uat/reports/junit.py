"""JUnit XML, as GitLab, Jenkins and GitHub read it; valid whatever a site has answered."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from opsmigrate.shown import shown
from opsmigrate.steps import Step, as_lines

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
KINDS = {"FAIL": "failure", "ERROR": "error"}


def junit_xml(body: Mapping[str, Any]) -> str:
    """Return the report as JUnit XML.

    A check that could not run, and that the verdict needs, is an error: a skipped test would look
    like a pass. A run that came to no check has the one test case `run_uat`.
    """
    checks = body["facts"].get("checks") or [_no_checks(body)]
    cases = [(check, _kind(check)) for check in checks]
    totals = {
        "tests": len(cases),
        "failures": sum(kind == "failure" for _, kind in cases),
        "errors": sum(kind == "error" for _, kind in cases),
        "skipped": sum(kind == "skipped" for _, kind in cases),
        "time": f"{sum(check['seconds'] for check, _ in cases):.3f}",
    }
    root = ElementTree.Element("testsuites", _words({"name": "run_uat", **totals}))
    timestamp = {"timestamp": body["started"][:19]}
    suite = ElementTree.SubElement(
        root, "testsuite", _words({"name": "run_uat", **totals, **timestamp})
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name in ("run_id", "verdict", "exit_code", "sha256"):
        ElementTree.SubElement(properties, "property", _words({"name": name, "value": body[name]}))
    for check, kind in cases:
        _add_case(suite, check, kind)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(
        root, encoding="unicode"
    )


def _add_case(suite: ElementTree.Element, check: Mapping[str, Any], kind: str | None) -> None:
    place = ".".join(("uat", *check["tags"][:1]))
    attributes = {"classname": place, "name": check["id"], "time": f"{check['seconds']:.3f}"}
    case = ElementTree.SubElement(suite, "testcase", _words(attributes))
    if kind is None:
        ElementTree.SubElement(case, "system-out").text = shown(check["message"], lines=True)
        return
    waived = f" (waived: {check['waived']})" if check["waived"] else ""
    words = {"message": f"{check['message']}{waived}", "type": check["status"]}
    steps = tuple(Step(**step) for step in check["steps"])
    told = [check["detail"], *as_lines(check["hint"], steps)] if check["hint"] or steps else []
    text = "\n".join(filter(None, told or [check["detail"]]))
    ElementTree.SubElement(case, kind, _words(words)).text = shown(text, lines=True)


def _kind(check: Mapping[str, Any]) -> str | None:
    if check["status"] == "PASS":
        return None
    if check["waived"] or (check["status"] == "NOT_RUN" and not check["required"]):
        return "skipped"
    return KINDS.get(check["status"], "error")


def _no_checks(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": "run_uat",
        "tags": [],
        "seconds": 0.0,
        "status": "ERROR",
        "message": body["facts"]["summary"],
        "detail": "",
        "hint": None,
        "steps": [],
        "waived": None,
        "required": True,
    }


def _words(attributes: Mapping[str, Any]) -> dict[str, str]:
    return {name: shown(str(value), lines=True) for name, value in attributes.items()}
