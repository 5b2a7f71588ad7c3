"""Indexes and statistics."""

from __future__ import annotations

from opsmigrate.preflight.interpret.schema import Relation
from opsmigrate.sql.names import Name
from tests.interpret.forms.draw import Draw, form


def index(d: Draw) -> str:
    """Return the name of an index; now and then of none."""
    every = [
        Name(table.name.schema, name)
        for table in d.schema.relations.values()
        for name in table.indexes
    ]
    return "absent" if not every or d.maybe(0.05) else d.name(d.one(sorted(every)))


def _key(d: Draw, table: Relation) -> str:
    column = d.column(table)
    if d.maybe(0.15):
        return d.one((f"lower({column})", f"({column} IS NULL)", f"abs({column})"))
    return column + d.words("DESC", "text_pattern_ops", 'COLLATE "C"', "NULLS FIRST", share=0.2)


@form(6)
def create_index(d: Draw) -> str:
    table = d.relation("rrrpm")
    unique, only = d.words("UNIQUE", share=0.3), d.words("ONLY", share=0.1)
    concurrently = d.words("CONCURRENTLY", share=0.1)
    exists = d.words("IF NOT EXISTS", share=0.1)
    name = f" {d.new()}" if d.maybe(0.6) or exists else ""
    keys = ", ".join(_key(d, table) for _ in range(d.one((1, 1, 2))))
    method = d.words("USING hash", "USING gin", "USING gist", "USING brin", share=0.15)
    include = f" INCLUDE ({d.columns(table, 1)})" if d.maybe(0.1) else ""
    where = f" WHERE {d.condition(table)}" if d.maybe(0.2) else ""
    on = f"ON{only} {d.name(table.name)}{method} ({keys})"
    return f"CREATE{unique} INDEX{concurrently}{exists}{name} {on}{include}{where}"


@form(2)
def drop_index(d: Draw) -> str:
    concurrently = d.words("CONCURRENTLY", share=0.15)
    exists = d.words("IF EXISTS", share=0.2)
    cascade = d.words("CASCADE", share=0.1)
    return f"DROP INDEX{concurrently}{exists} {index(d)}{cascade}"


@form(1)
def reindex(d: Draw) -> str:
    concurrently = d.words("CONCURRENTLY", share=0.15)
    if d.maybe():
        return f"REINDEX INDEX{concurrently} {index(d)}"
    return f"REINDEX TABLE{concurrently} {d.name(d.relation('r').name)}"


@form(0.5)
def cluster(d: Draw) -> str:
    table = d.relation("r")
    name = d.quoted(d.one(sorted(table.indexes) or ["absent"]))
    return f"CLUSTER {d.name(table.name)} USING {name}"


@form(0.7)
def set_index_options(d: Draw) -> str:
    return f"ALTER INDEX {index(d)} {d.one(('SET', 'SET'))} (fillfactor = 60)"


@form(0.7)
def attach_index(d: Draw) -> str:
    return f"ALTER INDEX {index(d)} ATTACH PARTITION {index(d)}"


@form(1)
def create_statistics(d: Draw) -> str:
    table = d.relation("r")
    kinds = d.words("(ndistinct)", "(dependencies)", share=0.3)
    return f"CREATE STATISTICS {d.new()}{kinds} ON {d.columns(table)} FROM {d.name(table.name)}"


@form(0.5)
def drop_statistics(d: Draw) -> str:
    every = sorted(name for table in d.schema.relations.values() for name in table.statistics)
    name = d.name(d.one(every)) if every and d.maybe(0.9) else "absent"
    return f"DROP STATISTICS{d.words('IF EXISTS', share=0.2)} {name}"


@form(0.5)
def maintenance(d: Draw) -> str:
    return f"{d.one(('ANALYZE', 'VACUUM', 'VACUUM FULL'))} {d.name(d.relation('r').name)}"
