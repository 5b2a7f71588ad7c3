"""An interrupt is 130, always: before the command runs, while it runs, when its answer is there."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.backups import backup
from tests.conftest import ROOT, Ops, environment_for, execute, query, start, url_of
from tests.interrupting import ended
from tests.json_reports import parsed

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# A project of somebody else's: its manage.py knows nothing of opsmigrate.
MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "foreign_settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
SETTINGS = """
from staging_settings import *
INSTALLED_APPS = ["opsmigrate", "slow", "django.contrib.contenttypes"]
"""
# While it is imported, somebody presses Ctrl-C.
SLOW = """
import os, pathlib, time
pathlib.Path(os.environ["THERE"]).touch()
time.sleep(60)
"""


def when_there(process: subprocess.Popen[str], file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("entry", ["manage.py", "scripts/run_uat.py"])
def test_while_settings_are_imported_it_is_130_without_a_traceback(
    entry: str, number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "slow_settings.py").write_text(SLOW)
    there = tmp_path / "there"
    env = environment_for(None, PYTHONPATH=str(tmp_path), THERE=str(there))
    argv = [entry, *(["backup_db"] if entry == "manage.py" else [])]
    process = start(*argv, "--settings=slow_settings", env=env)
    when_there(process, there)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=5)

    assert (process.returncode, stdout) == (130, "")
    assert stderr == "interrupted; nothing was begun\n"


@pytest.mark.parametrize("number", SIGNALS)
def test_in_a_foreign_project_it_is_130_while_models_are_imported(
    number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "foreign_settings.py").write_text(SETTINGS)
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "__init__.py").touch()
    (tmp_path / "slow" / "models.py").write_text(SLOW)
    there = tmp_path / "there"
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    env = environment_for("postgres://127.0.0.1:1/none", PYTHONPATH=path, THERE=str(there))
    process = start(str(tmp_path / "manage.py"), "preflight_migrate", env=env)
    when_there(process, there)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=5)

    assert (process.returncode, stdout) == (130, "")
    assert stderr == "interrupted; nothing was begun\n"


def test_a_command_that_is_none_of_ours_keeps_its_signals(tmp_path: Path) -> None:
    (tmp_path / "slow_settings.py").write_text(SLOW)
    there = tmp_path / "there"
    env = environment_for(None, PYTHONPATH=str(tmp_path), THERE=str(there))
    process = start("manage.py", "runserver", "--settings=slow_settings", env=env)
    when_there(process, there)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=5)

    assert process.returncode == -signal.SIGTERM


@pytest.mark.skipif(sys.platform == "win32", reason="there is no nohup")
def test_under_nohup_a_closed_terminal_ends_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        url = f"postgres://staging:x@127.0.0.1:{silent.getsockname()[1]}/staging"
        process = subprocess.Popen(
            [str(shutil.which("nohup")), sys.executable, "manage.py", "backup_db", "--format=json"],
            cwd=ROOT,
            env=environment_for(url),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        talk, _ = silent.accept()
        with talk:
            process.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=4)
            process.send_signal(signal.SIGTERM)
            answer = ended(process)

    assert (answer.code, answer.ids) == (130, ["interrupted"])


def test_a_report_that_nobody_takes_holds_nothing_up(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", FULL, "manage.py", "backup_db", "--list"],
            cwd=ROOT,
            env=environment_for("postgres://127.0.0.1:1/none"),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        assert process.stderr.readline() == b"full\n"
        time.sleep(3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)

    assert process.returncode == 130


# A pipe takes 64 KiB; then whoever writes to it waits.
FULL = """
import os, runpy, sys
os.set_blocking(1, False)
try:
    while True:
        os.write(1, b"x" * 65536)
except BlockingIOError:
    pass
os.set_blocking(1, True)
print("full", file=sys.stderr, flush=True)
sys.argv = sys.argv[1:]
runpy.run_path("manage.py", run_name="__main__")
"""


def test_when_the_answer_is_there_a_signal_changes_it_no_more(tmp_path: Path) -> None:
    (tmp_path / "late_settings.py").write_text(
        "import atexit, os, signal, time\n"
        "from staging_settings import *\n"
        "def late():\n"
        "    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):\n"
        "        os.kill(os.getpid(), number)\n"
        "    time.sleep(0.5)\n"
        "atexit.register(late)\n"
    )
    env = environment_for("postgres://127.0.0.1:1/none", PYTHONPATH=str(tmp_path))
    argv = ("manage.py", "run_uat", "--list", "--format=json", "--settings=late_settings")
    process = start(*argv, env=env)
    stdout, _ = process.communicate(timeout=30)

    assert process.returncode == parsed(stdout)["exit_code"] == 0


# Somebody presses Ctrl-C at the very moment when the databases have changed places.
AFTER_THE_SWAP = """
import os, signal
from django.db.backends.signals import connection_created
from staging_settings import *

renamed = []

def pressing(execute, sql, params, many, context):
    answer = execute(sql, params, many, context)
    text = str(getattr(sql, "as_string", lambda _: sql)(context["cursor"].cursor))
    if "RENAME TO" in text:
        renamed.append(text)
    if text == "COMMIT" and renamed:
        os.kill(os.getpid(), signal.SIGINT)
    return answer

def created(connection, **kwargs):
    connection.execute_wrappers.append(pressing)

connection_created.connect(created)
"""


def test_interrupted_when_the_databases_have_changed_places_the_report_says_that_they_have(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    (tmp_path / "after_the_swap.py").write_text(AFTER_THE_SWAP)
    _, file = backup(ops, staging, tmp_path)
    env = environment_for(url_of(staging), PYTHONPATH=str(tmp_path), OPSMIGRATE_ENVIRONMENT="test")
    argv = ("manage.py", "restore_db", str(file), "--no-input", "--format=json")
    process = start(*argv, "--settings=after_the_swap", env=env)
    answer = ended(process)

    assert (answer.code, answer.report["exit_code"]) == (130, 130), answer.stdout
    assert answer.report["verdict"] == "passed"
    connections[staging].close()
    kept = answer.report["facts"]["former_database"]
    assert query(staging, "SELECT 1 FROM pg_database WHERE datname = %s", [kept]) == [(1,)]
    execute(connections[staging], sql.SQL("DROP DATABASE {}").format(sql.Identifier(kept)))


# Ends with the module sys, when Python has given signals back already.
LINGERING = """
import os, sys, time
class Lingering:
    def __del__(self, there=os.environ["THERE"], open=os.open, new=os.O_CREAT, sleep=time.sleep):
        open(there, new)
        sleep(1)
sys.lingering = Lingering()
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_python_ends_changes_nothing_of_what_was_answered(
    number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(LINGERING)
    there = tmp_path / "there"
    env = environment_for("postgres://127.0.0.1:1/none", PYTHONPATH=str(tmp_path), THERE=str(there))
    process = start("manage.py", "preflight_migrate", "--explain", "missing-column", env=env)
    when_there(process, there)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=10)

    assert (process.returncode, stderr) == (0, "")
    assert "missing-column" in stdout
