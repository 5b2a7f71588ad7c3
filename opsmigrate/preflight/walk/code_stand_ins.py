"""What stands for what a migration's code is given, and gets from it, while it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Through:
    """A relation of many to many, of which only the model between is asked for."""

    model: Any


@dataclass(frozen=True)
class ContentTypes:
    """The manager of content types, which makes those that are not there in the alias."""

    model: Any
    alias: str


@dataclass(frozen=True)
class Reset:
    """The statement that lets the sequence of a model's table go on behind its last row."""

    model: Any


@dataclass(frozen=True)
class StandIn:
    """One of what a migration's code is given: `apps`, `schema_editor`, or its connection."""

    name: str


APPS, EDITOR, CONNECTION = map(StandIn, ("apps", "schema_editor", "connection"))
OPS, INTROSPECTION, STYLE = map(StandIn, ("ops", "introspection", "no style"))
PARTS = {"introspection": INTROSPECTION, "ops": OPS}
TABLE_NAMES = StandIn("the names of tables")
NOW = "SET CONSTRAINTS ALL IMMEDIATE"
# What nothing can be done with: it was not asked.
HOW_MANY = StandIn("how many rows are updated")
