"""seed_payment_id --write-scripts: what does the same with psql alone."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.conftest import ROOT
from tests.json_reports import parsed


def write(folder: Path) -> tuple[int, dict[str, Any]]:
    out = StringIO()
    try:
        call_command("seed_payment_id", write_scripts=str(folder), format="json", stdout=out)
    except CommandError as error:
        return error.returncode, parsed(out.getvalue())
    return 0, parsed(out.getvalue())


def test_the_scripts_are_written_without_a_database(tmp_path: Path) -> None:
    code, report = write(tmp_path)

    names = ["add_payment_id.ps1", "add_payment_id.sh", "add_payment_id.sql"]
    assert code == 0
    assert sorted(report["facts"]["scripts"]) == [str(tmp_path / each) for each in names]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        assert (tmp_path / name).read_bytes() == (ROOT / "scripts" / name).read_bytes()
    assert os.access(tmp_path / "add_payment_id.sh", os.X_OK)
    assert write(tmp_path)[0] == 0, "they are there already"


@pytest.mark.parametrize("there", [False, True])
def test_no_file_of_others_is_replaced(tmp_path: Path, there: bool) -> None:
    folder = tmp_path if there else tmp_path / "nowhere"
    (tmp_path / "add_payment_id.sql").write_text("SELECT 1;")

    code, report = write(folder)

    assert (code, report["findings"][0]["id"]) == (2, "cannot-write-output")
    assert [path.name for path in tmp_path.iterdir()] == ["add_payment_id.sql"]
    assert (tmp_path / "add_payment_id.sql").read_text() == "SELECT 1;"
