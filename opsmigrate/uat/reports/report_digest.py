"""The SHA-256 of a report, and whether a file is still what was written."""

import re
from base64 import b64decode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from opsmigrate.errors import RefusedError, UsageError
from opsmigrate.json_files import UnreadableError, parse_object, read_text
from opsmigrate.report import Finding, Result, Severity, Verdict
from opsmigrate.seal import WrongSealError, require_keyed_seal, with_keyed_seal
from opsmigrate.uat.canonical import digest_of
from opsmigrate.uat.reports.page import html_page

EMBEDDED = re.compile(r'<script type="application/json" id="report">(.*?)</script>', re.DOTALL)
IMAGE = re.compile(r'"data:image/(?:jpeg|png);base64,([A-Za-z0-9+/=]+)"')


def sealed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON report with the SHA-256 over its canonical form, and the seal by the key."""
    return with_keyed_seal({**body, "sha256": digest_of(body)})


def verify_report(file: Path) -> Result:
    """Return whether a report (.json or .html) is what run_uat wrote.

    It finds what was changed by chance or in haste. Who changes a report on purpose can seal it
    anew, so set OPSMIGRATE["SEAL_KEY"], or compare the SHA-256 with the one that was noted when it
    was written. Raises UsageError where the file is no such report, RefusedError where a key is
    set and it is not sealed with that.
    """
    text = _text(file)
    is_page = not text.lstrip().startswith("{")
    body = _body(file, text, is_page=is_page)
    written = dict(body)
    try:
        body = require_keyed_seal(body)
    except WrongSealError as error:
        raise RefusedError(
            f"{file} {error}",
            id="seal-unkeyed",
            hint="use the file that the run itself wrote, or run it again",
        ) from error
    named = body.pop("sha256")
    found = digest_of(body)
    facts = {"file": str(file), "sha256": found, "run_id": body.get("run_id")}
    if named != found:
        return _changed(f"{file} was changed: it names SHA-256 {named}, but has {found}", facts)
    if is_page:
        images = {sha256(image).hexdigest(): image for image in map(b64decode, IMAGE.findall(text))}
        if _page_of(file, written, images) != text:
            return _changed(
                f"the page of {file} was changed, or another version of opsmigrate wrote it: the "
                "page does not match the data inside",
                facts,
            )
    return Result(
        verdict=Verdict.PASSED,
        summary=(
            f"{file} is unchanged since run {body['run_id']} wrote it: {body['verdict']}, "
            f"SHA-256 {found}"
        ),
        facts={**facts, "verdict": body["verdict"]},
    )


def _changed(words: str, facts: dict[str, Any]) -> Result:
    finding = Finding(
        id="report-changed",
        severity=Severity.ERROR,
        message=words,
        hint="use the file that the run itself wrote, or run it again",
    )
    return Result(verdict=Verdict.FAILED, summary=words, findings=(finding,), facts=facts)


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except (OSError, UnreadableError) as error:
        raise _no_report(file) from error


def _body(file: Path, text: str, *, is_page: bool) -> dict[str, Any]:
    if is_page:
        found = EMBEDDED.search(text)
        text = found.group(1) if found else ""
    try:
        body = parse_object(text)
    except UnreadableError as error:
        raise _no_report(file) from error
    is_report = body.get("command") == "run_uat" and "sha256" in body
    if not is_report or not all(isinstance(body.get(key), str) for key in ("run_id", "verdict")):
        raise _no_report(file)
    return body


def _page_of(file: Path, body: dict[str, Any], images: dict[str, bytes]) -> str:
    try:
        return html_page(body, images)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # Sealed with figures that no run writes.
        raise _no_report(file) from error


def _no_report(file: Path) -> UsageError:
    return UsageError(
        f"{file} is not a report of run_uat",
        id="not-a-report",
        hint="name an uat_report.json or uat_report.html with --verify-report",
    )
