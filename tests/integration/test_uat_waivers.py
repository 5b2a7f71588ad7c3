"""A waiver lets a check pass for a while, in plain sight; an expired one is void."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from opsmigrate import uat
from tests.acceptance import accept, check_of
from tests.conftest import Answer, Ops

pytestmark = [pytest.mark.newest, pytest.mark.usefixtures("own_registry")]
TOMORROW = date.today() + timedelta(days=1)
LAST_WEEK = date.today() - timedelta(days=7)


def waived(settings: Any, check: str, expires: date) -> None:
    waiver = {"check": check, "owner": "Ada", "reason": "T-42", "expires": expires.isoformat()}
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "UAT": {"WAIVERS": [waiver]}}


def fail(context: uat.Context) -> str:
    raise uat.Failed("the logo is old")


def run(ops: Ops, alias: str, folder: Path, function: Any = fail) -> Answer:
    uat.check("mine")(function)
    return accept(ops, alias, folder, check=["mine", "treasury-alerts"])


def test_a_waiver_lets_a_failed_check_pass_and_is_shown(
    migrated: str, ops: Ops, tmp_path: Path, settings: Any
) -> None:
    waived(settings, "mine", TOMORROW)

    answer = run(ops, migrated, tmp_path)

    assert (answer.code, answer.report["verdict"]) == (0, "passed")
    assert answer.report["facts"]["summary"] == "2 checks: 1 PASS, 1 FAIL (1 waived)"
    words = f"Ada, until {TOMORROW}: T-42"
    assert check_of(answer, "mine")["waived"] == words
    [finding] = answer.report["findings"]
    assert finding["severity"] == "info"
    assert finding["message"] == f"mine: the logo is old (waived: {words})"
    text = (tmp_path / "uat_report.txt").read_text(encoding="utf-8")
    assert f"WAIVED by {words}" in text
    assert f"mine: used; {words}" in text
    assert "<b>Waived</b> by Ada" in (tmp_path / "uat_report.html").read_text(encoding="utf-8")
    assert 'skipped="1"' in (tmp_path / "uat_report.xml").read_text(encoding="utf-8")


def test_an_expired_waiver_is_void(migrated: str, ops: Ops, tmp_path: Path, settings: Any) -> None:
    waived(settings, "mine", LAST_WEEK)

    answer = run(ops, migrated, tmp_path)

    assert (answer.code, answer.ids) == (1, ["check-failed", "waiver-void"])
    assert check_of(answer, "mine")["waived"] is None
    assert answer.report["findings"][1]["message"] == (
        f"the waiver of mine by Ada expired on {LAST_WEEK}, and is ignored"
    )


def test_a_waiver_of_no_check_is_named(
    migrated: str, ops: Ops, tmp_path: Path, settings: Any
) -> None:
    waived(settings, "mien", TOMORROW)

    answer = run(ops, migrated, tmp_path)

    assert (answer.code, answer.ids) == (1, ["check-failed", "waiver-void"])
    assert answer.report["facts"]["waivers"][0]["state"] == "of no check"


def test_a_crash_cannot_be_waived(migrated: str, ops: Ops, tmp_path: Path, settings: Any) -> None:
    def crash(context: uat.Context) -> str:
        raise ZeroDivisionError

    waived(settings, "mine", TOMORROW)

    answer = run(ops, migrated, tmp_path, crash)

    assert (answer.code, answer.ids) == (1, ["check-error"])
    assert answer.report["facts"]["waivers"][0]["state"] == "not needed"
