"""Which versions go together, and a page that claims only what was run."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from opsmigrate.pgtools.embedded import find_bindirs
from scripts import versions
from scripts.environment import Environment
from scripts.interpreters import DJANGOS, PYTHONS
from scripts.recorded import run_of
from scripts.versions import Run, combinations, keep, page, read_runs
from tests.conftest import ROOT

PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
JUNIT = """<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10"
 time="61.26"></testsuite></testsuites>"""
RUN = Run(
    date="2026-11-28",
    commit="0123abc",
    python="3.13.0",
    django="6.1.3",
    driver="psycopg 3.2",
    postgresql="18.4",
    tests="pytest (core)",
    passed=1234,
    failed=0,
    skipped=0,
    seconds=600.0,
)


def test_all_that_go_together_are_combinations_and_no_others() -> None:
    found = {(each.python, each.django, each.major) for each in combinations()}

    assert ("3.12", "6.0", 14) in found
    assert ("3.10", "5.2", 14) in found
    assert ("3.13", "6.1", 14) not in found
    assert ("3.11", "6.0", 18) not in found
    assert {each.driver for each in combinations()} == {"psycopg2", "psycopg"}
    assert len(combinations()) == 2 * len(found)


def test_the_classifiers_name_the_versions_that_are_combined() -> None:
    for each in combinations():
        assert f'"Programming Language :: Python :: {each.python}",' in PROJECT
        assert f'"Framework :: Django :: {each.django}",' in PROJECT
    assert PROJECT.count("Programming Language :: Python :: 3.") == len(PYTHONS)
    assert PROJECT.count("Framework :: Django :: ") == len(DJANGOS)


def test_the_page_is_what_the_kept_runs_say() -> None:
    text = versions.PAGE.read_text(encoding="utf-8")

    assert page(text, read_runs(versions.RESULTS)) == text, "type: python scripts/versions.py"
    assert f"the {len(combinations())} combinations" in text


def test_a_run_takes_the_place_of_an_earlier_one_of_the_same(tmp_path: Path) -> None:
    file = tmp_path / "versions.json"
    for run in (RUN, replace(RUN, django="6.0.10"), replace(RUN, failed=1, passed=1233)):
        keep(run, file)

    assert [(run.django, run.failed) for run in read_runs(file)] == [("6.0.10", 0), ("6.1.3", 1)]
    made = page(f"a\n{versions.BEGIN}\nold\n{versions.END}\nb\n", read_runs(file))
    assert "| pytest (core) | 1,233 passed, 1 failed | 10.0 |" in made
    assert (made[:2], made[-2:], "old" in made) == ("a\n", "b\n", False)


@pytest.mark.skipif(not find_bindirs(), reason="needs the embedded package")
def test_what_ran_is_told_by_the_programs_and_not_by_what_was_asked_for(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    junit.write_text(JUNIT)
    major, bindir = max(find_bindirs().items())
    environment = Environment(Path(sys.prefix))

    run = run_of(junit, environment, driver="psycopg", postgres=bindir / "postgres", tests="x")

    assert (run.passed, run.failed, run.skipped, run.seconds) == (4, 3, 3, 61.3)
    assert run.python == ".".join(map(str, sys.version_info[:3]))
    assert run.postgresql.startswith(f"{major}.")
    assert run.driver.startswith("psycopg 3.")
