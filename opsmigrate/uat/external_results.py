"""Results of the load test and of the security scan, taken into the same report."""

import json
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from opsmigrate.errors import UsageError
from opsmigrate.json_files import UnreadableError, read_object, shaped
from opsmigrate.steps import command
from opsmigrate.uat.canonical import digest_of
from opsmigrate.uat.outcome import Evidence, Outcome, Status

SCHEMA = 2
COMMANDS = {"load-test": "uat_load", "security-scan": "uat_scan"}
HINTS = {
    Status.FAIL: "correct what it found, and run it again",
    Status.NOT_RUN: "run it again where it can reach everything, the network included",
}


@dataclass(frozen=True, kw_only=True)
class _Table:
    title: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What a tool wrote; where it names no site or release, it is of any."""

    tool: Literal["load-test", "security-scan"]
    status: Literal["PASS", "FAIL", "ERROR", "NOT_RUN"]
    message: str
    seconds: float = 0.0
    base_url: str | None = None
    release: str | None = None
    tables: tuple[_Table, ...] = ()


def sealed(tool: str, body: dict[str, Any]) -> str:
    """Return the file that read_external_result() reads: what the tool found, with its SHA-256."""
    whole = {"schema": SCHEMA, "tool": tool, **body}
    return json.dumps({**whole, "sha256": digest_of(whole)}, indent=2) + "\n"


def read_external_result(file: Path, *, base_url: str | None, release: str | None) -> Outcome:
    """Return the file's verdict as the outcome of a check.

    What was found at another site or of another release is NOT_RUN: it says nothing of this one.
    Raises UsageError where the file is none of uat_load or uat_scan, or was changed.
    """
    found = _read(file)
    status, message = Status(found.status), found.message
    hint = HINTS.get(status, "run it again")
    for name, named, expected in (
        ("site", found.base_url, base_url),
        ("release", found.release, release),
    ):
        if named is not None and expected is not None and named != expected:
            status, message = (
                Status.NOT_RUN,
                f"{file.name} is of the {name} {named}, not {expected}",
            )
            hint = "run it again for this site and this release"
    again = f"python manage.py {COMMANDS[found.tool]}"
    if site := base_url or found.base_url:
        again += f" --base-url {shlex.quote(site)}"
    return Outcome(
        id=found.tool,
        status=status,
        severity="major",
        tags=("included",),
        seconds=found.seconds,
        message=message,
        evidence=tuple(
            Evidence(kind="table", title=part.title, rows=part.rows) for part in found.tables
        ),
        hint=hint,
        steps=(command(again),),
    )


def _read(file: Path) -> _Found:
    try:
        body = read_object(file)
        digest = body.pop("sha256", None)
        if body.get("schema") in (1, SCHEMA) and digest == digest_of(body):
            if body["schema"] == 1 and "saw" in body:
                # As version 0.1.0 called it.
                body["message"] = body.pop("saw")
            known = {each.name for each in fields(_Found)}
            return shaped(_Found, {name: body[name] for name in body.keys() & known})
    except (OSError, UnreadableError):
        pass
    raise UsageError(
        f"{file} is not what uat_load or uat_scan wrote, or it was changed since",
        id="bad-included-file",
        hint="name the file of their --result with --include",
    )
