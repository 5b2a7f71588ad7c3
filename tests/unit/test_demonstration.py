"""How the demo shows a step, and what it does when one does not end as it must."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from scripts.demonstration.playbook import Outcome, Step, StepProblem, excerpt, run, table

PYTHON = Path(sys.executable)


def test_a_step_shows_its_command_line_its_output_and_its_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    step = Step("Say it", ("-c", "print('said')"))

    outcome = run(step, "1/6", PYTHON, os.environ)

    assert outcome.verdict == "passed"
    shown = capsys.readouterr().out.splitlines()
    assert shown[:4] == ["", "[1/6] Say it", "    $ python -c print('said')", "    | said"]
    assert shown[4].startswith("    passed: exit code 0, ")


def test_a_no_that_must_come_is_marked_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(Step("No", ("-c", "raise SystemExit(1)"), expected=1), "2/6", PYTHON, os.environ)

    assert outcome.verdict == "failed, as it must"
    assert "    failed, as it must: exit code 1, " in capsys.readouterr().out


@pytest.mark.parametrize(("code", "expected"), [(3, 0), (0, 1)])
def test_another_exit_code_names_the_step_and_shows_its_stderr(code: int, expected: int) -> None:
    program = f"import sys; print('because', file=sys.stderr); sys.exit({code})"

    with pytest.raises(StepProblem) as caught:
        run(Step("Go", ("-c", program), expected=expected), "3/6", PYTHON, os.environ)

    first, rest = str(caught.value).split("\n", 1)
    assert first.startswith("step 3/6, `python -c ")
    assert first.endswith(f"`, ended with {code} and not with {expected}; its stderr:")
    assert rest == "because"


def test_long_output_keeps_its_beginning_and_its_end() -> None:
    short = [str(number) for number in range(33)]
    long = [str(number) for number in range(100)]

    assert excerpt(short) == short
    assert excerpt(long) == [*long[:24], "... 68 lines more ...", *long[-8:]]


def test_the_table_has_a_line_for_every_step() -> None:
    outcomes = [
        Outcome(Step("", ("manage.py", "backup_db", "--settings=staging_settings")), 0, 2.06),
        Outcome(Step("", ("manage.py", "preflight_migrate"), expected=1), 1, 11.0),
    ]

    assert table(outcomes).splitlines() == [
        "step               verdict             seconds",
        "backup_db          passed                  2.1",
        "preflight_migrate  failed, as it must     11.0",
    ]
