"""--explain prints the page of a finding, of whichever command, without a database."""

from __future__ import annotations

import shlex
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.conftest import ROOT, Ops, environment_for, run

FINDINGS = ROOT / "docs" / "findings"
IDS = sorted({path.stem for path in FINDINGS.glob("*.md")} - {"README"})


@pytest.mark.parametrize("id", IDS)
def test_every_finding_is_explained(id: str, ops: Ops) -> None:
    answer = ops("preflight_migrate", explain=id, database="default", format="text")

    assert answer.code == 0
    assert answer.stdout.startswith(f"# {id}\n")
    assert "## Workaround\n" in answer.stdout
    assert "](" not in answer.stdout


def test_an_explanation_needs_no_database() -> None:
    env = environment_for("postgres://nobody@127.0.0.1:1/nowhere")
    argv = ("manage.py", "preflight_migrate", "--settings=staging_settings", "--explain")

    answer = run(*argv, "missing-column", env=env)

    assert answer.code == 0, answer.stderr
    assert answer.stdout == (FINDINGS / "missing-column.md").read_text(encoding="utf-8")


def test_an_id_that_is_none_names_those_near_to_it(ops: Ops) -> None:
    answer = ops("preflight_migrate", explain="missing-colum", database="default")

    assert answer.code == 2
    assert answer.ids == ["unknown-finding"]
    (finding,) = answer.report["findings"]
    assert "missing-column" in finding["message"]
    [first, *_] = finding["steps"]
    assert first["text"] == "python manage.py preflight_migrate --explain missing-column"
    call_command(*shlex.split(first["text"])[2:], stdout=(said := StringIO()))
    assert said.getvalue().startswith("# missing-column")


@pytest.mark.parametrize("id", ["", "../README", "README", "xyzzy"])
def test_what_is_no_id_at_all_has_no_page(id: str, ops: Ops) -> None:
    answer = ops("preflight_migrate", explain=id, database="default")

    assert answer.code == 2
    assert answer.ids == ["unknown-finding"]


def test_a_page_goes_to_a_file_and_into_json(tmp_path: Path, ops: Ops) -> None:
    file = tmp_path / "page.md"
    json = ops("preflight_migrate", explain="long-lock", database="default")
    ops("preflight_migrate", explain="long-lock", database="default", format="text", output=file)

    assert json.report["facts"]["page"] + "\n" == file.read_text(encoding="utf-8")
