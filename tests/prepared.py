"""More fixtures: a server that asks for the password, the database after the playbook, its site."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from secrets import token_hex
from typing import Any
from unittest import mock

import pytest
from django.core.management import call_command
from django.db import OperationalError, connections
from django.db.backends.postgresql.psycopg_any import sql
from django.test import override_settings

from opsmigrate.pgtools.embedded import running
from opsmigrate.uat.registry import discover, registry
from scripts.demonstration.background import answers, free_port
from tests.conftest import ROOT, environment_for, execute, url_of

RELEASE = "2025.4"
SITE_PASSWORD = "p'w\" & of the site"
# What staging_settings can check; the tests' own settings hash with MD5, to be quick.
HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]


@pytest.fixture(scope="session")
def password_server(
    django_db_modify_db_settings: None,
    server_url: str,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Yield the URL of a superuser on a server that refuses a wrong password."""
    with django_db_blocker.unblock():
        asks = _asks_for_password()
    if asks:
        yield server_url
        return
    with running(tmp_path_factory.mktemp("password"), durable=False) as server:
        yield server.url


def _asks_for_password() -> bool:
    connection = connections["default"].copy()
    connection.settings_dict.update(NAME="postgres", PASSWORD="surely not this one")
    try:
        connection.ensure_connection()
    except OperationalError:
        return True
    connection.close()
    return False


@contextmanager
def database_alias(template: str | None = None) -> Iterator[str]:
    """Yield the alias of a new database, a copy of `template` or empty; dropped at the end."""
    alias, name = f"prepared{token_hex(4)}", f"opsmigrate test {token_hex(4)}"
    maintenance = connections["default"].copy()
    maintenance.settings_dict["NAME"] = "postgres"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(template or "template1")
    )
    execute(maintenance, create)
    settings = connections["default"].settings_dict
    connections.settings[alias] = {**settings, "TEST": dict(settings["TEST"]), "NAME": name}
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias], connections.settings[alias]
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        execute(maintenance, drop)
        maintenance.close()


@pytest.fixture(scope="session")
def playbook_database(django_db_modify_db_settings: None, django_db_blocker: Any) -> Iterator[str]:
    """Yield the name of a database at the end of the playbook; nobody is connected to it."""
    with django_db_blocker.unblock():
        manager = database_alias()
        alias = manager.__enter__()
        secret = mock.patch.dict("os.environ", TREASURY_STAGING_PASSWORD=SITE_PASSWORD)
        with override_settings(PASSWORD_HASHERS=HASHERS), secret:
            call_command("make_legacy_staging", database=alias, rows=200, verbosity=0)
        for command in ("seed_payment_id", "migrate", "make_treasury_demo"):
            call_command(command, database=alias, verbosity=0, stdout=StringIO())
        connections[alias].close()
    yield connections.settings[alias]["NAME"]
    with django_db_blocker.unblock():
        manager.__exit__(None, None, None)


@pytest.fixture
def migrated(new_database: Callable[..., str], playbook_database: str) -> Iterator[str]:
    """Yield the alias of a database of one's own at the end of the playbook."""
    with database_alias(playbook_database) as alias:
        yield alias


@dataclass(frozen=True)
class LiveSite:
    """The treasury, served by waitress: where, and the alias of its database."""

    url: str
    alias: str
    database_url: str


@pytest.fixture(scope="session")
def live_site(playbook_database: str, django_db_blocker: Any) -> Iterator[LiveSite]:
    """Yield the site on a migrated database, shared by the tests that only look at it."""
    with django_db_blocker.unblock():
        manager = database_alias(playbook_database)
        alias = manager.__enter__()
    database_url = url_of(alias)
    port = free_port("127.0.0.1")
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.demonstration.serve", "--port", str(port)],
        cwd=ROOT,
        env=environment_for(database_url, LOCAL_HTTP="1", OPSMIGRATE_RELEASE=RELEASE),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while not answers(f"{url}/healthz"):
            assert process.poll() is None, "the site ended"
            assert time.monotonic() < deadline, "the site did not start"
            time.sleep(0.05)
        yield LiveSite(url, alias, database_url)
    finally:
        process.communicate(timeout=30)
        with django_db_blocker.unblock():
            manager.__exit__(None, None, None)


@pytest.fixture
def own_registry() -> Iterator[None]:
    """Forget what a test registers."""
    discover()
    before = registry.copy()
    yield
    registry.restore(before)
