"""Every command on the command line: one report whatever happens, and its exit code."""

import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import django
import pytest

import opsmigrate
from scripts.demonstration.background import free_port
from tests.conftest import ROOT, Answer, environment_for, run, start, url_of
from tests.tiers import one_in_core

# What they have in common is asked of two with each change: one that writes files of its own, and
# one whose arguments are those of `migrate`.
COMMANDS = ("run_uat", "preflight_migrate", "backup_db", "seed_payment_id")
# Those that take a file.
OF_A_BACKUP = ("restore_db", "verify_backup")
PASSWORD = "hun/ter 2%\"'@:"
KEYS = ["schema", "command", "run_id", "verdict", "exit_code", "started", "finished", "database"]
KEYS += ["findings", "undecided", "facts"]

Call = Callable[..., Answer]


@pytest.fixture(params=one_in_core(COMMANDS, core=2))
def command(request: pytest.FixtureRequest) -> str:
    """Each of the commands."""
    name: str = request.param
    return name


def argv_of(command: str, folder: Path, *options: str) -> list[str]:
    """Return the command line, with everything that it writes in the folder."""
    own = {"backup_db": "--directory", "run_uat": "--report-dir"}
    where = [own[command], str(folder)] if command in own else []
    return ["manage.py", command, *where, *options]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Return a function that runs a command as JSON against a URL."""

    def call(command: str, *options: str, url: str, **variables: str) -> Answer:
        argv = argv_of(command, tmp_path, "--format", "json", *options)
        return run(*argv, env=environment_for(url, **variables))

    return call


@pytest.fixture
def settings_with(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Return a function that adds lines to staging_settings, and returns what selects them."""

    def write(lines: str) -> dict[str, str]:
        (tmp_path / "other_settings.py").write_text(f"from staging_settings import *\n{lines}\n")
        return {"PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "other_settings"}

    return write


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    place = f"{parts.username}:{quote(password, safe='')}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=place))


def unreachable() -> str:
    return with_password(f"postgres://staging@127.0.0.1:{free_port('127.0.0.1')}/staging", PASSWORD)


def test_run_uat_with_an_output_that_cannot_be_written_is_a_usage_error(
    manage: Callable[..., Answer], tmp_path: Path
) -> None:
    answer = manage(
        "run_uat",
        "--format=json",
        f"--output={tmp_path / 'nowhere' / 'x'}",
        f"--report-dir={tmp_path / 'reports'}",
        url="postgres://nobody@127.0.0.1:1/none",
    )

    assert (answer.code, answer.ids) == (2, ["cannot-write-output"])
    assert "Traceback" not in answer.stderr


def test_a_report_that_can_no_longer_be_written_is_shown_and_is_no_pass(
    manage: Callable[..., Answer], empty_database: str
) -> None:
    answer = manage("backup_db", "--list", "--output=/dev/full", url=url_of(empty_database))

    assert answer.code == 3
    assert "the report cannot be written" in answer.stderr
    assert re.search(r"\d+ backups? in ", answer.stderr)
    assert "Traceback" not in answer.stderr


def assert_report(answer: Answer, command: str, code: int, id: str) -> None:
    """Assert one JSON object of the design's shape, without a secret and without a traceback."""
    assert (answer.code, answer.ids) == (code, [id]), answer.stdout + answer.stderr
    assert list(answer.report) == KEYS
    assert (answer.report["command"], answer.report["exit_code"]) == (command, code)
    [finding] = answer.report["findings"]
    assert finding["message"] == answer.report["facts"]["summary"]
    assert finding["hint"] or finding["steps"]
    assert f"{command} {answer.report['verdict']}: {finding['message']}\n" in answer.stderr
    assert "Traceback" not in answer.stderr
    for form in (PASSWORD, quote(PASSWORD, safe="")):
        assert form not in answer.stdout + answer.stderr


def test_an_unknown_alias_is_a_usage_error(command: str, call: Call) -> None:
    answer = call(command, "--database", "replica", url=unreachable())

    assert_report(answer, command, 2, "unknown-alias")
    [finding] = answer.report["findings"]
    assert finding["message"] == "there is no database alias 'replica' in DATABASES"
    assert finding["hint"] == "name an existing one with --database: default"
    assert answer.report["database"] is None


def test_the_version_is_that_of_opsmigrate() -> None:
    answer = run("manage.py", "preflight_migrate", "--version", env=environment_for(unreachable()))

    assert (answer.code, answer.stdout) == (
        0,
        f"opsmigrate {opsmigrate.__version__}, Django {django.get_version()}\n",
    )


def test_arguments_of_migrate_may_be_handed_on(command: str, call: Call) -> None:
    # As a deploy script does with "$@".
    for option in ("--no-input", "--noinput"):
        answer = call(command, option, "--database=nosuch", url=unreachable())

        assert_report(answer, command, 2, "unknown-alias")


def test_an_alias_that_is_no_postgresql_is_a_usage_error(
    command: str, call: Call, settings_with: Callable[[str], dict[str, str]]
) -> None:
    lite = "{'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}"
    variables = settings_with(f"DATABASES['lite'] = {lite}")

    answer = call(command, "--database", "lite", url=unreachable(), **variables)

    assert_report(answer, command, 2, "not-postgresql")
    assert answer.report["findings"][0]["message"] == (
        "the database alias 'lite' is SQLite; opsmigrate works on PostgreSQL"
    )


@pytest.mark.parametrize("command", OF_A_BACKUP)
def test_an_alias_that_is_no_postgresql_is_told_before_anything_about_the_file(
    command: str, call: Call, settings_with: Callable[[str], dict[str, str]]
) -> None:
    lite = "{'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}"
    variables = settings_with(f"DATABASES = {{'default': {lite}}}")

    answer = call(command, "no.dump", url=unreachable(), **variables)

    assert_report(answer, command, 2, "not-postgresql")


def test_a_server_out_of_reach_is_undecided(command: str, call: Call) -> None:
    url = unreachable()

    answer = call(command, url=url)

    assert_report(answer, command, 3, "cannot-connect")
    assert answer.report["findings"][0]["message"].startswith("cannot connect: ")
    assert answer.report["findings"][0]["hint"] == (
        "check DATABASES['default'] (host, port, name, user, password), and that the server is up"
    )
    assert answer.report["database"] == {
        "alias": "default",
        "name": "staging",
        "host": "127.0.0.1",
        "port": urlsplit(url).port,
        "server_version": None,
        "system_identifier": None,
        "oid": None,
    }


def test_a_wrong_password_is_undecided(command: str, call: Call, password_server: str) -> None:
    answer = call(command, url=with_password(password_server, PASSWORD))

    assert_report(answer, command, 3, "cannot-connect")
    assert "password authentication failed" in answer.report["findings"][0]["message"]


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ("staging_settings", "postgres://staging:geh%00eim@127.0.0.1/staging"),
        ("tests.psycopg2_settings", "postgres://staging:geheim@127.0.0.1/staging%00"),
    ],
)
def test_a_nul_in_the_url_is_said_and_the_password_is_not(
    settings: str, url: str, command: str, call: Call
) -> None:
    answer = call(command, url=url, DJANGO_SETTINGS_MODULE=settings)

    assert_report(answer, command, 3, "bad-setting")
    assert "has a NUL character (%00 in a URL)" in answer.report["findings"][0]["message"]
    assert "eim" not in answer.stdout + answer.stderr


