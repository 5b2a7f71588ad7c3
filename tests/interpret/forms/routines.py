"""Functions, procedures and code."""

from __future__ import annotations

from tests.interpret.forms.draw import Draw, form

FUNCTIONS = ("plus", "fired", "over", "unused", "absent")


def _arguments(d: Draw) -> str:
    return d.one(("", "int", "text", "int, int", "int DEFAULT 1"))


@form(1.5)
def create_function(d: Draw) -> str:
    replace = d.words("OR REPLACE", share=0.5)
    name = d.one((*FUNCTIONS[1:4], d.new()))
    returns = d.one(("int", "int", "text", "trigger"))
    if returns == "trigger":
        body = "LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
        return f"CREATE{replace} FUNCTION {name}() RETURNS trigger {body}"
    words = d.words("IMMUTABLE", "STABLE STRICT", "SECURITY DEFINER", share=0.5)
    result = "'SELECT 1'" if returns == "int" else "$$SELECT 'a'$$"
    head = f"CREATE{replace} FUNCTION {name}({_arguments(d)}) RETURNS {returns}"
    return f"{head} LANGUAGE sql{words} AS {result}"


@form(1)
def drop_function(d: Draw) -> str:
    arguments = f"({d.one(('', 'int', 'text', 'int, int'))})" if d.maybe(0.8) else ""
    exists, cascade = d.words("IF EXISTS", share=0.3), d.words("CASCADE", share=0.2)
    return f"DROP FUNCTION{exists} {d.one(FUNCTIONS)}{arguments}{cascade}"


@form(0.5)
def alter_function(d: Draw) -> str:
    what = d.one(("STABLE", "SET SCHEMA public", "RENAME TO renamed", "STRICT", "RESET ALL"))
    return f"ALTER FUNCTION {d.one(('plus(int, int)', 'unused()', 'over(int)', 'absent()'))} {what}"


@form(0.3)
def create_procedure(d: Draw) -> str:
    return f"CREATE OR REPLACE PROCEDURE {d.new()}(a int) LANGUAGE sql AS 'SELECT 1'"


@form(0.2)
def code(d: Draw) -> str:
    return d.one(("DO $$BEGIN NULL; END$$", "CALL nothing()", "SELECT plus(1, 2)", "SELECT 1"))


@form(0.6)
def settings(d: Draw) -> str:
    return d.one(
        (
            "SET lock_timeout = '3s'",
            "RESET lock_timeout",
            "SET LOCAL statement_timeout = 0",
            "SET search_path = app, public",
            "SHOW search_path",
        )
    )
