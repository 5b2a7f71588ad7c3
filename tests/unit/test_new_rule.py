"""scripts/new_rule.py writes what a rule is made of, or says in a sentence why not."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from runpy import run_path

import pytest

from scripts import new_rule
from tests.conftest import ROOT
from tests.guards.test_docs import SECTIONS, finding_ids, sections
from tests.guards.test_findings_index import Page
from tests.integration.pairs import PAIRS

KINDS = [
    ("too-wide", "walk", False),
    ("too-wide", "walk", True),
    ("too-wide", "forecast", False),
    ("too-wide", "live", False),
    ("too-wide", "live", True),
    ("too-wide", "recovery", False),
    ("drift-too-wide", "drift", False),
]
LONGEST_LINE = 100


def _exists(path: str, tree: Path) -> bool:
    return (ROOT / path).exists() or (tree / path).exists()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of what the script reads, in which it writes."""
    for part in (new_rule.PAGES, new_rule.PREFLIGHT, Path("opsmigrate", "schema")):
        shutil.copytree(ROOT / part, tmp_path / part)
    (tmp_path / new_rule.PAIRS.parent).mkdir(parents=True)
    shutil.copy(ROOT / new_rule.PAIRS, tmp_path / new_rule.PAIRS)
    monkeypatch.setattr(new_rule, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("id", "kind", "warning"), KINDS)
def test_it_writes_code_with_the_id_and_a_page_with_its_line(
    id: str, kind: str, warning: bool, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tree / new_rule.PAGES / "README.md").read_text(encoding="utf-8").splitlines()

    new_rule.main([id, "--kind", kind, *(["--warning"] if warning else [])])

    said = capsys.readouterr().out
    module = next(line for line in said.splitlines() if line.endswith("too_wide.py"))
    code = (tree / module).read_text(encoding="utf-8")
    assert finding_ids([ast.parse(code)]) == {id}
    assert max(map(len, code.splitlines())) <= LONGEST_LINE
    exec(compile(code, module, "exec"), {"__name__": "stub"})  # noqa: S102 - all imports are there
    page = (tree / new_rule.PAGES / f"{id}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {id}\n")
    assert list(sections(page)) == SECTIONS
    assert re.search(r"\n\n(Said|Reported) by `preflight_migrate`.+\.\n\n", page)
    assert ("```python" in page) == ("<!-- no steps: " in page) == (kind != "drift")
    assert ("```sql harm" in page) == (warning or kind == "forecast")
    after = (tree / new_rule.PAGES / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = [each for each in after if each not in before]
    head = next(each for each in before if each.startswith("| id |"))
    assert line.count(" | ") == head.count(" | ")
    _, summary, reported = page.partition("\n## ")[0].strip().split("\n\n")
    assert line == Page(id, summary, reported).row, "what is written from the page is the same"
    assert [each for each in after if each != line] == before
    ids = [each.partition("]")[0] for each in after if each.startswith("| [")]
    assert ids == sorted(ids)
    assert new_rule.MARK in code
    assert new_rule.MARK in page
    assert f"find_{id.replace('-', '_')}(" in said
    assert f"python -m pytest -k {id}" in said
    named = re.findall(r"[\w/-]+/[\w-]+\.(?:py|md)", said)
    assert [each for each in named if not _exists(each, tree)] == []


def test_the_code_that_it_writes_uses_what_is_there(tmp_path: Path) -> None:
    """Only mypy sees an attribute that has another name by now. And the rule of CONTRIBUTING.md."""
    recipe = sections((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    [shown] = re.findall(r"^```python\n(.+?)^```", recipe["Add a preflight rule"], re.M | re.S)
    (tmp_path / "shown.py").write_text(shown, encoding="utf-8")
    for name, kind in new_rule.KINDS.items():
        rule = new_rule.Rule(f"stub-of-{name}", kind, kind.severities[0])
        (tmp_path / f"{rule.name}.py").write_text(rule.filled(kind.code), encoding="utf-8")
    mypy = ("-m", "mypy", "--cache-dir", str(tmp_path / "cache"), *map(str, tmp_path.glob("*.py")))
    # Its plugin imports the settings, and whichever driver there is.
    environment = {key: value for key, value in os.environ.items() if "TEST_DRIVER" not in key}

    done = subprocess.run(
        [sys.executable, *mypy],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", new_rule.KINDS)
def test_the_place_where_a_rule_is_called_is_there(name: str) -> None:
    caller = new_rule.KINDS[name].caller
    [file] = re.findall(r"[\w/]+\.py", caller)
    text = (ROOT / file).read_text(encoding="utf-8")

    assert all(f"{function}(" in text for function in re.findall(r"(\w+)\(\)", caller))
    assert caller.count("()") == 1


def test_an_error_of_the_walk_has_a_pair(tree: Path) -> None:
    new_rule.main(["too-wide"])

    *others, pair = run_path(str(tree / new_rule.PAIRS))["PAIRS"]
    assert len(others) == len(PAIRS)
    assert (pair.finding, pair.name.partition(":")[0]) == ("too-wide", "too-wide")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["Too_Wide"], "'Too_Wide' is not an id"),
        ([""], "'' is not an id"),
        (["class"], "'class' is not an id"),
        (["../too"], "'../too' is not an id"),
        (["missing-column"], "the id missing-column is taken: read docs/findings/missing-column."),
        (["altering"], "opsmigrate/preflight/walk/altering.py exists: choose another id"),
        (["drift-too-wide"], "drift-too-wide cannot be of the kind walk"),
        (["too-wide", "--kind", "drift"], "too-wide cannot be of the kind drift"),
        (["drift-wide", "--kind", "drift", "--warning"], "leave --warning out"),
    ],
)
def test_what_cannot_be_an_id_is_refused_in_a_sentence(
    argv: list[str], words: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}

    with pytest.raises(SystemExit, match="2"):
        new_rule.main(argv)

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("new_rule.py: ")
    assert words in said.err
    assert said.err.count("\n") == 1
    assert before == {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
