"""scripts/playbook.sh and .ps1: what they call, and that they are that call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.interrupting import wait_until
from tests.powershell import aliases_of_parameters, assigned, every, parsed, text

SCRIPT = ROOT / "scripts" / "playbook.sh"
POWERSHELL = (ROOT / "scripts" / "playbook.ps1").read_text(encoding="utf-8")
of_a_shell = pytest.mark.skipif(sys.platform == "win32", reason="a script of the shell")

# Stands for python: it notes the command line, and ends as the test has laid down.
STUB = """#!/bin/sh
printf '%s\\n' "$@" >{folder}/typed
echo $$ >{folder}/pid
trap 'exit 130' INT TERM
while [ -e {folder}/hold ]; do sleep 0.02; done
exit {code}
"""


@dataclass
class Deploy:
    """A folder in which the script is run, on a python that notes what it is told."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.project = self.folder / "project"
        self.project.mkdir()
        (self.project / "manage.py").touch()
        self.ends_with(0)

    def ends_with(self, code: int) -> None:
        """Have run_playbook end so."""
        stub = self.folder / "python"
        stub.write_text(STUB.format(folder=self.folder, code=code))
        stub.chmod(0o755)

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Start the script."""
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            [str(SCRIPT), *argv],
            cwd=self.project,
            env={"PATH": path, **self.variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *argv: str) -> tuple[int, str]:
        """Run the script to its end; return its exit code, and what it said."""
        script = self.start(*argv)
        _, said = script.communicate(timeout=30)
        return script.returncode, said

    @property
    def typed(self) -> list[str]:
        """The words that python was given."""
        file = self.folder / "typed"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    return Deploy(tmp_path)


@of_a_shell
def test_it_hands_on_what_the_environment_says_and_what_is_typed(deploy: Deploy) -> None:
    assert deploy.run()[0] == 0
    assert deploy.typed == ["manage.py", "run_playbook", "--yes"]

    deploy.variables.update(APPROVAL="Ada, T-42", SITE="https://example.org")
    assert deploy.run("--settings=staging_settings", "--from", "backup")[0] == 0
    assert deploy.typed[2:] == [
        *("--yes", "--approval", "Ada, T-42", "--base-url", "https://example.org"),
        *("--settings=staging_settings", "--from", "backup"),
    ]


@of_a_shell
def test_it_ends_as_run_playbook_does(deploy: Deploy) -> None:
    for code in (1, 3, 4, 5):
        deploy.ends_with(code)
        assert deploy.run()[0] == code
    deploy.ends_with(0)
    for number in (signal.SIGTERM, signal.SIGINT):
        (deploy.folder / "pid").unlink()
        (deploy.folder / "hold").touch()
        script = deploy.start()
        wait_until((deploy.folder / "pid").exists)
        # It is the very process: nothing is left of the script that would have to hear a signal.
        wait_until(lambda: (deploy.folder / "pid").read_text() == f"{script.pid}\n")  # noqa: B023
        script.send_signal(number)
        script.communicate(timeout=10)
        assert script.returncode == 130


@of_a_shell
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda it: (it.project / "manage.py").unlink(), "there is no manage.py here"),
        (lambda it: it.variables.update(PYTHON="no-such-python"), "there is no no-such-python"),
    ],
)
def test_a_wrong_call_is_said_before_anything_is_begun(
    spoil: Callable[[Deploy], object], words: str, deploy: Deploy
) -> None:
    spoil(deploy)
    code, said = deploy.run()

    assert (code, deploy.typed) == (2, [])
    assert words in said


def test_that_of_powershell_calls_the_same() -> None:
    tree = parsed(POWERSHELL)
    assert list(aliases_of_parameters(tree)) == ["Approval", "Site", "Python", "More"]
    defaults = [each for each in assigned(tree) if each[0] == "$words"]
    assert defaults[0] == ("$words", "@('manage.py', 'run_playbook', '--yes')")
    [call] = [each for each in every(tree, "command") if text(each).startswith("& ")]
    assert text(call) == "& $Python @words @More"
    assert POWERSHELL.endswith("exit $LASTEXITCODE\n")
