"""The steps of a finding, typed literally as a person would, and which values were lost by it.

SQL goes through a real psql, line by line, as the role that migrates; where the hint
says that a superuser types it, as the server's. `python manage.py …` is split as a shell splits it.
It runs as a process in the project's folder where the migrations stand in files of the project. The
migrations of the app zoo exist only in the settings of the running test, and its database only
under an alias of this process, so there the very same words go through call_command.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.pgtools.embedded import find_bindirs
from tests.conftest import ROOT, url_of

FOREIGN = "n.nspname ~ '^pg_' OR n.nspname = 'information_schema'"
# Kept by number: a table or column that is renamed is the same one.
COLUMNS = f"""
SELECT c.oid::bigint, n.nspname, c.relname, a.attnum, a.attname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND NOT ({FOREIGN})
ORDER BY c.oid, a.attnum
"""
MANAGE = ["python", "manage.py"]
# What they say about the database is their answer and no failure of the step.
JUDGES = {"preflight_migrate", "run_uat"}


@dataclass(frozen=True)
class Table:
    """A table's columns by number, and its rows as texts in that order."""

    name: str
    columns: Mapping[int, str]
    rows: Sequence[tuple[str | None, ...]]

    def only(self, numbers: Sequence[int]) -> Counter[tuple[str | None, ...]]:
        """Return how often each row is there, of these columns only."""
        places = [list(self.columns).index(number) for number in numbers]
        return Counter(tuple(row[place] for place in places) for row in self.rows)


Contents = Mapping[int, Table]


def contents(alias: str) -> Contents:
    """Return every row of every table of the project's, whoever may read it."""
    superuser = connections[alias].copy()
    superuser.settings_dict = {**superuser.settings_dict, **account_of_superuser(alias)}
    try:
        with superuser.cursor() as cursor:
            return contents_seen(cursor)
    finally:
        superuser.close()


def contents_seen(cursor: Any) -> Contents:
    """Return every row that the cursor's session sees, in its transaction."""
    found: dict[int, Table] = {}
    cursor.execute(COLUMNS)
    described = cursor.fetchall()
    for oid in dict.fromkeys(row[0] for row in described):
        of_it = [row for row in described if row[0] == oid]
        columns = {number: name for *_, number, name in of_it if number is not None}
        texts = [sql.SQL("{}::text").format(sql.Identifier(each)) for each in columns.values()]
        schema, name = of_it[0][1:3]
        select = sql.SQL("SELECT {} FROM ONLY {}").format(
            sql.SQL(", ").join(texts), sql.Identifier(schema, name)
        )
        cursor.execute(select)
        found[oid] = Table(f"{schema}.{name}", columns, cursor.fetchall())
    return found


def losses(before: Contents, after: Contents) -> list[str]:
    """Return in words which values are no longer there; rows and columns may have come."""
    found = []
    for oid, table in before.items():
        if oid not in after:
            if table.rows:
                found.append(f"table {table.name} is gone with {len(table.rows)} row(s)")
            continue
        for place, (number, name) in enumerate(table.columns.items()):
            values = [row[place] for row in table.rows if row[place] is not None]
            if number not in after[oid].columns and values:
                found.append(f"column {table.name}.{name} is gone with {len(values)} value(s)")
        both = [number for number in table.columns if number in after[oid].columns]
        gone = table.only(both) - after[oid].only(both)
        if gone:
            found.append(f"{table.name}: {gone.total()} row(s) lost or changed, as {min(gone)!r}")
    return found


def kept_nowhere(before: Contents, after: Contents) -> list[str]:
    """Return the rows that are no longer as they were, and that no table which has come keeps."""
    came = [table for oid, table in after.items() if oid not in before]
    found = []
    for oid, table in before.items():
        if oid not in after or not table.rows:
            continue
        names = list(table.columns.values())
        kept = [row for each in came if list(each.columns.values()) == names for row in each.rows]
        gone = Counter(table.rows) - Counter(after[oid].rows) - Counter(kept)
        found += [f"{table.name}: {row!r}" for row in gone]
    return found


