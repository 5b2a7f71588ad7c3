"""run_playbook: its steps in their order, written down, resumed, and refused where it must be."""

from __future__ import annotations

import hmac
import json
import stat
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from opsmigrate.playbook.hooks import SIGNATURE
from opsmigrate.playbook.one_at_a_time import LOCK_SPACE, OF_THE_PLAYBOOK
from tests.conftest import Answer, Ops, execute, query
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write
from tests.json_reports import parsed
from tests.playbook_stub import STEPS, StubProject, as_manage, finding
from tests.sessions import held
from tests.tiers import one_in_core

SEEDS = "python manage.py seed_payment_id"


@pytest.fixture
def project(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> StubProject:
    """A project whose commands do what is laid down."""
    stub = StubProject(tmp_path)
    monkeypatch.setattr(sys, "argv", as_manage(stub))
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "JOURNAL_DIR": str(stub.journal_dir)}
    return stub


def play(ops: Ops, alias: str, **options: Any) -> Answer:
    return ops("run_playbook", database=alias, **{"yes": True, **options})


def rollbacks(answer: Answer) -> list[str]:
    steps = answer.report["findings"][0]["steps"]
    return [each["text"] for each in steps if "restore_db" in each["text"]]


def test_the_steps_are_taken_in_their_order(ops: Ops, staging: str, project: StubProject) -> None:
    answer = play(ops, staging, approval="Ada", base_url="https://example.org", end_blockers=True)

    assert answer.code == 0, answer.stdout
    called = project.called()
    assert [step for step, *_ in called if step != "plan"] == STEPS
    assert all("--database" in words and staging in words for words in called)
    words = {step: " ".join(rest) for step, *rest in called}
    assert words["backup"].startswith("backup_db --verify restore ")
    baseline = words["baseline"].split()[2]
    assert f"--baseline {baseline} --base-url https://example.org" in words["uat"]
    assert [step for step in words if "--approval Ada" in words[step]] == ["plan", "seed"]
    assert "--require-backup 24" in words["migrate"]
    assert "--end-blockers" in words["migrate"]
    file = project.journal_dir / f"playbook_{staging}.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    events = [(line["event"], line.get("step")) for line in project.journal(staging)]
    assert events[:3] == [("begun", None), ("step-begun", "backup"), ("step-ended", None)]
    assert project.journal(staging)[-1]["passed"] is True
    # What is done is not continued.
    assert play(ops, staging, until="backup").code == 0
    assert project.steps_called() == ["backup"]


STOPS = [
    ("migrate", 5),
    ("preflight", 1),
    ("backup", 3),
    ("baseline", 3),
    ("seed", 5),
    ("preflight-again", 3),
    ("uat", 1),
]


@pytest.mark.parametrize(("step", "code"), one_in_core(STOPS, core=2))
def test_what_stops_a_step_stops_the_run_and_the_next_goes_on_there(
    ops: Ops, staging: str, project: StubProject, step: str, code: int
) -> None:
    project.lay_down(step, {"code": code, "findings": [finding("table-exists")]})

    stopped = play(ops, staging)

    here = STEPS.index(step)
    assert stopped.code == code
    assert stopped.ids == ["playbook-stopped", "table-exists"]
    assert project.steps_called() == STEPS[: here + 1]
    # Before anything was written there is nothing to roll back.
    backup = Path("backups/one.dump").resolve()
    typed = f"python manage.py restore_db --database {staging} {backup}"
    wrote = here >= STEPS.index("seed")
    assert rollbacks(stopped) == ([typed] if wrote else [])
    assert stopped.report["findings"][0]["hint"].startswith("when its" if wrote else "nothing was")
    # A cure in the code makes another release of it, with which the run cannot go on.
    steps = stopped.report["findings"][0]["steps"]
    assert [each["alternative"] for each in steps] == ([1, 2, 3] if wrote else [1, 2])
    assert steps[1]["text"] == f"python manage.py run_playbook --database {staging} --from backup"
    assert project.journal(staging)[-1]["rollback"] == (typed if wrote else None)

    resumed = play(ops, staging, format="text", verbosity=1)
    assert resumed.code == 0
    assert project.steps_called() == STEPS[here:]
    # What the run is called in the journal, and not what this process of it is.
    begun = project.journal(staging)[0]["run_id"]
    assert stopped.report["facts"]["run"] == begun
    assert f"\nSteps of the run {begun}:\n  backup " in resumed.stdout
    assert f"Going on with the run {begun} of " in resumed.stderr
    assert f"To roll back (loses what was written since the backup):\n  {typed}" in resumed.stdout


