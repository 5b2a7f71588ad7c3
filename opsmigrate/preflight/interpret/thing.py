"""What a statement may drop, and what rests on it: pg_depend's objects, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from opsmigrate.sql.names import Name

NORMAL, AUTO, INTERNAL = "n", "a", "i"


class Thing(NamedTuple):
    """An object: `name` is its relation's or its own, `part` what it is called within a relation.

    `kind` is "relation", "column", "default", "constraint", "index", "trigger", "policy", "rule",
    "statistics", "type", "domain constraint", "function" (then `name` is its Signature), "schema",
    "extension" (then `name` is a text), "collation", or "other", of what is not interpreted: then
    `name` is what PostgreSQL calls it.
    """

    kind: str
    name: Any
    part: Any = ""


class Dependency(NamedTuple):
    """What rests on something, and how: pg_depend.deptype n, a, i (and e, P, S as i)."""

    by: Thing
    how: str = NORMAL


def relation(name: Name) -> Thing:
    """Return a table, view, sequence …"""
    return Thing("relation", name)


def column(table: Name, name: str) -> Thing:
    """Return a column, with what it is."""
    return Thing("column", table, name)


def constraint(table: Name, name: str) -> Thing:
    """Return a constraint of a table."""
    return Thing("constraint", table, name)


def index(table: Name, name: str) -> Thing:
    """Return an index of a table."""
    return Thing("index", table, name)


def without_holder(
    dependencies: Mapping[Thing, frozenset[Dependency]], by: Thing
) -> Mapping[Thing, frozenset[Dependency]]:
    """Return what rests on what, but for what this one rests on."""
    return {
        on: frozenset(each for each in every if each.by != by) for on, every in dependencies.items()
    }


def things_renamed(
    dependencies: Mapping[Thing, frozenset[Dependency]], change: Callable[[Thing], Thing]
) -> Mapping[Thing, frozenset[Dependency]]:
    """Return what rests on what, with things called anew."""
    return {
        change(thing): frozenset(each._replace(by=change(each.by)) for each in every)
        for thing, every in dependencies.items()
    }