@dataclass(frozen=True)
class Typist:
    """Types the steps of findings, and counts them for the line at the end of the test run."""

    node: pytest.Item

    def type(
        self,
        alias: str,
        finding: Mapping[str, Any],
        *,
        alternative: int = 1,
        process: Mapping[str, str] | None = None,
        folder: Path = ROOT,
    ) -> list[str]:
        """Type the steps of one alternative; return in words which values are gone by them.

        `finding` is one of a JSON report, and `process` the environment in which manage.py is
        started as a process of its own, in the `folder` of the project. A step that fails is an
        AssertionError.
        """
        steps = [step for step in finding["steps"] if step["alternative"] == alternative]
        assert steps, f"{finding['id']} has no steps {alternative}: {finding}"
        before = contents(alias)
        # What holds locks, or a snapshot, is the session of nobody who types.
        connections[alias].close()
        for kind, group in groupby(steps, key=lambda step: step["kind"]):
            texts = [str(step["text"]) for step in group]
            assert "…" not in " ".join(texts)
            if kind == "sql":
                # In one session of psql, as one goes down the lines.
                psql(alias, *texts, superuser="superuser" in (finding["hint"] or ""))
            for text in texts if kind == "command" else ():
                if process is not None:
                    _as_process(text, process, folder)
                else:
                    _in_this_process(text)
            for _ in texts:
                self.typed(finding["id"])
        return losses(before, contents(alias))

    def type_each(
        self, alias: str, findings: Iterable[Mapping[str, Any]], *, alternative: int = 1
    ) -> int:
        """Type the steps of findings, those that several share only once; return of how many.

        What is lost by them without a word is an AssertionError.
        """
        typed: list[Any] = []
        for finding in findings:
            if finding["steps"] and finding["steps"] not in typed:
                typed.append(finding["steps"])
                gone = self.type(alias, finding, alternative=alternative)
                assert unannounced(finding, gone, alternative=alternative) == []
        return len(typed)

    def typed(self, id: str) -> None:
        """Count a step of a finding."""
        self.node.user_properties.append(("step of", id))


def unannounced(finding: Mapping[str, Any], gone: list[str], *, alternative: int = 1) -> list[str]:
    """Return the losses, unless the risk of a typed step says that it takes or changes values."""
    risks = " ".join(
        step["risk"] or "" for step in finding["steps"] if step["alternative"] == alternative
    )
    words = ("changes", "deletes", "loses")
    return [] if any(word in risks for word in words) else gone


def shows_only(finding: Mapping[str, Any]) -> bool:
    """Say whether the steps only show rows: what becomes of them, a person must decide."""
    return all(step["text"].startswith(("SELECT ", "SET ")) for step in finding["steps"])


def alternatives(finding: Mapping[str, Any]) -> list[int]:
    """Return the numbers of the ways that a finding offers."""
    return sorted({step["alternative"] for step in finding["steps"]})


def account_of_superuser(alias: str) -> dict[str, str]:
    """Return the superuser's settings; on a server of its own, the alias is one."""
    ours, default = connections[alias].settings_dict, connections["default"].settings_dict
    if (ours["HOST"], str(ours["PORT"])) != (default["HOST"], str(default["PORT"])):
        return {}
    return {key: default[key] for key in ("USER", "PASSWORD")}


def psql(alias: str, *statements: str, superuser: bool = False) -> str:
    """Type statements into psql, as the alias's role or as the server's superuser."""
    changes = account_of_superuser(alias) if superuser else {}
    options = connections[alias].settings_dict["OPTIONS"]
    env = {**os.environ, "PGOPTIONS": options.get("options", "")}
    argv = [str(max(find_bindirs().items())[1] / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1"]
    done = subprocess.run(
        [*argv, "-d", url_of(alias, **changes), "-f", "-"],
        input="\n".join(statements),
        capture_output=True,
        text=True,
        timeout=60,
        env=env,
        check=False,
    )
    if done.returncode:
        # Without what assert tells besides: the URL has a password.
        raise AssertionError(f"{' '.join(statements)}\n{done.stderr}")
    return done.stdout


def _in_this_process(text: str) -> None:
    variables, (name, *arguments) = _split(text)
    out = StringIO()
    try:
        with mock.patch.dict(os.environ, variables):
            call_command(name, *arguments, stdout=out, stderr=out)
    except Exception as error:  # what migrate raises is anybody's guess
        if name not in JUDGES or not isinstance(error, CommandError):
            raise AssertionError(f"{text}\n{error}\n{out.getvalue()}") from error


def _split(text: str) -> tuple[dict[str, str], list[str]]:
    """Return the variables before a command of manage.py, and its name with its arguments."""
    words = shlex.split(text)
    start = words.index(MANAGE[0])
    assert words[start : start + 2] == MANAGE, text
    variables = dict(word.split("=", 1) for word in words[:start])
    return variables, words[start + 2 :]


def _as_process(text: str, env: Mapping[str, str], folder: Path) -> None:
    variables, argv = _split(text)
    done = subprocess.run(
        [sys.executable, "manage.py", *argv],
        cwd=folder,
        env={**env, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0 or argv[0] in JUDGES, f"{text}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def typist(request: pytest.FixtureRequest) -> Typist:
    """Return who types the steps of findings."""
    return Typist(request.node)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many steps the tests typed, and of how many findings."""
    ids = list(_typed(terminalreporter))
    if ids:
        terminalreporter.write_line(
            f"steps typed by tests: {len(ids)}, of {len(set(ids))} finding ids"
        )


def _typed(terminalreporter: Any) -> Iterator[str]:
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            if report.when == "call":
                yield from (value for name, value in report.user_properties if name == "step of")
