"""What CONTRIBUTING.md shows, run: a rule, an acceptance check, the seed of another column."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from opsmigrate import uat
from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from tests.acceptance import accept, check_of
from tests.conftest import ROOT, Ops, execute, query
from tests.guards.test_docs import sections
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist

RULE, CHECK, SEED = "Add a preflight rule", "Add an acceptance check", "Seed another column"
# The parts of the tree that the tests of a rule need.
PARTS = ("opsmigrate", "treasury", "tests", "scripts", "docs")
ABOUT_THE_RULE = (
    "tests/guards/test_docs.py",
    "tests/integration/test_findings_pages.py",
    "tests/integration/test_preflight_pairs.py",
)
EXAMPLES = {
    "Bad": """
```sql
CREATE INDEX early ON zoo_cage (name);
```

```python
operations = [
    migrations.AddIndex("cage", models.Index(fields=["name"], name="late")),
]
```

```sql harm
SELECT count(*) = 2 FROM pg_index
WHERE indrelid = 'zoo_cage'::regclass AND pg_get_indexdef(indexrelid, 1, true) = 'name';
```
""",
    "Good": """
```python
operations = [
    migrations.AddIndex("cage", models.Index(fields=["size"], name="late")),
]
```
""",
}


def blocks(section: str, language: str) -> list[str]:
    """Return the blocks of a section of CONTRIBUTING.md, without their indent."""
    text = sections((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))[section]
    found = re.findall(rf"^( *)```{language}\n(.+?)\n\1```$", text, re.M | re.S)
    return [textwrap.dedent(body) + "\n" for _, body in found]


def executed(code: str) -> dict[str, Any]:
    """Return the names of a module with this code."""
    names: dict[str, Any] = {"__name__": "contributed"}
    exec(code, names)  # noqa: S102
    return names


def test_the_rule_reports_what_is_wrong_and_its_step_cures_it(
    empty_database: str, write_migrations: Write, typist: Typist
) -> None:
    connection = connections[empty_database]
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    execute(connection, "CREATE INDEX early ON zoo_cage (name)")
    rule = executed(blocks(RULE, "python")[0])["find_index_twice"]

    def found(*columns: str) -> list[dict[str, Any]]:
        ledger = Ledger()
        catalog = read_catalog(connection)
        walk = SchemaWalk(connection, catalog, ledger, rows=lambda _: 0, seed_step=lambda *_: None)
        rule(walk, walk.schema.table("zoo_cage"), columns)
        return [asdict(each) for each in ledger.findings]

    (finding,) = found("name")
    assert finding["id"] == "index-twice"
    assert found("size") == found() == []
    assert typist.type(empty_database, finding) == []
    assert found("name") == []


@pytest.mark.usefixtures("own_registry")
def test_the_acceptance_check_passes_and_fails(migrated: str, ops: Ops, tmp_path: Path) -> None:
    names = executed(blocks(CHECK, "python")[0])
    assert names["payees_named"].__doc__
    assert names["uat"] is uat

    good = accept(ops, migrated, tmp_path, check=["payees-named"])
    execute(
        connections[migrated],
        "UPDATE treasury_payment SET payee = '' WHERE id IN (SELECT min(id) FROM treasury_payment)",
    )
    bad = accept(ops, migrated, tmp_path, check=["payees-named"])

    assert (good.code, check_of(good, "payees-named")["message"]) == (
        0,
        "200 payments, each with a payee",
    )
    assert bad.code == 1
    assert "1 of 200 payments have no payee" in bad.report["findings"][0]["message"]
    assert bad.report["findings"][0]["steps"]


def test_the_columns_are_seeded_as_typed(staging: str, ops: Ops) -> None:
    execute(connections[staging], "ALTER TABLE treasury_payment DROP memo, DROP status CASCADE")

    for line in blocks(SEED, "sh")[0].splitlines():
        words = shlex.split(line)
        assert words[:3] == ["python", "manage.py", "backfill_field"]
        answer = ops(*words[2:], database=staging)
        assert (answer.code, answer.report["facts"]["nulls"]) == (0, 0), answer.stdout
        assert ops(*words[2:], database=staging).report["facts"].get("seeded", 0) == 0

    held = "SELECT DISTINCT status, memo FROM treasury_payment"
    assert query(staging, held) == [("draft", "none")]


@pytest.fixture
def copy(tmp_path: Path, server_url: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs Python in a copy of the project's tree."""
    for part in PARTS:
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / part, tmp_path / part, ignore=ignored)
    for file in [*ROOT.glob("*.py"), *ROOT.glob("*.md"), ROOT / "pyproject.toml"]:
        shutil.copy(file, tmp_path)

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *argv],
            cwd=tmp_path,
            env={**os.environ, "OPSMIGRATE_TEST_DATABASE_URL": server_url},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.mark.long
def test_a_rule_is_added_as_it_is_written(
    copy: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    test = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *ABOUT_THE_RULE, "-k", "index-twice")
    write, _ = blocks(RULE, "sh")[0].splitlines()
    made = copy(*shlex.split(write, comments=True)[1:])
    assert made.returncode == 0, made.stderr

    before = copy(*test)
    assert before.returncode == 1, before.stdout
    assert "2 failed" in before.stdout or "3 failed" in before.stdout, before.stdout

    (tmp_path / "opsmigrate/preflight/walk/index_twice.py").write_text(blocks(RULE, "python")[0])
    called_in = tmp_path / "opsmigrate/preflight/walk/index_and_constraint_sql.py"
    text = called_in.read_text(encoding="utf-8")
    head, _, tail = text.partition("    walk.require_free_name(table, name)\n")
    call = "    find_index_twice(walk, table, columns)\n"
    module = "from opsmigrate.preflight.walk.index_twice import find_index_twice\n"
    first = "from opsmigrate.preflight.walk.index_rows import"
    called_in.write_text(head.replace(first, module + first) + call + tail, encoding="utf-8")
    page = tmp_path / "docs/findings/index-twice.md"
    said, _, _ = page.read_text(encoding="utf-8").partition("## Bad example")
    said = re.sub(r"<!-- no steps: .+ -->\n\n", "", said).replace("TO WRITE: ", "")
    examples = "\n".join(f"## {name} example\n{text}" for name, text in EXAMPLES.items())
    page.write_text(f"{said}{examples}", encoding="utf-8")

    after = copy(*test)
    assert after.returncode == 0, after.stdout
