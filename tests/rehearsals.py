"""A database to rehearse on, and rehearsals as users run them."""

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connections

from opsmigrate.pgtools.clients import find_clients
from opsmigrate.pgtools.libpq import child_environment
from opsmigrate.postgres.session import read_session
from tests.aliases import guest
from tests.conftest import Answer, Ops, environment_for, execute, start, url_of
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate

SCRATCH = "SELECT datname FROM pg_database WHERE datname LIKE 'opsmigrate_scratch%%'"
DOUBLE = """
migrations.RunPython(lambda apps, editor: [
    cage.save() for cage in apps.get_model("zoo", "Cage").objects.using(editor.connection.alias)
    if not setattr(cage, "size", 100 // cage.size)
]),
"""
PROJECT_SETTINGS = """
from staging_settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "eager"]
# Where a database without any migration is nothing to warn of.
OPSMIGRATE = {**OPSMIGRATE, "ENVIRONMENT": "test"}
"""
MIGRATION = """
from django.db import migrations, models

def code(apps, editor):
{code}

class Migration(migrations.Migration):
    operations = [migrations.RunPython(code)]
"""
READY = """
from django.apps import AppConfig

class Eager(AppConfig):
    name = "eager"

    def ready(self):
{ready}
"""


def prepared(alias: str, write: Write, pending: str, *statements: str, **kwargs: Any) -> str:
    """Give the database one cage and the pending operations; return its alias."""
    write(CAGE)
    assert migrate(alias, "zoo") is None
    for statement in (ROW, *statements):
        execute(connections[alias], statement)
    write(CAGE, pending, **kwargs)
    return alias


def rehearse(ops: Ops, alias: str, **options: Any) -> Answer:
    """Call preflight_migrate for the app zoo, with a rehearsal."""
    return ops("preflight_migrate", "zoo", database=alias, **{"rehearse": "clone", **options})


def reasons(answer: Answer) -> list[str]:
    """Return why things were not examined."""
    return [item["why"] for item in answer.report["undecided"]]


def statements(answer: Answer) -> list[dict[str, Any]]:
    """Return the statements of the rehearsal."""
    assert "rehearsal" in answer.report["facts"], answer.stdout
    found: list[dict[str, Any]] = answer.report["facts"]["rehearsal"]["statements"]
    return found


def indented(text: str, by: int) -> str:
    """Return the lines of a function's body."""
    return "\n".join(" " * by + line for line in text.strip().splitlines())


def rehearse_project(
    alias: str,
    folder: Path,
    *,
    code: str,
    ready: str = "pass",
    settings: str = "",
    command: str | None = None,
    how: str = "clone",
    seconds: float = 60,
) -> Answer:
    """Rehearse, in a process of its own, a project with an app whose one migration is `code`.

    `command` is the text of a `migrate` of the project's own.
    """
    app = folder / "eager"
    if command is not None:
        commands = app / "management" / "commands"
        commands.mkdir(parents=True)
        for package in (app / "management", commands):
            (package / "__init__.py").touch()
        (commands / "migrate.py").write_text(command)
    (app / "migrations").mkdir(parents=True)
    for package in (app, app / "migrations"):
        (package / "__init__.py").touch()
    (app / "apps.py").write_text(READY.format(ready=indented(ready, 8)))
    (app / "migrations" / "0001_initial.py").write_text(MIGRATION.format(code=indented(code, 4)))
    (folder / "eager_settings.py").write_text(PROJECT_SETTINGS + settings)
    env = environment_for(url_of(alias), PYTHONPATH=str(folder))
    argv = ("manage.py", "preflight_migrate", "eager", f"--rehearse={how}", "--format=json")
    process = start(*argv, "--settings=eager_settings", env=env)
    stdout, stderr = process.communicate(timeout=seconds)
    return Answer(process.returncode, stdout, stderr)


@contextmanager
def owner_of_zoo(alias: str, user: dict[str, str]) -> Iterator[str]:
    """Give the tables of the zoo to another role, and yield an alias of it."""
    for table in ("zoo_cage", "django_migrations"):
        execute(connections[alias], f"""ALTER TABLE {table} OWNER TO "{user["USER"]}" """)
    with guest(alias, user) as owner:
        yield owner


def dump(alias: str) -> str:
    """Return a digest of everything that pg_dump sees: schema, rows, sequences, rights."""
    lines = [line for line in dumped(alias).splitlines() if b"restrict" not in line]
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def dumped(alias: str) -> bytes:
    """Return what pg_dump writes, for psql."""
    clients = find_clients(read_session(connections[alias]).major, None)
    with child_environment(connections[alias]) as child:
        return subprocess.run(
            [clients.program("pg_dump")],
            env=dict(child.variables),
            pass_fds=child.descriptors,
            capture_output=True,
            check=True,
        ).stdout


def fill(alias: str, text: bytes) -> None:
    """Have in the database, which is empty, what was dumped."""
    clients = find_clients(read_session(connections[alias]).major, None)
    with child_environment(connections[alias]) as child:
        subprocess.run(
            [clients.program("psql"), "-X", "--quiet", "--set=ON_ERROR_STOP=1"],
            env=dict(child.variables),
            pass_fds=child.descriptors,
            input=text,
            stdout=subprocess.DEVNULL,
            check=True,
        )
