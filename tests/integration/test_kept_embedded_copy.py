"""The copy on a temporary embedded server is kept in its files, and used by the next process."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.conftest import environment_for, execute, start, url_of
from tests.json_reports import parsed

pytestmark = pytest.mark.long


def rehearsed(alias: str, folder: Path, *options: str) -> dict[str, Any]:
    """Rehearse as users do, and return what the report says of the rehearsal."""
    env = environment_for(url_of(alias), TMPDIR=str(folder))
    ask = ("manage.py", "preflight_migrate", "treasury", "--rehearse=clone", "--format=json")
    process = start(*ask, *options, "--settings=staging_settings", env=env)
    stdout, stderr = process.communicate(timeout=120)
    report = parsed(stdout)
    found: dict[str, Any] = report["facts"]["rehearsal"]
    assert found["isolation"]["server"] == "embedded", stderr
    return found


def test_the_next_process_is_on_what_was_kept_until_something_changes(
    staging: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)

    first = rehearsed(staging, tmp_path, "--keep-copy")
    second = rehearsed(staging, tmp_path)
    role = "CREATE ROLE opsmigrate_came"
    execute(connections[staging], role)
    try:
        third = rehearsed(staging, tmp_path, "--keep-copy")
        fourth = rehearsed(staging, tmp_path)
        execute(connections[staging], "UPDATE treasury_payment SET memo = memo")
        fifth = rehearsed(staging, tmp_path)
    finally:
        execute(connections[staging], "DROP ROLE opsmigrate_came")

    used = [each["kept_copy"] is not None for each in (first, second, third, fourth, fifth)]
    assert used == [False, True, False, True, False]
