"""fleet with real processes on real schemas: each target for itself, stopped and resumed."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from opsmigrate.fleet.about import About
from opsmigrate.fleet.run_folder import RunFolder
from tests.conftest import Answer
from tests.fleet_schemas import Fleet

# What a schema may be called.
ODD = "tenant_/../o 'q\" %2F ü"


def verdicts(answer: Answer) -> dict[str, str | None]:
    return {each["label"]: each["verdict"] for each in answer.report["facts"]["targets"]}


def folder_of(fleet: Fleet, answer: Answer) -> Path:
    return fleet.folder / answer.report["facts"]["folder"]


def test_a_target_that_fails_stops_nothing_but_itself_and_is_resumed_alone(
    fleet: Callable[[int], Fleet],
) -> None:
    """Rows that break one tenant; put right, only this one is run again."""
    tenants = fleet(3)
    tenants.break_rows("tenant_0002")
    tenants.rename("tenant_0003", ODD)
    first = tenants.run("fleet", "migrate_safely", "--canary", "1", "--format", "json")
    assert first.code == 1, first.stderr
    assert verdicts(first) == {
        "tenant_0001": "passed",
        "tenant_0002": "failed",
        ODD: "passed",
    }
    assert tenants.migrated() == sorted(["tenant_0001", ODD])
    assert first.ids == ["duplicate-values"]
    assert (
        "tenant_0002: 1 value of tenant_0002.shop_customer"
        in (first.report["findings"][0]["message"])
    )
    folder = folder_of(tenants, first)
    assert {each.stat().st_mode & 0o777 for each in folder.rglob("*") if each.is_file()} == {0o600}
    folders = [folder.parent, folder, *(each for each in folder.rglob("*") if each.is_dir())]
    assert {each.stat().st_mode & 0o777 for each in folders} == {0o700}
    page = (folder / "report.html").read_text()
    assert "Sign-off" in page
    assert "tenant_0002" in page
    before = {each.name: each.stat().st_mtime_ns for each in (folder / "outcomes").iterdir()}

    tenants.execute("tenant_0002", "UPDATE shop_customer SET email = id::text")
    again = tenants.run("fleet", "--resume", first.report["run_id"], "--format", "json")
    assert again.code == 0, again.stdout
    assert again.report["facts"]["summary"] == "3 of 3 targets passed"
    assert tenants.migrated() == sorted(tenants.schemas)
    after = {each.name: each.stat().st_mtime_ns for each in (folder / "outcomes").iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"tenant_0002.json"}


@pytest.mark.parametrize(
    ("arguments", "id"),
    [
        (["restore_db"], "no-fleet-command"),
        ([], "no-fleet-command"),
        (["check_drift", "--database", "other"], "no-fleet-command"),
        (["check_drift", "--write-repair=repair.sql"], "no-fleet-command"),
        (["check_drift", "--write-rep", "repair.sql"], "no-fleet-command"),
        (["check_drift", "--datab=other"], "no-fleet-command"),
        (["run_uat", "--save-baseline", "before.json"], "no-fleet-command"),
        (["check_drift", "--rows", "5"], "no-fleet-command"),
        (["preflight_migrate", "--rehearse", "perhaps"], "no-fleet-command"),
        (["check_drift", "--only", "x*"], "no-such-target"),
        (["--resume", "none"], "no-such-run"),
        (["--resume", "../.."], "no-such-run"),
        (["--merge", "nowhere"], "no-such-run"),
        (["check_drift", "--part", "1/2"], "no-such-run"),
        (["--list", "--resume", "x"], "conflicting-options"),
        (["--resume", "x", "--only", "y"], "conflicting-options"),
    ],
)
def test_bad_input_gets_one_sentence(
    arguments: list[str], id: str, call_fleet: Callable[..., Answer]
) -> None:
    """And nothing is begun."""
    answer = call_fleet(*arguments)
    assert (answer.code, answer.ids) == (2, [id])


def test_what_is_typed_to_go_on_has_the_brakes_of_the_run(
    call_fleet: Callable[..., Answer], settings: Any
) -> None:
    """A canary that did not pass lets nothing go on, the second time neither."""
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "FLEET": f"{__name__}.nowhere"}
    brakes = ["--canary", "1", "--max-failures", "5%", "--at-most", "2"]
    first = call_fleet("check_drift", *brakes)
    (typed,) = [
        step["text"]
        for each in first.report["findings"]
        if each["id"] == "fleet-stopped"
        for step in each["steps"]
    ]
    assert typed.split()[3:] == ["--resume", first.report["run_id"], *brakes]
    again = call_fleet(*typed.split()[3:])
    assert again.report["facts"]["not_done"] == first.report["facts"]["not_done"] != []


def test_what_a_changed_run_says_to_type_is_taken_as_it_is(
    call_fleet: Callable[..., Answer], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part, the targets, the brakes and the settings that were typed are in it."""
    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "FLEET": f"{__name__}.nowhere"}
    monkeypatch.setenv("OPSMIGRATE_RUN_ID", "r")
    chosen, how = ["--only", "nowhere_*"], ["--part", "2/2", "--at-most", "1"]
    of_settings = f"--settings={os.environ['DJANGO_SETTINGS_MODULE']}"
    begun = call_fleet("check_drift", "--fail-on", "warning", *chosen, *how)
    assert begun.ids == ["tenant-schema-missing"], begun.stdout
    without = call_fleet("--resume", "r")
    assert "as in --part 1/2: there are r.part-2-of-2" in without.report["findings"][0]["hint"]
    changed = call_fleet("check_drift", "--resume", "r", *how, of_settings)
    assert (changed.code, changed.ids) == (4, ["fleet-changed"])
    [going_on] = typed_by(changed)
    assert going_on == f"python manage.py fleet {of_settings} --resume r {' '.join(how)}"
    assert call_fleet(*shlex.split(going_on)[3:]).ids == ["tenant-schema-missing"]

    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "RELEASE": "another"}
    changed = call_fleet("--resume", "r", *how)
    assert (changed.code, changed.ids) == (4, ["fleet-changed"])
    [anew] = typed_by(changed)
    assert anew == (
        "OPSMIGRATE_RUN_ID='r' python manage.py fleet check_drift --fail-on warning "
        "--only 'nowhere_*' --at-most 1 --part 2/2"
    )
    assert call_fleet(*shlex.split(anew)[4:]).ids == ["tenant-schema-missing"]


