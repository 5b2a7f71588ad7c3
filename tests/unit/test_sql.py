"""PostgreSQL's grammar: statements, their parts, tokens of bodies; what cannot be parsed."""

import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from opsmigrate.sql import libpg_query
from opsmigrate.sql.bodies import body_of, executed, names_in, normal_form
from opsmigrate.sql.grammar import constant, parse, scan
from opsmigrate.sql.statement import NotParsedError


def test_a_text_is_split_as_the_server_splits_it() -> None:
    text = (
        "SELECT ';' -- ; /*\n; /* a /* ; */ b */ DO $$ BEGIN; END $$;; COMMENT ON TABLE t IS 'ü;'"
    )

    statements = parse(text)

    assert [each.kind for each in statements] == ["select_stmt", "do_stmt", "comment_stmt"]
    assert statements[2].text == "COMMENT ON TABLE t IS 'ü;'"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1; \0 DROP TABLE t",
        "SELECT '\ud800'",
        "SELECT " + "1 || " * 20_000 + "1",
        "SELECT " + "(" * 20_000,
        "SELECT 'unfinished",
        "NONSENSE",
    ],
    ids=["NUL", "surrogate", "depth", "brackets", "literal", "syntax"],
)
def test_what_cannot_be_parsed_is_said_in_one_line(text: str) -> None:
    with pytest.raises(NotParsedError) as caught:
        parse(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "literal", ["'a''b'", "E'a\\'b'", "$$a'b$$", "$x$a'b$x$", "U&'a\\0027b'", "'a'\n'''b'"]
)
def test_a_constant_is_read_whatever_its_quotes(literal: str) -> None:
    assert constant(literal) == "a'b"


def test_the_words_of_a_body_have_neither_comments_nor_literals() -> None:
    body = """BEGIN -- drop database
 PERFORM "F"(1, 'drop role'), U&"\\0064"; /* a /* b */ c */ END"""

    expected = """BEGIN "perform" "F" ( 1 , '' ) , "d" ; END"""
    assert normal_form(scan(body)) == expected


EXECUTED = {
    "EXECUTE 'a' USING 1;": ["a"],
    "EXECUTE $q$a$q$;": ["a"],
    "EXECUTE 'a' || 'b';": [None],
    "EXECUTE r.command;": [None],
    "EXECUTE format('ALTER TABLE %I ADD %I text DEFAULT %L', a, b, c);": [
        """ALTER TABLE "?" ADD "?" text DEFAULT '?'"""
    ],
    "EXECUTE format('ALTER %s', a);": [None],
    "EXECUTE format('SELECT %I', a) || b;": [None],
    "EXECUTE format('a' || b);": [None],
    "FOR r IN EXECUTE 'a' LOOP": ["a"],
    "GRANT EXECUTE ON FUNCTION f TO r;": [],
    "CREATE TRIGGER t BEFORE INSERT ON t EXECUTE FUNCTION f();": [],
    "RAISE NOTICE 'EXECUTE x';": [],
}


@pytest.mark.parametrize(("body", "expected"), EXECUTED.items(), ids=EXECUTED.keys())
def test_what_a_body_executes(body: str, expected: list[str | None]) -> None:
    assert list(executed(scan(body))) == expected


def test_bodies_of_blocks_and_functions() -> None:
    text = (
        "DO LANGUAGE plpython3u 'x'; DO 'y';"
        "CREATE FUNCTION f() RETURNS int LANGUAGE PLpgSQL AS $$z$$;"
        "CREATE FUNCTION g() RETURNS int RETURN 1; SELECT 1"
    )

    found = [body_of(each) for each in parse(text)]

    assert [(body.language, body.text) if body else None for body in found] == [
        ("plpython3u", "x"),
        ("plpgsql", "y"),
        ("plpgsql", "z"),
        ("sql", None),
        None,
    ]
    assert "w" in names_in("DO 'BEGIN EXECUTE ''SELECT w()''; END'")


def test_the_grammar_is_loaded_when_it_is_needed_and_nothing_else_of_its_package() -> None:
    code = (
        "import sys, opsmigrate.sql.grammar, opsmigrate.preflight.rehearsal.rehearse as run\n"
        "assert 'google.protobuf' not in sys.modules\n"
        "opsmigrate.sql.grammar.parse('SELECT 1')\n"
        "assert 'google.protobuf' in sys.modules\n"
        "assert 'postgast' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_where_the_files_of_the_grammar_are_elsewhere_its_package_is_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = ModuleSpec("postgast", None)
    elsewhere.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(libpg_query, "find_spec", lambda name: elsewhere)
    found = libpg_query.load()

    assert found.messages.__name__ == "postgast.pg_query_pb2"
    assert found.deparse(found.parse(b"SELECT  1")) == "SELECT 1"
    with pytest.raises(libpg_query.ParseError, match="syntax error"):
        found.parse(b"SELECT FROM FROM")
