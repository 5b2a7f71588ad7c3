"""The server of one's own that copies are made on: whether it suits, and what it knows of us."""

import os
import shutil
from pathlib import Path

import pytest
from django.db import connections

from opsmigrate import isolated
from opsmigrate.isolated import ServerRequirements, isolated_server, why_not_isolated
from opsmigrate.pgtools import installed
from opsmigrate.pgtools.embedded import find_bindirs
from opsmigrate.pgtools.installed import extensions_of
from opsmigrate.postgres.session import read_session

pytestmark = pytest.mark.skipif(not find_bindirs(), reason="needs the embedded package")


def test_it_suits_where_major_extensions_and_room_do() -> None:
    major = max(find_bindirs())
    assert (
        why_not_isolated(ServerRequirements(major=major, extensions=("plpgsql", "vector"))) is None
    )
    for wanted, words in (
        (ServerRequirements(major=9), "not 9"),
        (ServerRequirements(major=major, extensions=("no_such",)), "the extension no_such"),
        (ServerRequirements(major=major, tablespaces=("fast",)), "the tablespace fast"),
        (ServerRequirements(major=major, bytes=1 << 60), "MB are needed"),
    ):
        why = why_not_isolated(wanted)
        assert why is not None
        assert words in why


def test_it_knows_nothing_of_the_examined_server(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined = read_session(connections[empty_database])
    # What libpq would follow: to the examined server, or to nowhere.
    settings = connections[empty_database].settings_dict
    for name, value in {
        "PGHOSTADDR": "192.0.2.1",
        "PGPASSWORD": str(settings["PASSWORD"]),
        "PGSSLMODE": "require",
        "PGOPTIONS": "-c no_such_setting=1",
        "DATABASE_URL": "postgres://somebody:live-password@host/db",
        "OPSMIGRATE_SEAL_KEY": "live-key",
    }.items():
        monkeypatch.setenv(name, value)
    wanted = ServerRequirements(major=max(find_bindirs()))
    with isolated_server(connections[empty_database], wanted) as superuser:
        session = read_session(superuser)
        assert session.system_identifier != examined.system_identifier
        with superuser.cursor() as cursor:
            cursor.execute("CREATE ROLE postgres")  # any name is free for a copy's roles
            cursor.execute("SELECT setting FROM pg_settings WHERE name = 'data_directory'")
            data = Path(cursor.fetchone()[0])
        if os.path.exists("/proc/self/environ"):
            pid = (data / "postmaster.pid").read_text().split()[0]
            known = Path(f"/proc/{pid}/environ").read_bytes().decode()
            names = {each.partition("=")[0] for each in known.split("\0")}
            # PostgreSQL's programs set these themselves.
            own = {"PGDATA", "PGSYSCONFDIR", "PGLOCALEDIR", "PG_GRANDPARENT_PID"}
            assert not {name for name in names if name.startswith("PG")} - own
            assert "live-" not in known
            assert str(settings["PASSWORD"]) not in known
    assert not data.exists()


@pytest.mark.long
def test_the_machines_own_server_is_taken_for_what_the_wheel_lacks(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    major, bindir = max(find_bindirs().items())
    wanted = ServerRequirements(major=major, extensions=("farm",))
    package = bindir.parents[1]
    own = tmp_path / package.name / "pgsql"
    monkeypatch.setattr(installed, "VERSIONED_FOLDERS", ((str(own.parent), "pgsql*/bin"),))
    assert "does not have the extension farm; Postg" in (why_not_isolated(wanted) or "")

    # As packages of the system have it: one major, and extensions of contrib.
    shutil.copytree(bindir.parent, own, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, tmp_path / libraries.name, symlinks=True)
    [folder] = own.glob("share/**/extension")
    (folder / "farm.control").write_text("default_version = '1.0'\n")
    (folder / "farm--1.0.sql").write_text("CREATE TYPE animal AS ENUM ('cow');\n")

    assert why_not_isolated(wanted) is None
    with (
        isolated_server(connections[empty_database], wanted) as superuser,
        superuser.cursor() as cursor,
    ):
        cursor.execute("CREATE EXTENSION farm")
    assert extensions_of(bindir) == extensions_of(own / "bin") - {"farm"}
    monkeypatch.setattr(isolated, "find_bindirs", dict)
    assert why_not_isolated(ServerRequirements(major=major)) is None
    assert "not installed" in (why_not_isolated(ServerRequirements(major=9)) or "")
