"""What scripts/test.py runs, and how it says what it could not run."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts import test as script
from scripts.environment import ROOT, Environment
from scripts.skipped import SKIPPED_VARIABLE, skipped_tests
from scripts.tiers import DIAGONAL_STEP
from tests.tiers import every_few

FAULTS = "(faults or adversary) and not system"
QUICK = "not system and not long and not faults and not adversary"
CORE = f"({QUICK}) or (named and not system)"


def parse(monkeypatch: pytest.MonkeyPatch, *argv: str, ci: str = "") -> argparse.Namespace:
    monkeypatch.setenv("CI", ci)
    return script.parse(argv)


@pytest.mark.parametrize(
    ("tier", "major", "suites"),
    [
        (
            "core",
            None,
            [(18, CORE), (16, f"major and {QUICK}")],
        ),
        ("core", 16, [(16, CORE)]),
        ("system", None, [(18, "system"), (16, "major and system")]),
        ("faults", None, [(18, FAULTS), (16, f"major and {FAULTS}")]),
    ],
)
def test_the_whole_suite_runs_on_one_major_and_the_marked_tests_on_the_other(
    tier: str, major: int | None, suites: list[tuple[int, str]]
) -> None:
    assert script.suites(tier, major) == suites


def test_of_each_test_one_case_in_so_many_runs_and_all_of_those_for_the_newest(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        "import pytest\n"
        "@pytest.mark.parametrize('n', range(5))\ndef test_server(n): pass\n"
        "@pytest.mark.newest\n@pytest.mark.parametrize('n', range(5))\ndef test_django(n): pass\n"
        "def test_once(): pass\n"
    )
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider")

    run, left_out = every_few(items, 3)

    assert [item.name for item in left_out] == [f"test_server[{n}]" for n in (1, 2, 4)]
    assert len(run) == len(items) - 3
    assert every_few(items, 1) == (items, [])


@pytest.mark.parametrize(
    ("found", "python", "django"), [(("3.13", Path("py313")), "3.13", "6.1"), (None, None, None)]
)
def test_the_newest_is_tried_on_the_other_server_also_where_it_is_the_usual_one(
    monkeypatch: pytest.MonkeyPatch,
    found: tuple[str, Path] | None,
    python: str | None,
    django: str | None,
) -> None:
    called: list[tuple[Path, Sequence[str]]] = []
    monkeypatch.setattr(script.interpreters, "newest", lambda: found)
    monkeypatch.setattr(script, "with_other_python", lambda *given: called.append(given) or 0)

    assert script.run_newest(parse(monkeypatch, "--newest", "--", "-x", ci="true")) == 0

    [(interpreter, arguments)] = called
    own = script.interpreters.own_version()
    assert interpreter == (found[1] if found else Path(sys.executable))
    assert f"--python={python or own}" in arguments
    assert f"--django={django or script.interpreters.django_for(own)}" in arguments
    assert {"--major=16", "--driver=psycopg", "--strict", "--tests-only"} <= set(arguments)
    rest = list(arguments[arguments.index("--") + 1 :])
    assert rest == ["-m", f"(major or newest) and {QUICK}", f"--one-case-in={DIAGONAL_STEP}", "-x"]


def test_arguments_after_two_dashes_are_for_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    options = parse(monkeypatch, "--major", "16", "--", "-x", "tests/unit")

    assert (options.tier, options.major, options.pytest) == ("core", 16, ["-x", "tests/unit"])


def test_a_skipped_test_is_one_that_was_not_run_and_an_expected_failure_is_none(
    tmp_path: Path,
) -> None:
    for name in ("__init__.py", "conftest.py"):
        (tmp_path / name).touch()
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_terminal_summary\n")
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "@pytest.mark.skip(reason='no pgbouncer')\ndef test_one(): pass\n"
        "@pytest.mark.xfail(reason='bug')\ndef test_two(): assert 0\n"
        "def test_three(): pass\n"
    )
    written = tmp_path / "skipped.json"
    variables = {"PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_some.py"],
        cwd=tmp_path,
        env={**os.environ, **variables, SKIPPED_VARIABLE: str(written)},
        capture_output=True,
        check=True,
        timeout=60,
    )

    [(name, why)] = skipped_tests(written)
    assert (name.endswith("test_some.py::test_one"), why) == (True, "no pgbouncer")
    assert list(skipped_tests(tmp_path / "none.json")) == []


def test_what_was_not_run_ends_the_summary_and_fails_only_where_it_must(tmp_path: Path) -> None:
    session = script.Session(Environment(tmp_path), [])
    session.results.append(script.Result("mypy", "passed", 1.04))
    session.skip("pytest (core) on PostgreSQL 16", "there is one server")

    assert script.summary(session).splitlines() == [
        "",
        "=== summary",
        "mypy      1.0 s  passed",
        "NOT RUN: pytest (core) on PostgreSQL 16 because there is one server",
    ]
    assert script.exit_code(session, strict=False) == 0
    assert script.exit_code(session, strict=True) == 1


def test_one_failed_part_fails_the_run(tmp_path: Path) -> None:
    session = script.Session(Environment(tmp_path), [])
    session.results += [script.Result("a", "FAILED (1)"), script.Result("b", "passed")]

    assert script.exit_code(session, strict=False) == 1


@pytest.mark.parametrize(("ci", "strict"), [("true", True), ("", False), ("false", False)])
def test_ci_is_strict(monkeypatch: pytest.MonkeyPatch, ci: str, strict: bool) -> None:
    assert parse(monkeypatch, ci=ci).strict is strict
