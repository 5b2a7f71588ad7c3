"""run_playbook disturbed: by its journal, by commands of the settings, by who listens."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

from opsmigrate.playbook import command_process, hooks
from tests.conftest import Ops
from tests.integration.test_run_playbook import play
from tests.interrupting import wait_until
from tests.playbook_stub import StubProject, as_manage


@pytest.fixture
def project(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> StubProject:
    """A project whose commands do what is laid down."""
    stub = StubProject(tmp_path)
    monkeypatch.setattr(sys, "argv", as_manage(stub))
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "JOURNAL_DIR": str(stub.journal_dir)}
    return stub


def is_alive(pid: int) -> bool:
    try:
        # A zombie of nobody's has ended too.
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return False
    return words[0] != "Z"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no modes and links as these")
def test_a_journal_that_somebody_else_may_have_written_is_not_believed(
    ops: Ops, staging: str, project: StubProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would say that the backup is done."""
    assert play(ops, staging, until="backup").code == 0
    file = project.journal_dir / f"playbook_{staging}.jsonl"
    project.called()

    def why() -> str:
        answer = play(ops, staging)
        assert (answer.code, answer.ids) == (3, ["journal-unreadable"]), answer.stdout
        assert project.called() == []
        return str(answer.report["findings"][0]["message"])

    file.chmod(0o620)
    assert "others may write to it" in why()
    file.chmod(0o600)
    elsewhere = file.rename(project.folder / "elsewhere")
    file.symlink_to(elsewhere)
    assert "it is not a regular file" in why()
    elsewhere.replace(file)
    with monkeypatch.context() as patched:
        patched.setattr("os.geteuid", lambda: file.stat().st_uid + 1)
        assert "it belongs to another user" in why()
    assert play(ops, staging, until="baseline").code == 0
    assert project.steps_called() == ["baseline"]


def test_that_a_step_begins_and_how_it_ended_is_on_the_disk_before_what_follows(
    ops: Ops, staging: str, project: StubProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that loses its power then has at least what the next run must know."""
    fsync, run_command = os.fsync, command_process.run_command
    file = project.journal_dir / f"playbook_{staging}.jsonl"
    kept: list[dict[str, Any]] = []
    at_the_beginning = []

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        if os.path.samestat(os.fstat(descriptor), file.stat()):
            kept[:] = project.journal(staging)

    def begins(*arguments: Any, **named: Any) -> Any:
        at_the_beginning.append([(each["event"], each.get("step")) for each in kept])
        return run_command(*arguments, **named)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr("opsmigrate.playbook.run.run_command", begins)
    assert play(ops, staging, until="baseline").code == 0

    before_backup = [("begun", None), ("step-begun", "backup")]
    before_baseline = [*before_backup, ("step-ended", None), ("step-begun", "baseline")]
    assert at_the_beginning == [before_backup, before_baseline]
    assert kept == project.journal(staging)
    assert project.steps_called() == ["backup", "baseline"]


@pytest.mark.skipif(sys.platform != "linux", reason="whether it runs is looked up in /proc")
def test_a_command_of_the_settings_that_hangs_is_ended_with_what_it_started(
    ops: Ops,
    staging: str,
    project: StubProject,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command_process, "HOOK_SECONDS", 0.5)
    noted = project.folder / "noted"
    hangs = ["sh", "-c", 'sleep 300 & echo $! > "$0"; wait', str(noted)]
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "PLAYBOOK": {"BEFORE": {"backup": [hangs]}}}

    answer = play(ops, staging)

    assert (answer.code, answer.ids) == (3, ["hook-failed"]), answer.stdout
    assert project.called() == []
    wait_until(lambda: not is_alive(int(noted.read_text())), seconds=5)


@pytest.mark.parametrize("answers", ["nonsense", "slowly"])
def test_a_webhook_that_answers_badly_stops_nothing(
    ops: Ops,
    staging: str,
    project: StubProject,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    answers: str,
) -> None:
    monkeypatch.setattr(hooks, "WEBHOOK_SECONDS", 0.5)
    done = threading.Event()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                while answers == "slowly" and not done.wait(0.1):
                    self.request.sendall(b"H")
                self.request.sendall(b"nonsense\r\n\r\n")

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/secret-part"
        webhook = {"WEBHOOK": url, "WEBHOOK_KEY": "a key that only both sides have"}
        settings.OPSMIGRATE = {**settings.OPSMIGRATE, "PLAYBOOK": webhook}
        try:
            answer = play(ops, staging, until="backup")
        finally:
            done.set()
            server.shutdown()
            thread.join()

    assert (answer.code, set(answer.ids)) == (0, {"webhook-failed"}), answer.stdout + answer.stderr
    assert project.steps_called() == ["backup"]
    assert "secret-part" not in answer.stdout + answer.stderr


def test_an_address_with_a_password_is_told_of_without_it() -> None:
    why = hooks.post("http://ada:secret@127.0.0.1/", b"key", {"event": "begun"})

    assert why is not None
    assert "secret" not in why
