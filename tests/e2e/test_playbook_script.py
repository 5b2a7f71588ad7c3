"""scripts/playbook.sh in every branch: what it calls, how it ends, and that a stop is a stop."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.interrupting import wait_until

SCRIPT = ROOT / "scripts" / "playbook.sh"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a script of the shell")

# Stands for python: it notes the command line, and does what the test has laid down for the
# command; a command that is held ends as opsmigrate's do, and migrate as Django's does.
STUB = """#!/bin/sh
[ "$1" = manage.py ] || exec {python} -IS "$@"
name=$2 output=
case "$*" in *--dry-run*) name=plan ;; *--require-backup*) name=preflight_again ;; esac
printf '%s\\n' "$*" >>{folder}/typed
echo "$name" >>{folder}/called
turn=$(grep -c "^$name\\$" {folder}/called)
while [ $# -gt 0 ]; do [ "$1" != --output ] || output=$2; shift; done
[ -z "$output" ] || cp {folder}/$name.$turn.json "$output" 2>/dev/null ||
    {{ [ -e {folder}/silent ] || cp {folder}/passed.json "$output"; }}
if [ -e {folder}/hold.$name ]; then
    [ "$name" = migrate ] || trap 'exit 130' TERM
    echo $$ >{folder}/pid
    mv {folder}/pid {folder}/held
    while :; do sleep 0.02; done
fi
read -r code 2>/dev/null <{folder}/$name.$turn.code || code=0
exit "$code"
"""
STEPS = ["preflight_migrate", "plan", "backup_db", "seed_payment_id", "preflight_again", "migrate"]
WHOLE = [*STEPS, "run_uat"]
ADDED_BY_SEED = {
    "id": "missing-column",
    "severity": "error",
    "message": "there is no payment_id",
    "hint": None,
    "steps": [{"kind": "command", "text": "python manage.py seed_payment_id", "alternative": 1}],
}
IN_THE_WAY = {
    "id": "table-exists",
    "severity": "error",
    "message": "there is a table \x1b[31mshop",
    "hint": "drop it",
    "steps": [],
}


def body(*findings: Any, **facts: Any) -> dict[str, Any]:
    return {"verdict": "told", "facts": {"summary": "so it is", **facts}, "findings": findings}


def finding(id: str) -> dict[str, Any]:
    return {"id": id, "severity": "error", "message": id, "hint": None, "steps": []}


@dataclass
class Ended:
    """How the script ended, and what it called."""

    code: int
    called: list[str]
    said: str
    shown: str = ""


@dataclass
class Deploy:
    """A folder in which the script is run, on a python that does what is laid down."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.project = self.folder / "project"
        self.project.mkdir()
        (self.project / "manage.py").touch()
        (self.folder / "passed.json").write_text(json.dumps(body()))
        stub = self.folder / "python"
        stub.write_text(STUB.format(python=sys.executable, folder=self.folder))
        stub.chmod(0o755)

    def lay_down(self, command: str, *codes: int, reports: tuple[Any, ...] = ()) -> None:
        """Have the command end with these codes and leave these reports, one after another."""
        for turn, code in enumerate(codes, 1):
            (self.folder / f"{command}.{turn}.code").write_text(f"{code}\n")
        for turn, report in enumerate(reports, 1):
            (self.folder / f"{command}.{turn}.json").write_text(json.dumps(report))

    @property
    def environment(self) -> dict[str, str]:
        """What the script finds in its environment."""
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        given = {"APPROVAL": "Ada, T-42", "SITE": "https://example.org"}
        return {"PATH": path, **given, **self.variables}

    @property
    def called(self) -> list[str]:
        """The commands that were called so far."""
        return self.lines("called")

    def lines(self, name: str) -> list[str]:
        """Return the lines that were noted."""
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []

    def run(self, *argv: str) -> Ended:
        """Run the script to its end, without a terminal."""
        done = subprocess.run(
            [str(SCRIPT), *argv],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return Ended(done.returncode, self.called, done.stderr, done.stdout)


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    return Deploy(tmp_path)


def test_what_goes_well_goes_on_with_what_was_given(deploy: Deploy) -> None:
    ended = deploy.run("--settings=staging_settings")

    assert (ended.code, ended.called) == (0, WHOLE), ended.said
    typed = deploy.lines("typed")
    assert all(line.endswith("--settings=staging_settings") for line in typed)
    assert "--time-budget 600 --approval Ada, T-42" in typed[WHOLE.index("seed_payment_id")]
    assert "run_uat --base-url https://example.org" in typed[-1]
    assert ended.said.endswith("playbook: done\n")


def matrix(of: Iterable[Any], in_core: Callable[[Any, str], bool]) -> list[Any]:
    """Return each of them at each command; the core tier has those for which it says so."""
    return [
        pytest.param(each, at, marks=() if in_core(each, at) else (pytest.mark.faults,))
        for each in of
        for at in WHOLE
    ]


@pytest.mark.parametrize(
    ("code", "command"),
    matrix((1, 2, 3, 4, 5, 130, 143), lambda code, at: code == 3 or at == "backup_db"),
)
def test_what_stops_a_command_stops_the_script_with_its_code(
    code: int, command: str, deploy: Deploy
) -> None:
    deploy.lay_down(command, code, reports=(body(IN_THE_WAY),))
    ended = deploy.run()

    assert (ended.code, ended.called) == (code, WHOLE[: WHOLE.index(command) + 1])
    words = {1: "fail", 2: "wrongly", 3: "not be decided", 4: "refused", 5: "part of the way"}
    assert words.get(code, "was stopped; nothing was begun after it") in ended.said
    assert "done" not in ended.said


def test_what_the_seed_mends_is_no_reason_to_stop_and_anything_else_is(deploy: Deploy) -> None:
    both = body(ADDED_BY_SEED, IN_THE_WAY)
    deploy.lay_down("preflight_migrate", 1, 1, reports=(body(ADDED_BY_SEED), both))

    mended, stopped = deploy.run(), deploy.run()

    assert (mended.code, mended.called) == (0, WHOLE)
    assert (stopped.code, stopped.called[len(WHOLE) :]) == (1, ["preflight_migrate"])
    assert "a seed alone would not mend it; nothing was written" in stopped.said
    assert "error [table-exists] there is a table \\x1b[31mshop" in stopped.shown
    assert "next: python manage.py seed_payment_id" in stopped.shown


def test_a_seed_whose_time_is_up_is_repeated_and_one_that_met_a_lock_is_not(deploy: Deploy) -> None:
    late, locked = body(stopped_by="time-budget"), body(stopped_by="lock")
    deploy.lay_down("seed_payment_id", 5, 5, 0, 5, reports=(late, late, body(), locked))

    repeated, stopped = deploy.run(), deploy.run()

    again = ["seed_payment_id"] * 2
    assert (repeated.code, repeated.called) == (0, [*WHOLE[:3], *again, *WHOLE[3:]])
    assert (stopped.code, stopped.called[len(WHOLE) + 2 :]) == (5, WHOLE[:4])


@pytest.mark.parametrize("why", ["no-seed-target", "missing-table"])
def test_without_a_column_to_seed_it_goes_on_without(why: str, deploy: Deploy) -> None:
    deploy.lay_down("plan", 2, reports=(body(finding(why)),))
    deploy.variables["APPROVAL"] = ""

    ended = deploy.run()

    without = ["preflight_migrate", "plan", "backup_db", "migrate", "run_uat"]
    assert (ended.code, ended.called) == (0, without)
    assert "there is no column to seed; going on without" in ended.said


def test_a_missing_approval_is_said_before_anything_is_written(deploy: Deploy) -> None:
    needed = body({**finding("approval-needed"), "severity": "warning"})
    deploy.lay_down("plan", 0, 0, reports=(needed, needed))
    approved = deploy.run()
    deploy.variables["APPROVAL"] = ""
    ended = deploy.run()

    assert (approved.code, approved.called) == (0, WHOLE)
    assert (ended.code, ended.called[len(WHOLE) :]) == (4, ["preflight_migrate", "plan"])
    assert "APPROVAL is not set" in ended.said
    assert "nothing was written" in ended.said


def test_approval_and_site_may_be_missing_where_nobody_asks_for_them(deploy: Deploy) -> None:
    deploy.variables.update(APPROVAL="", SITE="")
    ended = deploy.run()

    assert (ended.code, ended.called) == (0, WHOLE)
    assert not any("--approval" in line or "--base-url" in line for line in deploy.lines("typed"))
    assert "SITE is not set" in ended.said


def test_a_report_of_an_earlier_run_is_never_read(deploy: Deploy) -> None:
    (deploy.folder / "silent").touch()
    deploy.lay_down("preflight_migrate", 1)
    temporary = deploy.folder / "temporary"
    temporary.mkdir()
    deploy.variables["TMPDIR"] = str(temporary)
    for folder in (deploy.project, temporary):
        for name in ("preflight.json", "before.json"):
            (folder / name).write_text(json.dumps(body(ADDED_BY_SEED)))

    ended = deploy.run()

    assert (ended.code, ended.called) == (1, ["preflight_migrate"])
    assert "preflight failed: see above" in ended.said
    assert sorted(path.name for path in temporary.iterdir()) == ["before.json", "preflight.json"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda it: (it.project / "manage.py").unlink(), "there is no manage.py here"),
        (lambda it: (it.project / "reports").touch(), "reports/ cannot be written"),
        (lambda it: it.variables.update(TMPDIR="/nonexistent"), "set TMPDIR to one that can be"),
        (lambda it: it.variables.update(PYTHON="no-such-python"), "there is no no-such-python"),
        (lambda it: it.variables.update(SEED_SECONDS="an hour"), "is no number of seconds"),
    ],
)
def test_a_wrong_call_is_said_before_anything_is_asked(
    spoil: Callable[[Deploy], object], words: str, deploy: Deploy
) -> None:
    spoil(deploy)
    ended = deploy.run()

    assert (ended.code, ended.called) == (2, [])
    assert words in ended.said


