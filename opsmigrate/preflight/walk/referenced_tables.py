"""Which tables a statement touches: named in its text, or met by what it drops."""

import re
from collections.abc import Iterator
from typing import Any

from django.db.backends.ddl_references import Statement, Table

from opsmigrate.postgres.names import as_stored, unquoted
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.simulation import Simulation

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
QUALIFIED = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
# What stands in strings and comments names nothing.
TEXTS = re.compile(
    r"""("(?:[^"]|"")*")|'(?:[^']|'')*'|\$(\w*)\$.*?\$\2\$|--[^\n]*|/\*.*?\*/""", re.DOTALL
)
NAMED = re.compile(
    r"\b(?:TABLE|UPDATE|INTO|FROM|JOIN|USING|REFERENCES|TRUNCATE|LOCK|COLUMN|ON)\s+"
    rf"(?:(?:IF\s+(?:NOT\s+)?EXISTS|ONLY|TABLE|COLUMN|CONCURRENTLY)\s+)*(?P<name>{QUALIFIED})",
    re.IGNORECASE,
)
PART = re.compile(_NAME)
DROPS_TABLE = re.compile(r"\s*DROP\s+TABLE\b", re.IGNORECASE)
DROPPED = re.compile(r'\bDROP (CONSTRAINT|COLUMN)(?: IF EXISTS)? ("(?:[^"]|"")+")', re.IGNORECASE)


def tables_of(statement: Any, schema: Simulation) -> list[str]:
    """Return `schema.name` of each table that the statement names or whose foreign key it drops.

    A live table has the name that it bears now, whatever the plan has called it since. The
    statement is text, or Django's Statement, which also knows the table of an index.
    """
    text = without_texts(str(statement))
    tables = named_tables(statement, schema)
    labels = dict.fromkeys(_live(table) for table in tables)
    for table in tables[:1]:
        labels |= dict.fromkeys(_partners(text, table, schema))
    return list(labels)


def named_tables(statement: Any, schema: Simulation) -> list[SimulatedTable]:
    """Return the tables that the statement names, the one that it changes first."""
    found = dict.fromkeys(_named(without_texts(str(statement)), schema))
    if isinstance(statement, Statement) and isinstance(statement.parts.get("table"), Table):
        found = dict.fromkeys([statement.parts["table"].table, *found])
    tables = [table for name in found if (table := schema.table(name)) is not None]
    return list({id(table): table for table in tables}.values())


def without_texts(statement: str) -> str:
    """Return the statement without what stands in its strings and comments."""
    return TEXTS.sub(lambda match: match[1] or "''", statement)


def _named(text: str, schema: Simulation) -> Iterator[str]:
    for match in NAMED.finditer(text):
        parts = name_parts(match["name"])
        # COMMENT ON COLUMN and REFERENCES may have the column behind the table.
        for spelling in (parts[:1], parts[:2]):
            name = ".".join(f'"{part}"' for part in spelling)
            if schema.table(name) is not None:
                yield name


def name_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a name as they stand in the catalog: `"A".b` is A and b."""
    return tuple(_plain(part) for part in PART.findall(name))


def _plain(part: str) -> str:
    return as_stored(unquoted(part))


def _live(table: SimulatedTable) -> str:
    return ".".join(table.origin) if table.origin else table.label


def _partners(text: str, table: SimulatedTable, schema: Simulation) -> Iterator[str]:
    """Yield the other tables of the foreign keys that go: PostgreSQL locks both ends of each."""
    keys = [key for key in schema.foreign_keys if table in (key.table, key.target)]
    if DROPS_TABLE.match(text):
        yield from (_live(end) for key in keys for end in (key.table, key.target))
    for what, quoted in DROPPED.findall(text):
        name = as_stored(unquoted(quoted))
        for key in keys:
            if key.name == name or (what.upper() == "COLUMN" and name in key.columns):
                yield _live(key.target)
