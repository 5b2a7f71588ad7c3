"""Results of the load test and of the security scan, taken into the same report."""

import json
from pathlib import Path
from typing import Any

from opsmigrate.errors import UsageError
from opsmigrate.uat.canonical import digest_of
from opsmigrate.uat.outcome import Evidence, Outcome, Status

TOOLS = ("load-test", "security-scan")
SCHEMA = 1


def sealed(tool: str, body: dict[str, Any]) -> str:
    """Return the file that read_included() reads: what the tool found, with its SHA-256."""
    whole = {"schema": SCHEMA, "tool": tool, **body}
    return json.dumps({**whole, "sha256": digest_of(whole)}, indent=2) + "\n"


def read_included(file: Path, *, base_url: str | None, release: str | None) -> Outcome:
    """Return the file's verdict as the outcome of a check.

    What was found at another site or of another release is NOT_RUN: it says nothing of this one.
    Raises UsageError where the file is none of scripts/load_test.py or scripts/security_scan.py,
    or was changed.
    """
    body = _read(file)
    status, saw = Status(body["status"]), str(body["saw"])
    for name, theirs, ours in (
        ("site", body.get("base_url"), base_url),
        ("release", body.get("release"), release),
    ):
        if theirs is not None and ours is not None and theirs != ours:
            status, saw = Status.NOT_RUN, f"{file.name} is of the {name} {theirs}, not {ours}"
    return Outcome(
        id=str(body["tool"]),
        status=status,
        severity="major",
        tags=("included",),
        seconds=float(body.get("seconds", 0)),
        saw=saw,
        evidence=tuple(
            Evidence(
                kind="table", title=part["title"], rows=tuple(tuple(row) for row in part["rows"])
            )
            for part in body.get("tables", [])
        ),
        hint=f"python scripts/{str(body['tool']).replace('-', '_')}.py --help",
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        body: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        whole = dict(body)
        told = whole.pop("sha256")
        if whole["tool"] in TOOLS and whole["schema"] == SCHEMA and told == digest_of(whole):
            return body
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        pass
    raise UsageError(
        f"{file} is not what scripts/load_test.py or scripts/security_scan.py wrote, or it was "
        "changed since",
        id="bad-included-file",
        hint="--include with the file of their --output",
    )
