"""INSERT, UPDATE, DELETE, SELECT."""

from __future__ import annotations

from opsmigrate.preflight.interpret.schema import Column, Relation
from tests.interpret.forms.draw import Draw, form

SHORT = {"timestamp with time zone": "timestamptz"}


def _value(d: Draw, column: Column) -> str:
    return d.value(SHORT.get(column.type, column.type))


def _writable(table: Relation) -> list[Column]:
    columns = sorted(table.columns.values(), key=lambda each: each.number)
    return [each for each in columns if not each.generated and each.identity != "a"]


def _only(d: Draw) -> str:
    return d.words("ONLY", share=0.1)


@form(3)
def insert(d: Draw) -> str:
    table = d.relation("rrrpv")
    columns = [each for each in _writable(table) if each.default is None and not each.identity]
    if d.maybe(0.2) and columns:
        columns = d.some(columns, 3)
    if not columns:
        return f"INSERT INTO {d.name(table.name)} DEFAULT VALUES"
    names = ", ".join(d.quoted(each.name) for each in columns)
    values = ", ".join(_unique(d, each) for each in columns)
    more = d.words("ON CONFLICT DO NOTHING", "RETURNING *", share=0.3)
    return f"INSERT INTO {d.name(table.name)} ({names}) VALUES ({values}){more}"


def _unique(d: Draw, column: Column) -> str:
    if column.type in ("integer", "bigint") and d.maybe(0.8):
        return str(d.random.randint(1, 900))
    return _value(d, column)


@form(1)
def insert_select(d: Draw) -> str:
    table, source = d.relation("r"), d.relation("rv")
    into, chosen = d.column(table), d.column(source)
    query = f"SELECT {chosen} FROM{_only(d)} {d.name(source.name)}"
    return f"INSERT INTO {d.name(table.name)} ({into}) {query}"


@form(2)
def update(d: Draw) -> str:
    table = d.relation("rrrpv")
    columns = _writable(table)
    chosen = d.some(columns, 2) if columns else []
    sets = ", ".join(f"{d.quoted(each.name)} = {_value(d, each)}" for each in chosen)
    where = f" WHERE {d.condition(table)}" if d.maybe(0.6) else ""
    return f"UPDATE{_only(d)} {d.name(table.name)} SET {sets or 'absent = 1'}{where}"


@form(1.5)
def delete(d: Draw) -> str:
    table = d.relation("rrrpv")
    where = f" WHERE {d.condition(table)}" if d.maybe(0.8) else ""
    return f"DELETE FROM{_only(d)} {d.name(table.name)}{where}"


@form(1)
def select(d: Draw) -> str:
    table = d.relation("rrpvm")
    lock = d.words("FOR UPDATE", "FOR SHARE", share=0.2)
    where = f" WHERE {d.condition(table)}" if d.maybe(0.5) else ""
    return f"SELECT {d.columns(table)} FROM{_only(d)} {d.name(table.name)}{where}{lock}"


@form(0.4)
def merge(d: Draw) -> str:
    table, source = d.relation("r"), d.relation("r")
    on = f"t.{d.column(table)} = s.{d.column(source)}"
    into = f"MERGE INTO{_only(d)} {d.name(table.name)} t"
    return f"{into} USING{_only(d)} {d.name(source.name)} s ON {on} WHEN MATCHED THEN DELETE"
