"""What the tests of restore_db share: a backup to go back to, and what a rollback keeps."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backup.rollback import RestoreJob
from opsmigrate.pgtools.clients import find_clients
from opsmigrate.postgres.session import open_second, read_session
from tests.backups import SILENT, backup
from tests.conftest import ODD_NAME, Answer, Ops, execute, query


@pytest.fixture
def taken(staging: str, ops: Ops, tmp_path: Path) -> tuple[str, Path]:
    """The alias of the staging database, and a backup of it."""
    # A session that ends hands its statistics over.
    connections[staging].close()
    _, file = backup(ops, staging, tmp_path)
    return staging, file


def drop_kept() -> None:
    """Drop what rollbacks kept, which is theirs to keep and ours to remove."""
    maintenance = open_second(connections["default"], database="postgres")
    for name in kept_databases("default"):
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        execute(maintenance, drop.format(sql.Identifier(name)))
    maintenance.close()


@pytest.fixture
def roles(role: Callable[..., dict[str, str]]) -> Iterator[Callable[..., dict[str, str]]]:
    """Make roles, which can be dropped when no database is theirs any more."""
    yield role
    drop_kept()
    default = open_second(connections["default"], database="postgres")
    with default.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [ODD_NAME])
        for (name,) in cursor.fetchall():
            change = sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER")
            cursor.execute(change.format(sql.Identifier(name)))
    default.close()


@pytest.fixture
def no_kept_database(new_database: object) -> Iterator[None]:
    """Drop at the end what the test kept."""
    yield
    drop_kept()


def kept_databases(alias: str) -> list[str]:
    """Return the databases of these tests that have the name of one that was kept."""
    other = open_second(connections[alias], database="postgres")
    with other.cursor() as cursor:
        cursor.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
            " AND datname ~ '_before_[0-9]{8}_'",
            [ODD_NAME],
        )
        names = [name for (name,) in cursor.fetchall()]
    other.close()
    return names


def payments(alias: str) -> int:
    """Return how many payments there are, on a new session."""
    connections[alias].close()
    return int(query(alias, "SELECT count(*) FROM treasury_payment")[0][0])


def oid(alias: str) -> int:
    """Return which database has the name of the alias now."""
    found = query(alias, "SELECT oid FROM pg_database WHERE datname = current_database()")
    return int(found[0][0])


def restore(ops: Ops, alias: str, *args: str, **options: object) -> Answer:
    """Call restore_db as who has said yes."""
    return ops("restore_db", *args, database=alias, no_input=True, **options)


def place_of(alias: str) -> RestoreJob:
    """Return where a rollback is to happen, for one that nobody is asked about."""
    connection = connections[alias]
    session = read_session(connection)
    return RestoreJob(
        connection=connection,
        session=session,
        clients=find_clients(session.major, None),
        run_id="test",
        maintenance_db=None,
        progress=SILENT,
    )