def test_what_the_seed_mends_does_not_stop_the_run(
    ops: Ops, staging: str, project: StubProject
) -> None:
    mended = {"code": 1, "findings": [finding("missing-column", f"{SEEDS} --settings=x")]}
    other = {"code": 1, "findings": [*mended["findings"], finding("table-exists", "DROP")]}
    project.lay_down("preflight", mended, other)

    done = play(ops, staging, verbosity=1)
    assert done.code == 0
    assert "the seed mends it" in json.dumps(project.journal(staging))
    # A line that says no, and then "passed", would puzzle who watches.
    assert "the seed mends this\n" in done.stderr
    assert play(ops, staging).code == 1


def test_where_there_is_nothing_to_seed_its_steps_are_skipped(
    ops: Ops, staging: str, project: StubProject, settings: Any
) -> None:
    project.lay_down("plan", {"code": 2, "findings": [finding("missing-table")]})
    assert play(ops, staging).code == 0
    without = [step for step in STEPS if step not in ("seed", "preflight-again")]
    assert project.steps_called() == without

    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "SEED": None}
    said = play(ops, staging, dry_run=True, format="text").stdout
    assert "5 steps to do" in said
    assert said.count("skip   there is no SEED") == 2
    assert "Plan:" not in said
    assert project.steps_called() == ["preflight"]
    assert play(ops, staging).code == 0
    assert [step for step, *_ in project.called()] == without


def test_steps_are_chosen_and_shown_before_they_are_taken(
    ops: Ops, staging: str, project: StubProject
) -> None:
    assert play(ops, staging, until="baseline").code == 0
    assert project.steps_called() == ["backup", "baseline"]

    said = play(ops, staging, dry_run=True, format="text").stdout
    assert "backup           done   " in said
    assert "s last time" in said
    assert "preflight        to do" in said
    assert project.steps_called() == ["preflight"]

    assert play(ops, staging, first="migrate").code == 0
    assert project.steps_called() == ["migrate", "uat"]
    assert play(ops, staging, first="uat", until="seed").ids == ["conflicting-options"]
    unasked = play(ops, staging, yes=False)
    assert (unasked.code, unasked.ids) == (2, ["not-confirmed"])
    assert project.called() == []


def test_in_production_the_approval_is_asked_for_first(
    ops: Ops, staging: str, project: StubProject, settings: Any
) -> None:
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "ENVIRONMENT": "production"}

    answer = play(ops, staging)

    assert (answer.code, answer.ids) == (4, ["approval-needed"])
    assert project.called() == []


def test_a_second_run_is_refused(ops: Ops, staging: str, project: StubProject) -> None:
    with held(staging, f"SELECT pg_advisory_lock({LOCK_SPACE}, {OF_THE_PLAYBOOK})"):
        answer = play(ops, staging)

    assert (answer.code, answer.ids) == (4, ["already-running"])
    assert project.called() == []


def test_a_run_of_something_else_is_not_continued(
    ops: Ops, staging: str, project: StubProject, write_migrations: Write, tmp_path: Path
) -> None:
    write_migrations(CAGE)
    assert play(ops, staging, until="preflight").code == 0
    project.called()
    journal = project.journal_dir / f"playbook_{staging}.jsonl"
    whole = journal.read_text()

    # The plan: somebody has recorded what was pending.
    record = "INSERT INTO django_migrations (app, name, applied) VALUES ('zoo', '0001_step', now())"
    execute(connections[staging], record)
    assert "what is pending" in refused(ops, staging)
    execute(connections[staging], "DELETE FROM django_migrations WHERE app = 'zoo'")
    # The release: a migration has another content.
    write_migrations(CAGE, "migrations.RunSQL('SELECT 1'),")
    assert "the release is another one" in refused(ops, staging)
    write_migrations(CAGE)
    # The database: restored, say.
    [oid] = query(staging, "SELECT oid FROM pg_database WHERE datname = current_database()")[0]
    journal.write_text(whole.replace(f'"oid": {oid}', f'"oid": {oid + 1}'))
    assert "the database is another one" in refused(ops, staging)
    assert project.called() == []
    # A person says to begin anew.
    assert play(ops, staging, first="backup").code == 0
    assert project.steps_called() == STEPS


