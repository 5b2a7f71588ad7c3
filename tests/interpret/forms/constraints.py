"""Constraints: added, validated, altered, dropped."""

from __future__ import annotations

from opsmigrate.preflight.interpret.schema import Relation
from tests.interpret.forms.columns import altered
from tests.interpret.forms.draw import Draw, form


def named(d: Draw) -> str:
    """Return CONSTRAINT with a name, or nothing."""
    return f" CONSTRAINT {d.new()}" if d.maybe(0.5) else ""


def constraint(d: Draw, table: Relation, kinds: str) -> str:
    """Return the name of a constraint of the table, of one of these kinds if there is one."""
    fit = [each.name for each in table.constraints.values() if each.kind in kinds]
    if not fit or d.maybe(0.05):
        return "absent"
    return d.quoted(d.one(sorted(fit)))


@form(4)
def add_check(d: Draw) -> str:
    table, words = altered(d)
    more = d.words("NOT VALID", "NO INHERIT", "NOT VALID NO INHERIT", "NOT ENFORCED", share=0.3)
    return f"{words} ADD{named(d)} CHECK ({d.condition(table)}){more}"


@form(4)
def add_unique(d: Draw) -> str:
    table, words = altered(d)
    include = f" INCLUDE ({d.column(table)})" if d.maybe(0.1) else ""
    more = d.words("DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED", share=0.2)
    nulls = d.words("NULLS NOT DISTINCT", share=0.1)
    return f"{words} ADD{named(d)} UNIQUE{nulls} ({d.columns(table, 2)}){include}{more}"


@form(2)
def add_primary_key(d: Draw) -> str:
    table, words = altered(d)
    return f"{words} ADD{named(d)} PRIMARY KEY ({d.columns(table, 2)})"


@form(1.5)
def drop_and_add_primary_key(d: Draw) -> str:
    table, words = altered(d)
    drop = f"DROP CONSTRAINT {constraint(d, table, 'p')}{d.words('CASCADE', share=0.3)}"
    return f"{words} {drop}, ADD PRIMARY KEY ({d.columns(table, 2)})"


@form(1.5)
def add_using_index(d: Draw) -> str:
    table, words = altered(d, "r")
    index = d.quoted(d.one(sorted(table.indexes) or ["absent"]))
    return f"{words} ADD{named(d)} {d.one(('UNIQUE', 'PRIMARY KEY'))} USING INDEX {index}"


@form(1)
def add_exclude(d: Draw) -> str:
    table, words = altered(d)
    where = f" WHERE ({d.condition(table)})" if d.maybe(0.2) else ""
    return f"{words} ADD{named(d)} EXCLUDE ({d.column(table)} WITH {d.one(('=', '&&'))}){where}"


@form(5)
def add_foreign_key(d: Draw) -> str:
    table, words = altered(d)
    target = d.relation("rrp")
    keys = [each.columns for each in target.constraints.values() if each.kind in "pu"]
    columns: list[str] = [d.column(table)]
    to = ""
    if keys and d.maybe(0.8):
        key = d.one(sorted(keys))
        to = f" ({', '.join(map(d.quoted, key))})" if d.maybe(0.6) else ""
        columns = [_like(d, table, target, each) for each in key]
    delete = d.words("ON DELETE CASCADE", "ON DELETE SET NULL", "ON UPDATE SET DEFAULT", share=0.3)
    more = d.words("NOT VALID", "DEFERRABLE INITIALLY DEFERRED", "MATCH FULL", share=0.35)
    if more == " MATCH FULL":
        delete, more = "", f"{more}{delete}"
    key_words = f"FOREIGN KEY ({', '.join(columns)}) REFERENCES {d.name(target.name)}{to}"
    return f"{words} ADD{named(d)} {key_words}{delete}{more}"


def _like(d: Draw, table: Relation, target: Relation, column: str) -> str:
    type_ = target.columns[column].type if column in target.columns else ""
    return d.column(table, fit=lambda each: each.type == type_)


@form(3)
def drop_constraint(d: Draw) -> str:
    table, words = altered(d)
    exists = d.words("IF EXISTS", share=0.15)
    more = d.words("CASCADE", share=0.25)
    return f"{words} DROP CONSTRAINT{exists} {constraint(d, table, 'cupfxn')}{more}"


@form(1.5)
def validate_constraint(d: Draw) -> str:
    table, words = altered(d)
    waiting = [each.name for each in table.constraints.values() if not each.validated]
    name = d.quoted(d.one(sorted(waiting))) if waiting else constraint(d, table, "cfun")
    return f"{words} VALIDATE CONSTRAINT {name}"


@form(1)
def alter_constraint(d: Draw) -> str:
    table, words = altered(d)
    how = d.one(("DEFERRABLE", "NOT DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"))
    return f"{words} ALTER CONSTRAINT {constraint(d, table, 'ffffuc')} {how}"


@form(1)
def add_not_null_constraint(d: Draw) -> str:
    table, words = altered(d)
    more = d.words("NOT VALID", "NO INHERIT", share=0.3)
    return f"{words} ADD{named(d)} NOT NULL {d.column(table)}{more}"


@form(0.6)
def set_constraints(d: Draw) -> str:
    every = [
        each.name
        for table in d.schema.relations.values()
        for each in table.constraints.values()
        if each.kind in "fup" and (each.deferrable or d.maybe(0.1))
    ]
    names = ", ".join(map(d.quoted, d.some(sorted(every), 2))) if every else "ALL"
    return f"SET CONSTRAINTS {d.one((names, 'ALL'))} {d.one(('IMMEDIATE', 'DEFERRED'))}"
