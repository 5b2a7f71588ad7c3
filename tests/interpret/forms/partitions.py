"""Partitions and inheritance."""

from __future__ import annotations

from opsmigrate.preflight.interpret.schema import Relation
from tests.interpret.forms.draw import Draw, form


@form(1)
def create_partitioned(d: Draw) -> str:
    column = d.one(("n", "made", "label"))
    how = d.one((f"RANGE ({column})", f"LIST ({column})", f"HASH ({column})"))
    key = d.words(", PRIMARY KEY (n)", ", UNIQUE (n, made, label)", ", id serial", share=0.4)
    columns = f"n int, made date, label text{key}"
    return f"CREATE TABLE {d.new_relation()} ({columns}) PARTITION BY {how}"


def bound(d: Draw, table: Relation) -> str:
    """Return a bound that may fit the partitioned table."""
    key = table.partition_key or d.one(("LIST (n)", "RANGE (n)", "HASH (n)"))
    if d.maybe(0.1) and not key.startswith("HASH"):
        return "DEFAULT"
    if key.startswith("HASH"):
        return f"FOR VALUES WITH (MODULUS 4, REMAINDER {d.one((0, 1, 2, 3, 5))})"
    number = d.random.randint(0, 90) * 10
    if "made" in key or "published" in key:
        low, high = f"'20{10 + number // 10 % 80}-01-01'", f"'20{11 + number // 10 % 80}-01-01'"
    elif "label" in key or "region" in key:
        low, high = f"'l{number:03}'", f"'l{number + 9:03}'"
    else:
        low, high = str(number), str(number + 10)
    if key.startswith("LIST"):
        return f"FOR VALUES IN ({low}{d.words(', NULL', share=0.1)})"
    return f"FOR VALUES FROM ({low}) TO ({high})"


@form(2)
def create_partition(d: Draw) -> str:
    table = d.relation("p")
    own = d.words("(CHECK (true))", "(PRIMARY KEY (n))", share=0.15)
    below = d.words("PARTITION BY LIST (n)", share=0.1)
    of = f"PARTITION OF {d.name(table.name)}{own} {bound(d, table)}"
    return f"CREATE TABLE {d.new_relation()} {of}{below}"


@form(1)
def create_table_to_attach(d: Draw) -> str:
    table = d.relation("p")
    including = d.words("INCLUDING ALL", "INCLUDING CONSTRAINTS", share=0.7)
    return f"CREATE TABLE {d.new_relation()} (LIKE {d.name(table.name)}{including})"


@form(2.5)
def attach(d: Draw) -> str:
    table = d.relation("p")
    same = [
        each
        for each in d.schema.relations.values()
        if each.kind == "r" and each.columns.keys() == table.columns.keys() and not each.parents
    ]
    part = d.one(sorted(same, key=lambda each: each.name)) if same else d.relation("r")
    words = f"ALTER TABLE {d.name(table.name)} ATTACH PARTITION {d.name(part.name)}"
    return f"{words} {bound(d, table)}"


@form(1.5)
def detach(d: Draw) -> str:
    parts = [each for each in d.schema.relations.values() if each.bound is not None]
    part = d.one(sorted(parts, key=lambda each: each.name)) if parts else d.relation("r")
    parent = part.parents[0] if part.parents and d.maybe(0.95) else d.relation("p").name
    concurrently = d.words("CONCURRENTLY", share=0.05)
    return f"ALTER TABLE {d.name(parent)} DETACH PARTITION {d.name(part.name)}{concurrently}"


@form(1.5)
def inherit(d: Draw) -> str:
    parent = d.relation("r")
    same = [
        each
        for each in d.schema.relations.values()
        if each.kind == "r" and each.columns.keys() >= parent.columns.keys()
    ]
    child = d.one(sorted(same, key=lambda each: each.name)) if same else d.relation("r")
    return f"ALTER TABLE {d.name(child.name)} INHERIT {d.name(parent.name)}"


@form(1)
def no_inherit(d: Draw) -> str:
    children = [each for each in d.schema.relations.values() if each.parents and not each.bound]
    child = d.one(sorted(children, key=lambda each: each.name)) if children else d.relation("r")
    parent = child.parents[0] if child.parents and d.maybe(0.9) else d.relation("r").name
    return f"ALTER TABLE {d.name(child.name)} NO INHERIT {d.name(parent)}"
