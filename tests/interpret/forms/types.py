"""Enums, domains, composite types, collations, extensions."""

from __future__ import annotations

from opsmigrate.preflight.interpret.schema import Type
from tests.interpret.forms.draw import Draw, form


def _type(d: Draw, kind: str) -> Type | None:
    every = [each for each in d.schema.types.values() if each.kind == kind]
    return d.one(sorted(every, key=lambda each: each.name)) if every and d.maybe(0.95) else None


def _named(d: Draw, kind: str) -> str:
    found = _type(d, kind)
    return d.name(found.name) if found else "absent"


@form(1)
def create_enum(d: Draw) -> str:
    labels = d.one(("'a', 'b'", "", "'a', 'a'", "'x'"))
    return f"CREATE TYPE {d.new_relation()} AS ENUM ({labels})"


@form(1.5)
def add_value(d: Draw) -> str:
    exists = d.words("IF NOT EXISTS", share=0.3)
    label = d.one(("sad", "new", "odd", "b", "grand"))
    place = d.words("BEFORE 'sad'", "AFTER 'happy'", share=0.3)
    return f"ALTER TYPE {_named(d, 'e')} ADD VALUE{exists} '{label}'{place}"


@form(0.7)
def rename_value(d: Draw) -> str:
    found = _type(d, "e")
    label = d.one([*found.labels, "absent"]) if found else "absent"
    name = d.name(found.name) if found else "absent"
    return f"ALTER TYPE {name} RENAME VALUE '{label}' TO '{d.one(('sad', 'new', 'odd'))}'"


@form(1)
def create_domain(d: Draw) -> str:
    more = d.words("NOT NULL", "CHECK (VALUE IS NOT NULL)", "DEFAULT '1'", share=0.5)
    base = d.one(("int", "text", "varchar(3)", "positive"))
    return f"CREATE DOMAIN {d.new_relation()} AS {base}{more}"


@form(1.5)
def alter_domain(d: Draw) -> str:
    found = _type(d, "d")
    name = d.name(found.name) if found else "absent"
    what = d.one(
        (
            "SET NOT NULL",
            "DROP NOT NULL",
            f"SET DEFAULT {d.one(('1', '-1', 'NULL'))}",
            "DROP DEFAULT",
            f"ADD CONSTRAINT {d.new()} CHECK (VALUE IS NOT NULL)",
            f"ADD CHECK (VALUE <> '9'){d.words('NOT VALID', share=0.4)}",
            f"DROP CONSTRAINT {d.quoted(d.one([*(found.checks if found else ()), 'absent']))}",
        )
    )
    return f"ALTER DOMAIN {name} {what}"


@form(0.7)
def create_composite(d: Draw) -> str:
    return f"CREATE TYPE {d.new_relation()} AS (a int, b {d.type()})"


@form(0.5)
def alter_composite(d: Draw) -> str:
    what = d.one(("ADD ATTRIBUTE c int", "DROP ATTRIBUTE b", "ALTER ATTRIBUTE a TYPE bigint"))
    return f"ALTER TYPE {d.one(('pair', 'loose_pair'))} {what}"


@form(1)
def drop_type(d: Draw) -> str:
    exists, cascade = d.words("IF EXISTS", share=0.2), d.words("CASCADE", share=0.2)
    if d.maybe():
        return f"DROP DOMAIN{exists} {_named(d, 'd')}{cascade}"
    return f"DROP TYPE{exists} {_named(d, d.one(('e', 'e', 'c')))}{cascade}"


@form(0.4)
def create_collation(d: Draw) -> str:
    return f"CREATE COLLATION {d.new()} (locale = 'C')"