# How a stop comes: Ctrl-C on the terminal, a signal to the script alone, or to the command alone.
STOPS = {
    "Ctrl-C": 130,
    "Ctrl-\\": 131,
    "SIGTERM to the script": 143,
    "SIGHUP to the script": 129,
}
TYPED = {"Ctrl-C": b"\x03", "Ctrl-\\": b"\x1c"}


@pytest.mark.parametrize(
    ("how", "command"),
    matrix(
        [*STOPS, "SIGTERM to the command"],
        lambda how, at: how == "Ctrl-C" or (how != "SIGHUP to the script" and at == "migrate"),
    ),
)
def test_a_stop_stops_at_once_and_nothing_is_begun_after_it(
    how: str, command: str, deploy: Deploy
) -> None:
    (deploy.folder / f"hold.{command}").touch()
    with on_a_terminal(deploy) as (script, terminal):
        wait_until((deploy.folder / "held").exists)
        child = int((deploy.folder / "held").read_text())
        if how in TYPED:
            os.write(terminal, TYPED[how])
        elif how == "SIGTERM to the command":
            os.kill(child, signal.SIGTERM)
        else:
            script.send_signal(getattr(signal, how.split()[0]))
        code = script.wait(timeout=5)

    # Django's own command has no handler: it dies of the signal.
    of_command = 143 if command == "migrate" else 130
    assert code == STOPS.get(how, of_command)
    assert deploy.called == WHOLE[: WHOLE.index(command) + 1]
    assert not Path(f"/proc/{child}").exists()


@contextmanager
def on_a_terminal(deploy: Deploy) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Have the script as the foreground job of a terminal of its own."""
    terminal, inner = pty.openpty()
    own = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    script = subprocess.Popen(
        [sys.executable, "-IS", "-c", f"{own} os.execv(sys.argv[1], sys.argv[1:])", str(SCRIPT)],
        cwd=deploy.project,
        env=deploy.environment,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
    )
    try:
        yield script, terminal
    finally:
        script.kill()
        script.wait()
        os.close(inner)
        os.close(terminal)
