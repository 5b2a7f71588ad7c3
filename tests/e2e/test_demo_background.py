"""The old release's writer and the new one's site, on a server of their own."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from opsmigrate.pgtools.embedded import running
from scripts.demonstration import background as module
from scripts.demonstration import database
from scripts.demonstration.background import BackgroundProblem, answers, background, free_port
from scripts.environment import ROOT, child_environment

PYTHON = sys.executable
WRITER = [PYTHON, "scripts/background_writer.py", "--pause-ms", "1"]


@dataclass(frozen=True)
class Staging:
    """The drifted database, and the environment that leads to it."""

    session: database.Session
    environment: dict[str, str]


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staging]:
    with running(tmp_path_factory.mktemp("servers"), durable=False) as server:
        session = database.create(server)
        environment = child_environment(
            DATABASE_URL=session.url, SECRET_KEY=secrets.token_urlsafe(50), LOCAL_HTTP="1"
        )
        command = [PYTHON, "manage.py", "make_legacy_staging", "--rows", "50"]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        yield Staging(session, environment)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The output files of this test, apart from those of a demo that runs in the checkout."""
    monkeypatch.setattr(module, "DEMO", tmp_path)


def test_the_application_s_role_may_create_databases_and_is_no_superuser(staging: Staging) -> None:
    asked = "SELECT rolcreatedb, rolsuper FROM pg_roles WHERE rolname = current_user;"

    assert staging.session.ask(asked) == "t|f"
    assert staging.session.ask("SHOW is_superuser;") == "off"


def test_the_writer_s_figures_are_what_the_database_has(staging: Staging) -> None:
    before = staging.session.count()
    with background("writer", WRITER, staging.environment) as writer:
        writer.wait_until(lambda: staging.session.count() > before + 20)
        figures = writer.figures()

    assert figures["errors"] == []
    assert staging.session.count() == before + figures["inserted"]
    assert figures["updated"] > 0
    assert figures["longest_wait_ms"] > 0


def test_the_writer_notes_an_error_and_writes_on(staging: Staging) -> None:
    before = staging.session.count()
    with background("writer", WRITER, staging.environment) as writer:
        writer.wait_until(lambda: staging.session.count() > before)
        others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = current_user"
        staging.session.ask(f"SELECT pg_terminate_backend(pid) {others};")
        seen = staging.session.count()
        writer.wait_until(lambda: staging.session.count() > seen + 20)
        figures = writer.figures()

    assert len(figures["errors"]) == 1
    assert "OperationalError" in figures["errors"][0] or "AdminShutdown" in figures["errors"][0]
    assert staging.session.count() == before + figures["inserted"]


def test_the_writer_ends_when_whoever_started_it_is_gone(staging: Staging) -> None:
    starter = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({WRITER!r}, stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    before = staging.session.count()
    with subprocess.Popen(
        [PYTHON, "-c", starter], cwd=ROOT, env=staging.environment, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        while staging.session.count() == before:
            time.sleep(0.1)
        parent.kill()
        # The writer holds the other end of this pipe until it has ended, with its figures.
        assert b'"inserted"' in parent.stdout.read()


def test_a_background_process_that_ends_at_once_shows_why(staging: Staging) -> None:
    command = [PYTHON, "-c", "import sys; sys.exit('no such luck')"]
    with (
        pytest.raises(BackgroundProblem, match=r"the site did not start; .*\nno such luck$"),
        background("site", command, os.environ) as site,
    ):
        site.wait_until(lambda: False)


def test_the_site_answers_until_its_input_ends(staging: Staging) -> None:
    url, command = site_command()
    with background("site", command, staging.environment) as site:
        site.wait_until(lambda: answers(url))

    assert site.process.returncode == 0
    assert not answers(url)


def test_a_kept_site_answers_until_its_file_is_gone(staging: Staging, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.touch()
    url, command = site_command()
    with background(
        "site", [*command, "--while-exists", str(kept)], staging.environment, lasting=True
    ) as site:
        site.wait_until(lambda: answers(url))

    assert answers(url)
    kept.unlink()
    assert site.process.wait(timeout=20) == 0
    assert not answers(url)


def site_command() -> tuple[str, list[str]]:
    port = free_port("127.0.0.1")
    command = [PYTHON, "-m", "scripts.demonstration.serve", "--port", str(port)]
    return f"http://127.0.0.1:{port}/healthz", command
