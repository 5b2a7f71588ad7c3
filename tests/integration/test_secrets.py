"""While the clients run, nobody who looks at them sees the password."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from urllib.parse import quote

import pytest
from django.db import connections

from tests.backups import act_as
from tests.conftest import environment_for, start, url_of

SHELL_SECRETS = {"UAT_PASSWORD": "of the site", "AWS_SECRET_ACCESS_KEY": "of the cloud"}


class Watch:
    """Looks at every client that works on the database `mark`, as often as it can."""

    def __init__(self, mark: str) -> None:
        self.mark = mark.encode()
        self.seen: dict[str, bytes] = {}
        self._end = Event()
        self._thread = Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                # It may have ended since.
                with suppress(OSError):
                    self._note(process)
            time.sleep(0.002)

    def _note(self, process: Path) -> None:
        arguments = (process / "cmdline").read_bytes()
        program = arguments.split(b"\0")[0].rsplit(b"/")[-1].decode()
        if program not in {"pg_dump", "pg_restore", "psql"}:
            return
        text = arguments + (process / "environ").read_bytes()
        if b"PGDATABASE=" + self.mark in text or b"PGDATABASE=opsmigrate_scratch_" in text:
            self.seen[program] = self.seen.get(program, b"") + text


@pytest.fixture
def slow(staging: str, role: Callable[..., dict[str, str]]) -> Iterator[tuple[str, str]]:
    """A database whose restore takes a moment, as a role with a password; and the password."""
    made = role("CREATEDB")
    act_as(
        staging,
        made,
        "CREATE FUNCTION slow() RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(0.5) IS NOT NULL'",
        "CREATE TABLE slowly (one int CHECK (slow()))",
        "INSERT INTO slowly VALUES (1)",
        "GRANT SELECT ON slowly TO PUBLIC",
    )
    return staging, made["PASSWORD"]


def test_no_argument_and_no_variable_of_a_client_holds_a_secret(
    slow: tuple[str, str], tmp_path: Path
) -> None:
    alias, password = slow
    argv = ["manage.py", "backup_db", "--verify", "restore", "--directory", str(tmp_path)]
    env = environment_for(url_of(alias), **SHELL_SECRETS)

    with Watch(connections[alias].settings_dict["NAME"]) as watch:
        process = start(*argv, env=env)
        stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 0, stdout
    assert set(watch.seen) == {"pg_dump", "pg_restore", "psql"}
    secrets = [password, quote(password, safe=""), env["SECRET_KEY"], *SHELL_SECRETS.values()]
    for program, text in watch.seen.items():
        assert b"PGPASSFILE=" in text
        for secret in secrets:
            assert secret.encode() not in text, program
        for name in ("DATABASE_URL", "SECRET_KEY", "PGPASSWORD", *SHELL_SECRETS):
            assert f"{name}=".encode() not in text
    assert password not in stdout + stderr