def typed_by(answer: Answer) -> list[str]:
    return [step["text"] for each in answer.report["findings"] for step in each["steps"]]


def nowhere() -> list[dict[str, str]]:
    """Return tenants whose schemas do not exist, called alike however many aliases there are."""
    names = [f"nowhere_{number}" for number in range(2)]
    return [{"alias": "default", "schema": name, "label": name} for name in names]


@pytest.fixture
def call_fleet(settings: Any, tmp_path: Path, db: None) -> Callable[..., Answer]:
    """Return a function that calls fleet in this process; its reports are temporary."""
    from io import StringIO

    from django.core.management import CommandError, call_command

    settings.OPSMIGRATE = {**settings.OPSMIGRATE, "JOURNAL_DIR": str(tmp_path / "reports")}

    def call(*arguments: str) -> Answer:
        out = StringIO()
        try:
            call_command("fleet", *arguments, "--format", "json", stdout=out, stderr=StringIO())
        except CommandError as error:
            return Answer(error.returncode, out.getvalue())
        return Answer(0, out.getvalue())

    return call


def test_a_run_is_not_gone_on_with_while_it_runs(
    call_fleet: Callable[..., Answer], tmp_path: Path
) -> None:
    """Two would overwrite what the other one writes."""
    folder = RunFolder(tmp_path / "reports" / "fleet" / "r1")
    about = About(
        run_id="r1",
        command="check_drift",
        arguments=(),
        release="test-release",
        targets=(),
        fleet=(),
    )
    folder.make()
    folder.write_about(about.as_json())
    with folder.in_use():
        refused = call_fleet("--resume", "r1")
    assert (refused.code, refused.ids) == (4, ["fleet-run-in-use"])
    assert not (folder.folder / "report.json").exists()
    assert call_fleet("--resume", "r1").code == 0
    changed = call_fleet("migrate_safely", "--resume", "r1")
    assert (changed.code, changed.ids) == (4, ["fleet-changed"])
    (folder.folder / "outcomes").chmod(0o777)
    planted = call_fleet("--resume", "r1")
    assert (planted.code, planted.ids) == (3, ["fleet-run-unreadable"])
    (folder.folder / "outcomes").chmod(0o700)
    (folder.folder / "run.json").write_text("[]")
    unreadable = call_fleet("--resume", "r1")
    assert (unreadable.code, unreadable.ids) == (3, ["fleet-run-unreadable"])


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["int", "kill"])
def test_a_run_that_is_stopped_leaves_no_process_and_goes_on(
    number: signal.Signals, fleet: Callable[[int], Fleet]
) -> None:
    """What passed before is not run again; nothing is applied twice."""
    tenants = fleet(6)
    process = tenants.start(
        "fleet", "migrate_safely", "--at-most", "2", "--format", "json", OPSMIGRATE_RUN_ID="r1"
    )
    folder = tenants.folder / "reports" / "fleet" / "r1"
    _until(lambda: len(list((folder / "outcomes").glob("*.json"))) >= 2, process)
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=60)
    if number is signal.SIGINT:
        answer = Answer(process.returncode, stdout)
        assert (answer.code, answer.report["verdict"]) == (130, "partial")
        assert answer.report["facts"]["stopped"] == "interrupted"
    _until(lambda: not _sessions(tenants))
    done = {each.name: each.stat().st_mtime_ns for each in (folder / "outcomes").iterdir()}
    assert 2 <= len(done) < 6

    again = tenants.run("fleet", "--resume", "r1", "--format", "json")
    assert again.code == 0, again.stdout
    assert tenants.migrated() == tenants.schemas
    after = {each.name: each.stat().st_mtime_ns for each in (folder / "outcomes").iterdir()}
    passed_before = {name for name in done if after[name] == done[name]}
    assert passed_before == set(done)


