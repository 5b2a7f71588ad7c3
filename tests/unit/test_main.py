"""python -m opsmigrate: what there is, without a project."""

from __future__ import annotations

import subprocess
import sys

from opsmigrate import __version__
from tests.conftest import ROOT, environment_for


def test_it_lists_every_command_and_the_versions() -> None:
    env = {**environment_for(None), "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "opsmigrate"],
        cwd="/",
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )

    commands = {each.stem for each in (ROOT / "opsmigrate/management/commands").glob("[a-z]*.py")}
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert listed == commands
    assert done.stdout.startswith(f"opsmigrate {__version__}, Python ")
    assert "Django " in done.stdout
    assert done.stderr == ""
