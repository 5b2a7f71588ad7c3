"""The server of one's own that copies are made on: whether it suits, and what it knows of us."""

import os
from pathlib import Path

import pytest
from django.db import connections

from opsmigrate.isolated import ServerRequirements, isolated_server, why_not_isolated
from opsmigrate.pgtools.embedded import find_bindirs
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
    with isolated_server(connections[empty_database], max(find_bindirs())) as superuser:
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
