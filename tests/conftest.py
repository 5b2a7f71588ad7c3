"""The fixtures: a server, databases of one's own on it, and commands run as users run them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import environ
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.backends.signals import connection_created

from opsmigrate.pgtools.embedded import running
from opsmigrate.postgres.opening import pin_of
from scripts.skipped import SKIPPED_VARIABLE, write_down
from tests.integration.zoo_migrations import writer
from tests.json_reports import parsed
from tests.server import given_url
from tests.tiers import every_few

pytest_plugins = [
    "pytester",
    "tests.remedies",
    "tests.interrupting",
    "tests.prepared",
    "tests.rollbacks",
    "tests.adversaries",
    "tests.fleet_schemas",
    "tests.packaged",
    "tests.tenant_plans",
    "tests.interpret.side_by_side",
]
# A shell without job control starts what it puts in the background deaf to Ctrl-C, and what that
# starts is deaf too: tests that interrupt processes must be able to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
# What a name may hold without being anything but a name.
ODD_NAME = "dbname=o 'q\" ü "


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let scripts/test.py run some cases of each test only."""
    parser.addoption(
        "--one-case-in",
        type=int,
        default=1,
        metavar="N",
        help="of each test's cases run one in N; all of tests marked `newest` (default: 1)",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases that were not asked for; the marks have chosen before."""
    items[:], left_out = every_few(items, config.getoption("--one-case-in"))
    if left_out:
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a superuser: of the server that was given, else of an embedded one."""
    given = given_url()
    if given:
        yield given
        return
    with running(tmp_path_factory.mktemp("server"), durable=False) as server:
        yield server.url


@pytest.fixture(scope="session")
def django_db_modify_db_settings(server_url: str) -> None:
    """Point the default alias at the server before pytest-django makes its test database."""
    connections["default"].settings_dict.update(environ.Env.db_url_config(server_url))
    connections.settings["default"].update(environ.Env.db_url_config(server_url))


@pytest.fixture
def new_database(
    django_db_modify_db_settings: None, django_db_blocker: Any
) -> Iterator[Callable[..., str]]:
    """Yield a function that makes a database and returns its alias; all go at the end.

    It is empty, or has what the database `template` has.
    """
    made: list[str] = []
    with django_db_blocker.unblock():
        maintenance = connections["default"].copy()
        maintenance.settings_dict["NAME"] = "postgres"

        def make(prefix: str = ODD_NAME, template: str = "template1", **settings: Any) -> str:
            alias, name = f"db{token_hex(4)}", prefix + token_hex(4)
            create = sql.SQL("CREATE DATABASE {} TEMPLATE {}" + as_files(maintenance))
            execute(maintenance, create.format(sql.Identifier(name), sql.Identifier(template)))
            made.append(alias)
            template = connections["default"].settings_dict
            options = {**template["OPTIONS"], **settings.pop("OPTIONS", {})}
            connections.settings[alias] = {
                **template,
                "TEST": dict(template["TEST"]),
                "OPTIONS": options,
                "NAME": name,
                **settings,
            }
            return alias

        yield make
        for alias in made:
            connections[alias].close()
            name = connections.settings[alias]["NAME"]
            del connections[alias], connections.settings[alias]
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            execute(maintenance, drop.format(sql.Identifier(name)))
        maintenance.close()


@pytest.fixture
def empty_database(new_database: Callable[..., str]) -> str:
    """Return the alias of a new, empty database."""
    return new_database()


@contextmanager
def made_once(fill: Callable[[str], None]) -> Iterator[Callable[[], str]]:
    """Yield a function that returns the name of a database, made and filled when first asked.

    `fill` is given its alias. A copy takes a fraction of the time.
    """
    made: list[str] = []
    maintenance = connections["default"].copy()
    maintenance.settings_dict["NAME"] = "postgres"

    def name() -> str:
        if not made:
            alias = f"template {token_hex(4)}"
            execute(maintenance, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(alias)))
            connections.settings[alias] = {**connections["default"].settings_dict, "NAME": alias}
            fill(alias)
            connections[alias].close()
            del connections[alias], connections.settings[alias]
            made.append(alias)
        return made[0]

    yield name
    for each in made:
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(each))
        execute(maintenance, drop)
    maintenance.close()


@pytest.fixture(scope="session")
def staging_template(
    django_db_modify_db_settings: None, django_db_blocker: Any
) -> Iterator[Callable[[], str]]:
    """Yield a function that returns the name of a database like `staging`."""

    def fill(alias: str) -> None:
        call_command("make_legacy_staging", database=alias, rows=500, stdout=StringIO())

    with django_db_blocker.unblock(), made_once(fill) as name:
        yield name


@pytest.fixture
def staging(new_database: Callable[..., str], staging_template: Callable[[], str]) -> str:
    """Return the alias of the drifted staging database of the story, with 500 payments."""
    return new_database(template=staging_template())


