"""Which DO blocks are nothing but statements."""

import pytest

from opsmigrate.sql.grammar import parse
from opsmigrate.sql.plain_blocks import plain_block

PLAIN = {
    "DO $$ BEGIN ALTER TABLE a ADD b int; END $$": ["alter_table_stmt"],
    "DO $$ BEGIN DROP TABLE a;; CREATE TABLE a (b int); END; $$": ["drop_stmt", "create_stmt"],
    "DO 'BEGIN INSERT INTO a VALUES (1); END' LANGUAGE plpgsql": ["insert_stmt"],
    "DO $$ /* c */ BEGIN -- d\n COMMENT ON TABLE a IS 'x;y'; END $$": ["comment_stmt"],
    "DO $$ BEGIN CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1;'; END $$": [
        "create_function_stmt"
    ],
}
OTHERS = [
    "SELECT 1",
    "DO $$ BEGIN END $$",
    "DO $$ BEGIN ALTER TABLE a ADD b int; END $$ LANGUAGE plperl",
    "DO $$ DECLARE b int; BEGIN UPDATE a SET c = b; END $$",
    "DO $$ <<outer>> BEGIN UPDATE a SET c = 1; END $$",
    "DO $$ #variable_conflict use_column\nBEGIN UPDATE a SET c = 1; END $$",
    "DO $$ BEGIN BEGIN UPDATE a SET c = 1; END; END $$",
    "DO $$ BEGIN IF true THEN UPDATE a SET c = 1; END IF; END $$",
    "DO $$ BEGIN UPDATE a SET c = 1; EXCEPTION WHEN OTHERS THEN NULL; END $$",
    "DO $$ BEGIN DROP TABLE a; EXCEPTION WHEN undefined_table OR others THEN NULL; END $$",
    "DO $$ BEGIN DROP TABLE a; EXCEPTION WHEN undefined_table THEN RAISE; NULL; END $$",
    "DO $$ BEGIN DROP TABLE a; EXCEPTION WHEN SQLSTATE '42P01' THEN NULL; END $$",
    "DO $$ BEGIN DROP TABLE a; EXCEPTION WHEN undefined_table THEN NULL; WHEN"
    " undefined_column THEN NULL; END $$",
    "DO $$ BEGIN UPDATE a SET c = 1; COMMIT; END $$",
    "DO $$ BEGIN UPDATE a SET c = 1 WHERE found; END $$",
    "DO $$ BEGIN UPDATE a SET c = 1 RETURNING c; END $$",
    "DO $$ BEGIN DELETE FROM a RETURNING b INTO c; END $$",
    "DO $$ BEGIN SELECT 1; END $$",
    "DO $$ BEGIN PERFORM f(); END $$",
    "DO $$ BEGIN EXECUTE 'DROP TABLE a'; END $$",
    "DO $$ BEGIN DROP INDEX CONCURRENTLY a; END $$",
    "DO $$ BEGIN UPDATE a SET c = 1; UPDATE a SET; END $$",
    "DO $$ BEGIN UPDATE a SET c = 1 END $$",
]


@pytest.mark.parametrize("text", PLAIN)
def test_a_block_of_nothing_but_statements_is_these(text: str) -> None:
    [statement] = parse(text)
    block = plain_block(statement)
    assert block is not None
    assert [each.kind for each in block.statements] == PLAIN[text]
    assert not block.handled


def test_what_a_block_handles_without_doing_anything_is_said_by_its_sqlstates() -> None:
    handler = "EXCEPTION WHEN duplicate_object OR Duplicate_Table THEN NULL; END"
    [statement] = parse(f"DO $$ BEGIN CREATE TABLE a (b int); {handler} $$")
    block = plain_block(statement)
    assert block is not None
    assert block.handled == {"42710", "42P07"}
    assert [each.kind for each in block.statements] == ["create_stmt"]


@pytest.mark.parametrize("text", OTHERS)
def test_what_has_anything_else_in_it_is_none(text: str) -> None:
    [statement] = parse(text)
    assert plain_block(statement) is None
