"""The deploy script of the README: what it does with each exit code of each command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it is a script of the shell")
# Stands for python: notes the command, and ends with the next of the codes that are given for it.
PYTHON = """#!/bin/sh
echo "$2" >>"$SAID/called"
read -r code 2>/dev/null <"$SAID/$2" || code=0
sed -i.old 1d "$SAID/$2" 2>/dev/null
exit "$code"
"""
TO_PREFLIGHT = ["backup_db", "seed_payment_id", "preflight_migrate"]
WHOLE = [*TO_PREFLIGHT, "migrate", "run_uat"]
WOULD_FAIL = "migrate would fail"


def deploy(folder: Path, flags: str, **codes: str) -> tuple[int, list[str], str]:
    """Run the script; return its exit code, the commands that it called, and its stderr."""
    [script] = re.findall(r"```sh\n(export OPSMIGRATE_RUN_ID=.*?)```", readme(), re.DOTALL)
    stub = folder / "python"
    stub.write_text(PYTHON)
    stub.chmod(0o755)
    for command, ends in codes.items():
        (folder / command).write_text("".join(f"{code}\n" for code in ends.split()))
    done = subprocess.run(
        [str(shutil.which("sh")), flags, "-c", script],
        cwd=folder,
        env={
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "SAID": str(folder),
            "APPROVAL": "Ada",
            "SITE": "https://example.org",
        },
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode, (folder / "called").read_text().split(), done.stderr


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("flags", ["-u", "-eu"])
def test_what_goes_well_goes_on_and_what_is_partial_is_repeated(flags: str, tmp_path: Path) -> None:
    again = ["backup_db", "seed_payment_id", "seed_payment_id", *WHOLE[1:]]

    assert deploy(tmp_path, flags, seed_payment_id="5 5 0") == (0, again, "")


@pytest.mark.parametrize("flags", ["-u", "-eu"])
@pytest.mark.parametrize("command", WHOLE)
@pytest.mark.parametrize("code", [1, 2, 3, 4, 130])
def test_what_stops_a_command_stops_the_script_with_its_code(
    code: int, command: str, flags: str, tmp_path: Path
) -> None:
    ended, called, said = deploy(tmp_path, flags, **{command: str(code)})

    assert (ended, called) == (code, WHOLE[: WHOLE.index(command) + 1])
    assert (WOULD_FAIL in said) == ((command, code) == ("preflight_migrate", 1))
