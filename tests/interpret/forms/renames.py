"""RENAME of everything, and comments."""

from __future__ import annotations

from tests.interpret.forms.columns import altered
from tests.interpret.forms.constraints import constraint
from tests.interpret.forms.draw import Draw, form
from tests.interpret.forms.indexes import index


@form(3)
def rename_column(d: Draw) -> str:
    table, words = altered(d, "rrrpvm")
    return f"{words} RENAME{d.words('COLUMN')} {d.column(table)} TO {d.new()}"


@form(2)
def rename_relation(d: Draw) -> str:
    word, kinds = d.one(
        (("TABLE", "rp"), ("TABLE", "rpvS"), ("VIEW", "v"), ("SEQUENCE", "S"), ("INDEX", "r"))
    )
    exists = d.words("IF EXISTS", share=0.1)
    name = index(d) if word == "INDEX" and d.maybe(0.8) else d.name(d.relation(kinds).name)
    return f"ALTER {word}{exists} {name} RENAME TO {d.new()}"


@form(1.5)
def rename_constraint(d: Draw) -> str:
    table, words = altered(d)
    return f"{words} RENAME CONSTRAINT {constraint(d, table, 'cupfxn')} TO {d.new()}"


@form(0.7)
def rename_part(d: Draw) -> str:
    table = d.relation("r")
    if table.policies and d.maybe():
        name = d.quoted(d.one(sorted(table.policies)))
        return f"ALTER POLICY {name} ON {d.name(table.name)} RENAME TO p9"
    name = d.quoted(d.one(sorted(table.triggers) or ["absent"]))
    return f"ALTER TRIGGER {name} ON {d.name(table.name)} RENAME TO {d.new()}"


@form(0.7)
def rename_type(d: Draw) -> str:
    types = sorted(d.schema.types)
    name = d.name(d.one(types)) if types and d.maybe(0.9) else "absent"
    return f"ALTER TYPE {name} RENAME TO {d.new()}"


@form(0.5)
def rename_schema(d: Draw) -> str:
    return f"ALTER SCHEMA {d.one(('other', 'spare', 'absent'))} RENAME TO {d.one(('spare', 'app'))}"


@form(1)
def comment(d: Draw) -> str:
    table = d.relation("rpv")
    name = d.name(table.name)
    what = d.one(
        (
            f"TABLE {name}",
            f"COLUMN {name}.{d.column(table)}",
            f"CONSTRAINT {constraint(d, table, 'cupf')} ON {name}",
            f"INDEX {index(d)}",
            "TYPE mood",
            "SCHEMA app",
            "FUNCTION plus(int, int)",
        )
    )
    return f"COMMENT ON {what} IS {d.one(('NULL', repr('words')))}"