def refused(ops: Ops, alias: str) -> str:
    answer = play(ops, alias)
    assert (answer.code, answer.ids) == (4, ["journal-differs"]), answer.stdout
    return str(answer.report["findings"][0]["message"])


def test_after_a_part_of_the_plan_was_applied_the_run_goes_on(
    ops: Ops, staging: str, project: StubProject, write_migrations: Write
) -> None:
    write_migrations(CAGE, "migrations.RunSQL('SELECT 1'),")
    project.lay_down("migrate", {"code": 5})
    assert play(ops, staging).code == 5
    record = "INSERT INTO django_migrations (app, name, applied) VALUES ('zoo', '0001_step', now())"
    execute(connections[staging], record)
    project.called()

    assert play(ops, staging).code == 0

    called = project.called()
    assert [step for step, *_ in called] == ["migrate", "uat"]
    # The backup is of the migrations before; it is still the one to roll back to.
    assert "--require-backup" not in called[0]


def test_a_line_that_was_not_finished_was_never_written(
    ops: Ops, staging: str, project: StubProject
) -> None:
    assert play(ops, staging, until="backup").code == 0
    file = project.journal_dir / f"playbook_{staging}.jsonl"
    whole = file.read_text()
    file.write_text(whole + '{"event": "step-begun", "st')
    project.called()

    assert play(ops, staging, until="baseline").code == 0
    assert project.steps_called() == ["baseline"]
    assert file.read_text().startswith(whole + '{"event": "step-begun", "run_id"')

    file.write_text("{}\n" + whole)
    answer = play(ops, staging)
    assert (answer.code, answer.ids) == (3, ["journal-unreadable"])
    assert "line 1" in answer.report["findings"][0]["message"]


def test_commands_of_the_settings_run_around_a_step(
    ops: Ops, staging: str, project: StubProject, settings: Any
) -> None:
    note = "import os, sys; print(sys.argv[1], os.environ.get('OPSMIGRATE_STEP'), "
    note += "os.environ.get('OPSMIGRATE_EXIT_CODE'), file=open(sys.argv[2], 'a'))"
    noted = project.folder / "noted"

    def hook(word: str, *more: str) -> list[str]:
        return [sys.executable, "-S", "-c", note, word, str(noted), *more]

    hooks = {
        "BEFORE": {"migrate": [hook("before")]},
        "AFTER": {"migrate": [hook("after"), [sys.executable, "-S", "-c", "raise SystemExit(3)"]]},
    }
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "PLAYBOOK": hooks}
    project.lay_down("migrate", {"code": 5})

    stopped = play(ops, staging, first="migrate")

    assert stopped.code == 5
    assert noted.read_text().splitlines() == ["before migrate None", "after migrate 5"]
    assert stopped.ids == ["playbook-stopped", "hook-failed"]
    project.called()
    hooks["BEFORE"]["migrate"].append(["/there/is/none"])
    answer = play(ops, staging)
    assert (answer.code, answer.ids) == (3, ["hook-failed"])
    assert "'/there/is/none' before the step migrate" in answer.report["facts"]["summary"]
    assert project.called() == []
    # The first command before it was run, and what it did must not stay.
    assert noted.read_text().splitlines()[2:] == ["before migrate None", "after migrate 3"]


@pytest.fixture
def listener() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Yield the URL of a server, and what it was sent: signature and body."""
    sent: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent.append((self.headers[SIGNATURE], body))
            self.send_response(204 if len(sent) < 3 else 500)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/secret-part", sent
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_webhook_is_told_with_a_signature(
    ops: Ops, staging: str, project: StubProject, settings: Any, listener: Any
) -> None:
    url, sent = listener
    key = "a key that only both sides have"
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "PLAYBOOK": {"WEBHOOK": url, "WEBHOOK_KEY": key}}

    answer = play(ops, staging, until="baseline")

    assert answer.code == 0
    bodies = [parsed(body.decode()) for _, body in sent]
    assert [(each["event"], each.get("step")) for each in bodies] == [
        ("begun", None),
        ("step-ended", "backup"),
        ("step-ended", "baseline"),
        ("ended", None),
    ]
    for signature, body in sent:
        assert signature == "sha256=" + hmac.new(key.encode(), body, sha256).hexdigest()
    # Who does not listen does not stop the run, and the address stays secret.
    assert answer.ids == ["webhook-failed"]
    assert "it answered 500" in answer.report["findings"][0]["message"]
    assert "secret-part" not in answer.stdout + answer.stderr