@pytest.fixture
def role(new_database: Callable[..., str]) -> Iterator[Callable[..., dict[str, str]]]:
    """Yield a function that makes a role without rights and returns USER and PASSWORD settings."""
    made: list[str] = []
    connection = connections["default"].copy()
    connection.settings_dict["NAME"] = "postgres"

    def make(attributes: str = "") -> dict[str, str]:
        name, password = f"role {token_hex(4)}", f"p'w\" {token_hex(4)}"
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} " + attributes)
        execute(connection, statement.format(sql.Identifier(name), sql.Literal(password)))
        made.append(name)
        return {"USER": name, "PASSWORD": password}

    yield make
    for alias in [alias for alias in connections.settings if alias != "default" and made]:
        owner = connections["default"].copy()
        owner.settings_dict["NAME"] = connections.settings[alias]["NAME"]
        for name in made:
            execute(owner, sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
        owner.close()
    for name in made:
        execute(connection, sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
    connection.close()


def as_files(connection: BaseDatabaseWrapper) -> str:
    """Return how a database is copied with the least work: through the WAL, it is half more."""
    return " STRATEGY file_copy" if connection.pg_version >= 150000 else ""


def execute(connection: BaseDatabaseWrapper, statement: Any, params: Any = None) -> None:
    """Execute one statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def query(alias: str, statement: Any, params: Any = None) -> list[tuple[Any, ...]]:
    """Return the rows of one query."""
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())


@dataclass(frozen=True)
class Answer:
    """What a command answered: its exit code, what stood on stdout and stderr, and its JSON."""

    code: int
    stdout: str
    stderr: str = ""

    @property
    def report(self) -> dict[str, Any]:
        """Return the one JSON object that stdout must be; its schema must allow it."""
        return parsed(self.stdout)

    @property
    def ids(self) -> list[str]:
        """Return the ids of the findings."""
        return [finding["id"] for finding in self.report["findings"]]


Ops = Callable[..., Answer]


# The name of a thread in which a test plays somebody else while a command runs.
STRANGER = "stranger"


@contextmanager
def every_session_is_ours(alias: str) -> Iterator[None]:
    """Fail where a session of the alias, or one like it, is opened that is not one of ours."""
    strangers: list[str] = []

    def look(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        of_the_test = threading.current_thread().name == STRANGER
        ours = of_the_test or pin_of(connection) is not None
        if connection.alias.partition(" ")[0] == alias and not ours:
            strangers.append(connection.alias)

    connection_created.connect(look)
    try:
        yield
    finally:
        connection_created.disconnect(look)
    assert strangers == [], "own() it: see opsmigrate/postgres/opening.py"


@pytest.fixture
def ops() -> Ops:
    """Return a function that calls a command in this process, with --format json."""

    def call(name: str, *args: str, database: str, **options: Any) -> Answer:
        out, err = StringIO(), StringIO()
        options = {"format": "json", "verbosity": 0, **options}
        with every_session_is_ours(database):
            try:
                call_command(name, *args, database=database, stdout=out, stderr=err, **options)
            except CommandError as error:
                return Answer(error.returncode, out.getvalue(), err.getvalue())
        return Answer(0, out.getvalue(), err.getvalue())

    return call


def url_of(alias: str, **changes: Any) -> str:
    """Return the DATABASE_URL of an alias, every part percent-encoded."""
    settings = {**connections[alias].settings_dict, **changes}
    user, password = quote(settings["USER"], safe=""), quote(settings["PASSWORD"], safe="")
    place = f"{settings['HOST']}:{settings['PORT']}"
    return f"postgres://{user}:{password}@{place}/{quote(settings['NAME'], safe='')}"


def environment_for(url: str | None, **variables: str) -> dict[str, str]:
    """Return the environment in which a user would call manage.py."""
    ours = ("OPSMIGRATE", "DJANGO", "DATABASE_URL", "SECRET_KEY", "PYTHONUNBUFFERED")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    given = {"DATABASE_URL": url} if url else {}
    return {**kept, **given, "SECRET_KEY": "s" * 25 + "0123456789" * 3, **variables}


def start(*argv: str, env: dict[str, str], cwd: Path = ROOT) -> subprocess.Popen[str]:
    """Start `python argv…` in the project's folder, or another one."""
    return subprocess.Popen(
        [sys.executable, *argv],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*argv: str, env: dict[str, str], cwd: Path = ROOT) -> Answer:
    """Run `python argv…` in the project's folder, or another one, to its end."""
    process = start(*argv, env=env, cwd=cwd)
    stdout, stderr = process.communicate(timeout=120)
    return Answer(process.returncode, stdout, stderr)


@pytest.fixture
def manage() -> Callable[..., Answer]:
    """Return a function that runs manage.py in a process of its own, with staging_settings."""

    def call(*argv: str, url: str | None, **variables: str) -> Answer:
        env = environment_for(url, **variables)
        return run("manage.py", *argv, "--settings=staging_settings", env=env)

    return call


@pytest.fixture
def write_migrations(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Return a function that gives the app zoo migrations, from the text of their operations."""
    monkeypatch.syspath_prepend(tmp_path)
    return writer(tmp_path, settings, monkeypatch)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many runs were faulted, and how many of them the fault met at work.

    Write down what was skipped, and why, where scripts/test.py asks for it.
    """
    if file := os.environ.get(SKIPPED_VARIABLE):
        told = terminalreporter.stats.get("skipped", ())
        skipped = ((each.nodeid, each.longrepr[2].removeprefix("Skipped: ")) for each in told)
        write_down(skipped, Path(file))
    counts: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            if report.when == "call":
                counts.update(value for name, value in report.user_properties if name == "fault")
    if counts:
        terminalreporter.write_line(
            f"{counts.total()} faulted runs: {counts['met']} were met at work, {counts['late']} at "
            "their end"
        )
