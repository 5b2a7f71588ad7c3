"""A name may hold anything; on a terminal it is a name and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.shown import ACTING, shown
from tests.aliases import alias_of
from tests.backups import act_as
from tests.conftest import Answer, Ops, execute

pytestmark = pytest.mark.adversary

FORGED = "PASSED: all is well"
HOSTILE = f"a\x1b[31m\u202eb\x07\x9b\n{FORGED}\r\x7f\u2066\u200f\u2028"
# What a report says by itself.
LAYOUT = re.compile("\n")


def require_plain(answer: Answer, *files: Path) -> None:
    texts = [answer.stdout, answer.stderr]
    texts += [file.read_text("utf-8") for file in files if file.suffix == ".txt"]
    for text in texts:
        forged = [line for line in text.splitlines() if line.strip().startswith(FORGED)]
        assert not forged, text
    # A page or an XML file has no lines, but a browser turns the direction of reading too.
    for text in (*texts, *(file.read_text("utf-8") for file in files)):
        assert not ACTING.search(LAYOUT.sub("", text)), text


@pytest.fixture
def hostile(new_database: Callable[..., str]) -> str:
    """Return the alias of a database in which each name is hostile, its own too."""
    alias = new_database(HOSTILE[:30])
    schema, table = sql.Identifier(f"s{HOSTILE}"[:40]), sql.Identifier(f"t{HOSTILE}"[:40])
    for statement in (
        sql.SQL("CREATE SCHEMA {}").format(schema),
        sql.SQL("CREATE TABLE {}.{} (id serial, {} text)").format(
            schema, table, sql.Identifier(f"c{HOSTILE}"[:40])
        ),
        sql.SQL("INSERT INTO {}.{} DEFAULT VALUES").format(schema, table),
    ):
        execute(connections[alias], statement)
    return alias


def test_no_text_that_goes_out_obeys_a_name(
    hostile: str, ops: Ops, tmp_path: Path, role: Callable[..., dict[str, str]]
) -> None:
    folder, reports = tmp_path / "backups", tmp_path / "reports"
    given = {"database": hostile, "format": "text", "verbosity": 3}
    folder.mkdir()
    (folder / f"{HOSTILE[:40]}.json").write_text("{}")

    taken = ops("backup_db", directory=str(folder), verify="restore", **given)
    assert taken.code == 0, taken.stdout
    [file] = folder.glob("*.dump")
    answers = [
        taken,
        ops("backup_db", directory=str(folder), list=True, **given),
        ops("backup_db", directory=str(folder), exclude_table_data=[HOSTILE], **given),
        ops("verify_backup", str(file), level="restore", **given),
        ops("verify_backup", HOSTILE, **given),
        ops("restore_db", str(file), into=f"x{HOSTILE}"[:30], **given),
        ops("restore_db", str(file), into=f"x{HOSTILE}"[:30], **given),
        ops("restore_db", str(file), no_input=True, **given),
        ops("restore_db", undo=True, no_input=True, **given),
        ops("preflight_migrate", rehearse="clone", **given),
        ops("preflight_migrate", HOSTILE, **given),
        ops("seed_payment_id", model=HOSTILE, field="x", **given),
        ops("run_uat", report_dir=str(reports), check=["migrations-on-disk"], **given),
        ops("run_uat", check=[HOSTILE], report_dir=str(reports), **given),
        ops("run_uat", baseline=str(tmp_path / HOSTILE), report_dir=str(reports), **given),
        ops("backup_db", **{**given, "database": HOSTILE}),
    ]
    with alias_of(HOSTILE, **connections[hostile].settings_dict) as alias:
        answers.append(ops("backup_db", directory=str(folder), **{**given, "database": alias}))
    connections[hostile].close()

    for answer in answers:
        require_plain(answer)
    for report in reports.iterdir():
        require_plain(answers[0], report)
    execute(connections["default"], "SELECT 1")
    for name in (f"x{HOSTILE}"[:30],):
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        execute(connections["default"], drop)


def test_a_table_that_may_not_be_read_is_named_plainly(
    hostile: str, ops: Ops, tmp_path: Path, role: Callable[..., dict[str, str]]
) -> None:
    act_as(hostile, role())

    answer = ops("backup_db", database=hostile, directory=str(tmp_path), format="text")

    assert answer.code == 4
    assert r"\x1b[31m\u202eb" in answer.stdout
    require_plain(answer)


@pytest.mark.parametrize("character", [*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff",
    "\ud800"])  # fmt: skip
def test_each_character_that_acts_is_escaped(character: str) -> None:
    assert shown(f"a{character}b").isascii()
    assert shown(f"a{character}b").isprintable()
    kept = character in "\n\t"
    assert (shown(character, lines=True) == character) is kept


def test_letters_of_any_script_stay_as_they_are() -> None:
    for text in ("ü é 中文 עברית العربية", "👩\u200d💻", "a\\b 'c' \"d\""):
        assert shown(text) == text
