"""The built wheel in new projects, outside the repository: every command runs there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connections

from opsmigrate.postgres.names import quoted
from scripts.demonstration.background import answers, free_port
from scripts.interpreters import find, own_version
from tests.conftest import execute
from tests.interrupting import wait_until
from tests.json_reports import parsed
from tests.packaged import Built

SETTINGS = """
import json, os
from night.settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "shop", "opsmigrate"]
DATABASES = {"default": json.loads(os.environ["NIGHT_DATABASE"])}
OPSMIGRATE = {
    "ENVIRONMENT": "staging",
    "SEED": {"model": "shop.Order", "field": "code"},
    "UAT": {"URLS": [{"url": "/"}]},
}
"""
MODELS = """
from uuid import uuid4
from django.db import models
class Order(models.Model):
    total = models.IntegerField()
    code = models.UUIDField(default=uuid4, unique=True)
"""
MIGRATION = """
from uuid import uuid4
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = %s
    operations = [%s]
"""
MIGRATIONS = {
    "0001_initial": """migrations.CreateModel("Order", [
        ("id", models.BigAutoField(primary_key=True)), ("total", models.IntegerField())])""",
    "0002_code": """migrations.AddField(
        "order", "code", models.UUIDField(default=uuid4, unique=True))""",
}
BESIDE = "restored beside"
# In the order of a night, each with what is typed behind it; FILE is the backup.
CALLS = {
    "backup_db": ["--verify=archive"],
    "verify_backup": ["FILE"],
    "check_drift": [],
    "preflight_migrate": [],
    "fleet": ["preflight_migrate"],
    "run_playbook": ["--dry-run"],
    "migrate_safely": ["--no-input"],
    "seed_payment_id": ["--dry-run"],
    "backfill_field": ["--dry-run"],
    "run_uat": ["--tag=migrations"],
    "restore_db": ["FILE", f"--into={BESIDE}", "--no-input"],
}
# With a site that runs; the settings of a new project have what a scan warns of.
OF_A_SITE = {
    "uat_load": (["--users=1", "--seconds=10"], {0}),
    "uat_scan": (["--code=shop"], {0, 1}),
}
VERSIONS = ("5.2", "6.1")


@dataclass(frozen=True)
class Project:
    """A new project with an app, and the Python that it runs on."""

    folder: Path
    python: Path
    variables: dict[str, str]

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the project's folder, which is outside the repository."""
        return subprocess.run(
            [str(self.python), *argv],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def manage(self, *argv: str, codes: Collection[int] = (0,)) -> str:
        """Run manage.py, require one of the exit codes, and return what it printed."""
        done = self.run("manage.py", *argv)
        assert done.returncode in codes, (argv, done.stdout, done.stderr)
        return done.stdout

    @contextmanager
    def site(self) -> Iterator[str]:
        """Serve the project, and yield the URL."""
        port = free_port("127.0.0.1")
        argv = [str(self.python), "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
        with (
            open(self.folder / "site.log", "wb") as log,
            subprocess.Popen(
                argv, cwd=self.folder, env=self.variables, stdout=log, stderr=log
            ) as process,
        ):
            try:
                url = f"http://127.0.0.1:{port}/"
                wait_until(lambda: answers(url), seconds=60)
                yield url
            finally:
                process.terminate()


def project_in(folder: Path, python: Path, alias: str, **variables: str) -> Project:
    """Make the project with `django-admin startproject`, its first migration applied."""
    given = connections[alias].settings_dict
    keys = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")
    ours = {
        "PATH": os.defpath,
        "DJANGO_SETTINGS_MODULE": "night_settings",
        "NIGHT_DATABASE": json.dumps({key: given[key] for key in keys}),
        **variables,
    }
    made = Project(folder, python, ours)
    started = Project(folder, python, {**ours, "DJANGO_SETTINGS_MODULE": ""})
    assert started.run("-m", "django", "startproject", "night", ".").returncode == 0
    (folder / "night_settings.py").write_text(SETTINGS)
    migrations = folder / "shop" / "migrations"
    migrations.mkdir(parents=True)
    for each in (folder / "shop", migrations):
        (each / "__init__.py").touch()
    (folder / "shop" / "models.py").write_text(MODELS)
    before: list[tuple[str, str]] = []
    for name, operation in MIGRATIONS.items():
        (migrations / f"{name}.py").write_text(MIGRATION % (before, operation))
        before = [("shop", name)]
    made.manage("migrate", "shop", "0001")
    return made


def commands_in(packages: Path) -> list[str]:
    """Return the commands of an installed wheel."""
    folder = packages / "opsmigrate" / "management" / "commands"
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")


def run_all(project: Project, commands: Sequence[str]) -> None:
    """Run every command; one that this file does not know says its help."""
    file = ""
    known = CALLS.keys() | OF_A_SITE.keys()
    for name in [*CALLS, *(each for each in commands if each not in known)]:
        arguments = [file if each == "FILE" else each for each in CALLS.get(name, ["--help"])]
        project.manage(name, *arguments)
        if name == "backup_db":
            (dump,) = (project.folder / "backups").glob("*.dump")
            file = str(dump)
    with project.site() as url:
        for name, (arguments, codes) in OF_A_SITE.items():
            said = project.manage(name, f"--base-url={url}", *arguments, codes=codes)
            assert said.startswith(("PASSED", "FAILED")), said
    assert project.manage("showmigrations", "shop", "--plan").count("[X]") == len(MIGRATIONS)


def test_a_project_gets_its_verdict_from_the_wheel_alone(
    installed: Path, new_database: Callable[..., str], tmp_path: Path
) -> None:
    # What opsmigrate needs comes from the environment of the tests, opsmigrate from the wheel.
    path = {"PYTHONPATH": str(installed)}
    project = project_in(tmp_path, Path(sys.executable), new_database("night "), **path)

    listed = project.run("-m", "opsmigrate")
    asked = parsed(project.manage("preflight_migrate", "shop", "--format=json", "--rehearse=off"))

    assert listed.returncode == 0
    assert all(name in listed.stdout for name in commands_in(installed))
    assert (asked["verdict"], len(asked["facts"]["plan"])) == ("passed", 1)
    assert set(CALLS) | set(OF_A_SITE) <= set(commands_in(installed))


@pytest.mark.long
@pytest.mark.parametrize("version", VERSIONS)
def test_every_command_runs_in_a_new_project(
    version: str, built: Built, new_database: Callable[..., str], tmp_path: Path
) -> None:
    python = Path(sys.executable) if version == "5.2" else find("3.13") or find("3.12")
    if python is None:
        pytest.skip(f"Django {version} needs Python 3.12, and there is only {own_version()}")
    venv = tmp_path / "venv"
    subprocess.run([str(python), "-m", "venv", str(venv)], check=True)
    programs = venv / ("Scripts" if sys.platform == "win32" else "bin")
    wanted = [f"{built.wheel}[clients,load,scan]", f"django=={version}.*", "psycopg[binary]"]
    pip = ["-m", "pip", "install", "--quiet", "--no-compile", *wanted]
    subprocess.run([str(programs / "python"), *pip], check=True)
    (packages,) = venv.glob("**/site-packages")
    folder = tmp_path / "project"
    folder.mkdir()

    alias = new_database("night ")
    project = project_in(folder, programs / "python", alias)

    said = project.run("-c", "import django, opsmigrate; print(django.__version__)").stdout
    assert said.startswith(f"{version}")
    try:
        run_all(project, commands_in(packages))
    finally:
        # It would be in the way of the other version.
        execute(connections[alias], f"DROP DATABASE IF EXISTS {quoted(BESIDE)} WITH (FORCE)")