@pytest.mark.long
def test_of_two_fleets_at_once_one_has_each_target(fleet: Callable[[int], Fleet]) -> None:
    """The other is told so, and nothing is applied twice."""
    tenants = fleet(4)
    both = [tenants.start("fleet", "migrate_safely", "--format", "json") for _ in range(2)]
    answers = [
        Answer(process.returncode, stdout)
        for process, (stdout, _) in [(each, each.communicate(timeout=150)) for each in both]
    ]
    assert tenants.migrated() == tenants.schemas
    for answer in answers:
        assert set(answer.ids) <= {"already-running"}
        assert set(verdicts(answer).values()) <= {"passed", "refused"}


@pytest.mark.long
def test_parts_make_the_report_of_a_serial_run(fleet: Callable[[int], Fleet]) -> None:
    """Merged in any order; a part that is missing is not done."""
    tenants = fleet(4)
    tenants.break_rows("tenant_0003")
    serial = tenants.run("fleet", "preflight_migrate", "--at-most", "1", "--format", "json")
    for number in (1, 2, 3):
        tenants.run("fleet", "preflight_migrate", "--part", f"{number}/3", OPSMIGRATE_RUN_ID="p")
    folders = [f"reports/fleet/p.part-{number}-of-3" for number in (3, 1, 2)]
    merged = tenants.run("fleet", "--merge", *folders, "--format", "json")
    assert merged.code == serial.code == 1
    for key in ("rows", "counts", "not_done", "summary"):
        assert merged.report["facts"][key] == serial.report["facts"][key]
    *found, left = merged.report["findings"]
    assert [each["message"] for each in found] == [
        each["message"] for each in serial.report["findings"]
    ]
    assert left["message"] == "left of the run p: part 3/3: 1 target that did not pass"
    assert [each["text"] for each in left["steps"]] == [
        "python manage.py fleet --resume p --part 3/3"
    ]
    partly = tenants.run("fleet", "--merge", *folders[1:], "--format", "json")
    assert partly.report["facts"]["not_done"]
    assert partly.code != 0
    assert "part 3/3: missing" in partly.report["findings"][-1]["message"]


@pytest.mark.long
def test_a_thousand_tenants_are_examined_by_a_few_processes(fleet_of_1000: Fleet) -> None:
    """Whose rows break, and what has drifted, stands out; the others are one class."""
    fleet_of_1000.break_rows("tenant_0500")
    fleet_of_1000.drift("tenant_0900")
    answer = fleet_of_1000.run("fleet", "preflight_migrate", "--format", "json", seconds=600)
    facts = answer.report["facts"]
    assert (answer.code, facts["counts"]) == (1, {"passed": 999, "failed": 1})
    assert facts["rows"][0]["targets"] == ["tenant_0500"]
    assert [len(each["members"]) for each in facts["classes"]] == [1, 999]
    assert sum(each["attempts"] for each in facts["targets"]) <= 3
    assert answer.ids == ["duplicate-values", "target-unlike-others"]


def _until(happened: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + 90
    while not happened():
        assert process is None or process.poll() is None, "it ended before"
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def _sessions(fleet: Fleet) -> int:
    with connections[fleet.alias].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])
