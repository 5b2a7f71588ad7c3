"""Interrupts of the scripts: the child may end in its own way, and only one script at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import processes

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import pathlib, sys, time
try:
    print("begun", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    pathlib.Path(sys.argv[1]).write_text("ended in its own way")
    sys.exit(5)
"""
SCRIPT = """
import os, pathlib, sys
from scripts import processes
with processes.interruptible():
    try:
        processes.run(
            [sys.executable, "-c", sys.argv[1], sys.argv[2]],
            cwd=pathlib.Path.cwd(), environment=os.environ,
        )
    except KeyboardInterrupt:
        sys.exit(processes.INTERRUPTED)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_script_that_is_told_to_end_lets_its_child_end_first(tmp_path: Path, name: str) -> None:
    trace = tmp_path / "trace"
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, CHILD, str(trace)], cwd=ROOT, stdout=subprocess.PIPE
    ) as script:
        assert script.stdout is not None
        assert script.stdout.readline() == b"begun\n"
        script.send_signal(getattr(signal, name))
        script.communicate(timeout=30)

    assert script.returncode == processes.INTERRUPTED
    assert trace.read_text() == "ended in its own way"


def test_ctrl_c_reaches_script_and_child_and_neither_is_told_twice(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, CHILD, str(trace)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as script:
        assert script.stdout is not None
        assert script.stdout.readline() == b"begun\n"
        os.killpg(script.pid, signal.SIGINT)
        script.communicate(timeout=30)

    assert script.returncode == processes.INTERRUPTED
    assert trace.read_text() == "ended in its own way"


def test_a_child_gets_its_text_and_its_output_is_returned(tmp_path: Path) -> None:
    program = "import sys; print(input().upper()); print('aside', file=sys.stderr); sys.exit(3)"

    done = processes.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        environment=os.environ,
        capture=True,
        text="said\n",
    )

    assert (done.returncode, done.stdout, done.stderr) == (3, "SAID\n", "aside\n")


def test_only_one_holds_a_lock_and_it_is_free_again_afterwards(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / "lock"
    with processes.alone(lock) as first, processes.alone(lock) as second:
        assert (first, second) == (True, False)

    with processes.alone(lock) as third:
        assert third
