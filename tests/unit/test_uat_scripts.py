"""What uat_load and uat_scan make of what their tools said, and how the scripts call them."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from opsmigrate.uat.load.figures import Figures, figures_of, judge, kinds_of
from opsmigrate.uat.security_scan import code_part, packages_part, scan_code
from scripts.environment import ROOT
from scripts.result_option import as_result


def figures(**changes: Any) -> Figures:
    return Figures(
        **{"requests": 100, "failures": 0, "p50": 10, "p95": 50, "per_second": 5, **changes}
    )


@pytest.mark.parametrize(
    ("found", "before", "limit", "status", "words"),
    [
        (figures(), None, None, "PASS", "the times were not judged"),
        (figures(requests=0), None, None, "FAIL", "not one request was answered"),
        (figures(failures=1), None, None, "FAIL", "1 error (100 requests, 1 error, p95"),
        (figures(failures=1), figures(), None, "FAIL", "1 error, where 0.0% was the share before"),
        (figures(failures=1), figures(failures=2), None, "PASS", "1 error, p95 50 ms"),
        (figures(p95=200), figures(), None, "FAIL", "p95 is 200 ms, over 100 ms (50 ms before)"),
        (figures(p95=99), figures(), None, "PASS", "p95 99 ms"),
        (figures(), None, 40, "FAIL", "p95 is 50 ms, over 40 ms (--max-p95-ms)"),
    ],
)
def test_load_is_judged(
    found: Figures, before: Figures | None, limit: float | None, status: str, words: str
) -> None:
    answer, said = judge(found, before, limit)

    assert answer == status
    assert words in said


def test_errors_are_told_by_kind_and_page() -> None:
    def error(name: str, said: str, times: int) -> dict[str, Any]:
        return {"name": name, "error": said, "times": times}

    kinds = kinds_of(
        [
            error("/alerts/", "CatchResponseError('302 to the login')", 41),
            error("/dashboards/", "CatchResponseError('302 to the login')", 50),
            error("login", 'CatchResponseError("the login was refused (200)")', 1),
            error("/", "ConnectionRefusedError(111, 'Connection refused')", 1),
        ]
    )
    answer, said = judge(figures(failures=93), None, None, kinds)

    assert answer == "FAIL"
    assert (
        "302 to the login 91 times (/dashboards/ 50 times, /alerts/ 41 times); "
        "the login was refused (200) 1 time (login 1 time); "
        "ConnectionRefusedError(111, 'Connection refused') 1 time (/ 1 time)"
    ) in said


def test_the_percentile_is_over_all_urls_together() -> None:
    entry = {"num_failures": 0, "start_time": 0.0, "last_request_timestamp": 10.0}
    many = {**entry, "num_requests": 99, "response_times": {"10": 90, "20": 9}}
    one = {**entry, "num_requests": 1, "response_times": {"900": 1}}

    found = figures_of([many, one])

    assert (found.requests, found.p50, found.p95, found.per_second) == (100, 10, 20, 10)
    assert figures_of([]).requests == 0


@pytest.mark.parametrize(
    ("dependencies", "status", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], "PASS", "in 1 package"),
        ([{"name": "a", "skip_reason": "not on PyPI"}], "NOT_RUN", "1 of 1 package skipped"),
        ([], "NOT_RUN", "0 of 0 packages skipped"),
        ([{"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}], "FAIL", "a 1: CVE-1"),
    ],
)
def test_a_package_that_was_skipped_is_not_clean(
    dependencies: list[dict[str, Any]], status: str, words: str
) -> None:
    part = packages_part({"dependencies": dependencies}, "")

    assert part.status == status
    assert words in part.saw


def test_code_that_was_not_read_is_not_clean() -> None:
    found = {"filename": "a.py", "line_number": 3, "test_id": "B602", "issue_text": "shell"}

    def part(lines: int, results: list[Any], errors: list[Any]) -> str:
        body = {"metrics": {"_totals": {"loc": lines}}, "results": results, "errors": errors}
        return code_part(body, "").status

    assert part(10, [], []) == "PASS"
    assert part(0, [], []) == "NOT_RUN"
    assert part(10, [], [{"filename": "b.py"}]) == "NOT_RUN"
    assert part(10, [found], []) == "FAIL"
    assert code_part(None, "no module named bandit").status == "NOT_RUN"


# All of it takes bandit some ten seconds.
@pytest.mark.parametrize("folder", ["scripts", pytest.param(".", marks=pytest.mark.faults)])
def test_the_code_of_this_project_passes_its_own_scan(folder: str) -> None:
    part = scan_code([ROOT / folder])

    assert (part.status, part.name) == ("PASS", "bandit"), part.saw


def test_the_scripts_say_what_the_commands_take() -> None:
    asked = ["--base-url", "http://a", "--output=reports/before.json", "--users", "5"]

    assert as_result(asked) == [
        *("--base-url", "http://a", "--users", "5"),
        *("--result", "reports/before.json"),
    ]
    assert as_result(["--settings=x", "--code", "."]) == ["--settings=x", "--code", "."]


def test_a_load_on_no_page_is_refused_with_what_to_name(settings: Any, tmp_path: Path) -> None:
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "UAT": {}}
    out = StringIO()

    with pytest.raises(CommandError) as failed:
        call_command(
            "uat_load",
            *("--base-url", "http://127.0.0.1:9", "--result", str(tmp_path / "result.json")),
            stdout=out,
            stderr=StringIO(),
        )

    assert failed.value.returncode == 2
    assert "names no URLS: there is no page to open" in out.getvalue()
    assert not (tmp_path / "result.json").exists()
