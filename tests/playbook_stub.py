"""A manage.py whose commands do what a test lays down, so that run_playbook alone is tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, Answer, url_of
from tests.interrupting import wait_until
from tests.json_reports import parsed

# It notes what is called, and leaves the report and the exit code that were laid down for this
# turn of the command. A command that is held waits to be killed, or ends as opsmigrate's do.
STUB = """
import json, os, signal, sys, time
from pathlib import Path

folder = Path(__file__).parent
name, words = sys.argv[1], sys.argv[2:]
if name == "run_playbook":
    sys.path.insert(0, os.environ["PROJECT"])
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
    sys.exit()
dry, again = "--dry-run" in words, "--require-backup" in words
step = {"backup_db": "backup", "seed_payment_id": "plan" if dry else "seed",
        "migrate_safely": "migrate",
        "preflight_migrate": "preflight-again" if again else "preflight",
        "run_uat": "baseline" if "--save-baseline" in words else "uat"}[name]
with open(folder / "called", "a") as called:
    called.write(json.dumps([step, name, *words]) + "\\n")
if (folder / f"hold.{step}").exists():
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(130))
    (folder / f"held.{step}").touch()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (folder / f"let-go.{step}").exists():
        time.sleep(0.02)
turns = folder / f"laid.{step}.json"
laid = json.loads(turns.read_text()) if turns.exists() else []
turn = laid.pop(0) if laid else {}
if turns.exists():
    turns.write_text(json.dumps(laid))
facts = {"summary": f"{step} is done", **turn.get("facts", {})}
if step == "backup":
    facts["file"] = "backups/one.dump"
if step == "baseline":
    facts["file"] = words[words.index("--save-baseline") + 1]
report = {"facts": facts, "findings": turn.get("findings", [])}
Path(words[words.index("--output") + 1]).write_text(json.dumps(report))
print(f"the words of {step}")
sys.exit(turn.get("code", 0))
"""
OUR_LOCKS = """
SELECT 1 FROM pg_locks WHERE locktype = 'advisory'
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
STEPS = ["backup", "baseline", "preflight", "seed", "preflight-again", "migrate", "uat"]


def finding(id: str, *steps: str) -> dict[str, Any]:
    """Return an error as a report has it, with commands to type."""
    typed = [{"kind": "command", "text": text, "risk": None, "alternative": 1} for text in steps]
    empty = dict.fromkeys(("hint", "migration", "operation", "table", "column"))
    words = {"id": id, "severity": "error", "message": f"because of {id}"}
    return {**words, **empty, "steps": typed, "evidence": {}}


@dataclass
class StubProject:
    """The folder of such a manage.py."""

    folder: Path
    journal_dir: Path = field(init=False)
    temporary: Path = field(init=False)

    def __post_init__(self) -> None:
        self.manage = self.folder / "manage.py"
        self.manage.write_text(STUB)
        self.journal_dir = self.folder / "journal"
        self.temporary = self.folder / "temporary"
        self.temporary.mkdir()

    def lay_down(self, step: str, *turns: dict[str, Any]) -> None:
        """Have the step end so, one turn after another, and after that well."""
        (self.folder / f"laid.{step}.json").write_text(json.dumps(turns))

    def called(self) -> list[list[str]]:
        """Return what was called since the last time, each with its words."""
        file = self.folder / "called"
        lines = file.read_text().splitlines() if file.exists() else []
        file.write_text("")
        return [json.loads(line) for line in lines]

    def steps_called(self) -> list[str]:
        """Return the steps that were called since the last time, without the plan of the seed."""
        return [step for step, *_ in self.called() if step != "plan"]

    def let_go(self, step: str) -> None:
        """Have a step that is held end well."""
        (self.folder / f"let-go.{step}").touch()

    def journal(self, alias: str) -> list[dict[str, Any]]:
        """Return the lines of the journal."""
        text = (self.journal_dir / f"playbook_{alias}.jsonl").read_text()
        return [parsed(line) for line in text.splitlines()]


def as_manage(project: StubProject) -> list[str]:
    """Return the sys.argv of a process that was started with this manage.py."""
    return [str(project.manage), "run_playbook"]


def start(
    project: StubProject, alias: str, before: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    """Start run_playbook as a user would, in the project's folder."""
    environment = {
        **os.environ,
        "PROJECT": str(ROOT),
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "OPSMIGRATE_TEST_DATABASE_URL": url_of(alias),
        "TMPDIR": str(project.temporary),
        # What cannot write must not leave the half of a .pyc file to all who come after it.
        **({"PYTHONDONTWRITEBYTECODE": "1"} if before else {}),
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", "run_playbook", "--yes", "--format", "json"],
        cwd=project.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


def ended(process: subprocess.Popen[str]) -> Answer:
    stdout, stderr = process.communicate(timeout=300)
    assert "Traceback" not in stderr
    return Answer(process.returncode, stdout, stderr)


def hold(project: StubProject, alias: str, step: str) -> subprocess.Popen[str]:
    """Have a run that is in the midst of this step."""
    (project.folder / f"hold.{step}").touch()
    process = start(project, alias)
    wait_until(
        lambda: (project.folder / f"held.{step}").exists() or process.poll() is not None,
        seconds=180,
    )
    assert process.poll() is None, process.communicate()
    (project.folder / f"hold.{step}").unlink()
    return process
