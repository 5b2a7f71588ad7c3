"""Reports of schema 1, as version 0.1.0 wrote them, read by the names of schema 2."""

from collections.abc import Mapping
from typing import Any

OF_CHECKS = {"saw": "message", "told_by": "detail"}
OF_FACTS = {"left_out": "deselected"}


def by_present_names(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the report of run_uat with the names of now; one of now as it is."""
    if body.get("schema") != 1:
        return body
    facts = _renamed(body["facts"], OF_FACTS)
    checks = [_renamed(check, OF_CHECKS) for check in facts.get("checks", ())]
    return {**body, "facts": {**facts, "checks": checks}}


def _renamed(entries: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in entries.items()}