def test_an_option_that_libpq_does_not_know_is_undecided(command: str, call: Call) -> None:
    answer = call(command, url=f"{unreachable()}?sslmood=disable")

    assert_report(answer, command, 3, "cannot-connect")
    assert "sslmood" in answer.report["findings"][0]["message"]


def test_an_output_in_a_folder_that_is_not_there_is_a_usage_error(
    command: str, call: Call, tmp_path: Path
) -> None:
    file = tmp_path / "missing" / "report.json"

    answer = call(command, "--output", str(file), url=unreachable())

    assert_report(answer, command, 2, "cannot-write-output")
    assert answer.report["findings"][0]["message"] == (
        f"cannot write {file}: its folder does not exist or is not writable"
    )


def test_an_output_file_gets_the_whole_report_and_stdout_nothing(
    command: str, call: Call, staging: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    file.write_text("of an earlier run")

    answer = call(command, "--output", str(file), url=url_of(staging))

    report = Answer(answer.code, file.read_text()).report
    assert answer.stdout == ""
    assert list(report) == KEYS
    assert report["exit_code"] == answer.code
    assert (f"{command} {report['verdict']}: " in answer.stderr) == bool(answer.code)
    expected = {"backup_db": 0, "preflight_migrate": 1, "run_uat": 1, "seed_payment_id": 0}
    assert answer.code == expected[command]


def test_a_crash_is_undecided_and_shows_no_traceback(
    command: str, call: Call, settings_with: Callable[[str], dict[str, str]], staging: str
) -> None:
    variables = settings_with("DATABASES['default']['CONN_MAX_AGE'] = 'sixty'")

    answer = call(command, url=url_of(staging), **variables)

    assert_report(answer, command, 3, "internal-error")
    [finding] = answer.report["findings"]
    assert finding["message"].startswith("internal error: TypeError: ")
    assert finding["hint"] == "run it again with --traceback, and report the traceback"


def test_traceback_adds_to_stderr_and_changes_nothing_else(
    command: str, call: Call, settings_with: Callable[[str], dict[str, str]], staging: str
) -> None:
    variables = settings_with("DATABASES['default']['CONN_MAX_AGE'] = 'sixty'")

    answer = call(command, "--traceback", url=url_of(staging), **variables)

    assert (answer.code, answer.ids) == (3, ["internal-error"])
    assert answer.stderr.startswith("Traceback (most recent call last):\n")
    assert "TypeError" in answer.stderr


def test_settings_that_cannot_be_read_are_undecided(
    command: str, call: Call, settings_with: Callable[[str], dict[str, str]]
) -> None:
    variables = settings_with("OPSMIGRATE = {'ENVIRONMNET': 'staging'}")

    answer = call(command, url=unreachable(), **variables)

    assert_report(answer, command, 3, "bad-setting")
    assert answer.report["findings"][0]["message"] == "OPSMIGRATE has the unknown key 'ENVIRONMNET'"


@pytest.mark.parametrize("command", ["preflight_migrate", "seed_payment_id"])
def test_a_system_check_error_is_undecided(
    command: str, call: Call, settings_with: Callable[[str], dict[str, str]], staging: str
) -> None:
    variables = settings_with("STATICFILES_DIRS = 'no list'")

    answer = call(command, url=url_of(staging), **variables)

    assert_report(answer, command, 3, "system-check")
    [finding] = answer.report["findings"]
    assert finding["message"].startswith("the system check staticfiles.E001 fails: ")
    assert [step["text"] for step in finding["steps"]] == ["python manage.py check"]


def test_system_checks_can_be_skipped(
    call: Call, settings_with: Callable[[str], dict[str, str]], staging: str
) -> None:
    variables = settings_with("STATICFILES_DIRS = 'no list'")

    answer = call("seed_payment_id", "--skip-checks", "--dry-run", url=url_of(staging), **variables)

    assert (answer.code, answer.ids) == (0, [])


def test_a_backup_is_made_though_the_code_fails_its_system_checks(
    call: Call, settings_with: Callable[[str], dict[str, str]], staging: str
) -> None:
    variables = settings_with("STATICFILES_DIRS = 'no list'")

    answer = call("backup_db", url=url_of(staging), **variables)

    assert (answer.code, answer.ids) == (0, [])


@pytest.mark.parametrize("command", ["preflight_migrate", "backup_db"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_before_anything_was_begun_it_ends_with_130(
    command: str, number: signal.Signals, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        url = f"postgres://staging:x@127.0.0.1:{silent.getsockname()[1]}/staging"
        argv = argv_of(command, tmp_path, "--format", "json")
        process = start(*argv, env=environment_for(url))
        talk, _ = silent.accept()
        with talk:
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=20)

    answer = Answer(process.returncode, stdout, stderr)
    assert_report(answer, command, 130, "interrupted")
    assert answer.report["findings"][0]["message"] == "interrupted; nothing was changed"


def test_the_run_id_is_the_playbooks(command: str, call: Call) -> None:
    answer = call(command, url=unreachable(), OPSMIGRATE_RUN_ID="playbook-7")

    assert answer.report["run_id"] == "playbook-7"


def test_bad_arguments_are_argparses_own_words(command: str, call: Call) -> None:
    answer = call(command, "--no-such-option", url=unreachable())

    assert (answer.code, answer.stdout) == (2, "")
    assert "unrecognized arguments: --no-such-option" in answer.stderr


def test_a_name_that_the_terminal_cannot_show_does_not_end_the_command(call: Call) -> None:
    url = f"{unreachable()}%C3%BC"

    answer = call("preflight_migrate", url=url, PYTHONIOENCODING="ascii")
    assert (answer.code, answer.report["database"]["name"]) == (3, "stagingü")

    env = environment_for(url, PYTHONIOENCODING="ascii")
    answer = run("manage.py", "preflight_migrate", env=env)
    assert answer.code == 3
    assert "database staging\\xfc on 127.0.0.1" in answer.stdout
    assert "Traceback" not in answer.stderr


@pytest.fixture
def on_terminal() -> Iterator[Callable[..., str]]:
    """Return a function that runs preflight_migrate on a terminal, and returns what it shows."""

    def show(
        *argv: str, url: str | None = None, columns: int = 80, codes: list[int], **variables: str
    ) -> str:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        env = {**environment_for(url or unreachable(), TERM="xterm"), **variables}
        env = {key: value for key, value in env.items() if value or key != "NO_COLOR"}
        env.pop("COLUMNS", None)
        done = subprocess.run(
            [sys.executable, "manage.py", *(argv or ["preflight_migrate"])],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            check=False,
            timeout=60,
        )
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:
            pass  # Linux says EIO when nobody holds the other end any more
        os.close(ours)
        assert done.returncode in codes
        return shown.decode()

    return show


def test_a_terminal_is_coloured_unless_no_color_is_set(on_terminal: Callable[..., str]) -> None:
    coloured, plain = (on_terminal(NO_COLOR=each, codes=[3]) for each in ("", "1"))

    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
    for shown in (coloured, plain):
        assert "UNDECIDED: cannot connect" in shown


def test_progress_does_not_look_like_an_error_and_an_error_does(
    on_terminal: Callable[..., str], empty_database: str, tmp_path: Path
) -> None:
    red = "\x1b[31;1m"
    argv = ("backup_db", f"--directory={tmp_path}")

    good = on_terminal(*argv, url=url_of(empty_database), NO_COLOR="", codes=[0])
    bad = on_terminal(*argv, "--format=json", NO_COLOR="", codes=[3])

    assert "Dumping 0 tables" in good
    assert red not in good
    assert f"{red}backup_db undecided: cannot connect" in bad


@pytest.mark.parametrize(("columns", "widest"), [(40, 60), (72, 72), (200, 120)])
def test_the_report_is_as_wide_as_the_terminal(
    columns: int, widest: int, on_terminal: Callable[..., str]
) -> None:
    text = on_terminal("preflight_migrate", "no_such_app", columns=columns, NO_COLOR="1", codes=[3])

    lines = [line.rstrip("\r") for line in text.splitlines()]
    assert widest - 15 < max(map(len, lines)) <= widest, text


def test_bytes_that_are_no_text_are_not_told_as_a_fault_of_the_database(
    staging: str, tmp_path: Path
) -> None:
    no_text = os.fsdecode(b"b\xf6rse\x1b[31m")
    env = environment_for(url_of(staging), OPSMIGRATE_RUN_ID=no_text, OPSMIGRATE_RELEASE=no_text)
    json_ = ("--format", "json")

    taken = run("manage.py", "backup_db", "--directory", str(tmp_path), *json_, env=env)
    file = taken.report["facts"]["file"]
    beside = run("manage.py", "restore_db", file, "--into", no_text, *json_, env=env)

    assert (taken.code, taken.report["run_id"]) == (0, r"b\udcf6rse\x1b[31m")
    assert (beside.code, beside.ids) == (3, ["not-text"])
    assert beside.report["findings"][0]["message"].startswith("what was typed")
