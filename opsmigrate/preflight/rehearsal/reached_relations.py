"""What statements need on relations that they reach without naming them, by interpretation.

ALTER TABLE goes on to the tables that inherit, and INSERT takes the next key of a sequence: only
the schema tells which.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.preflight.interpret.effects import Right
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.sql.names import Name
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.sql.statement import Statement

# By whom: kinds of statements, what the role must have, and on what.
REACHING = (
    ("alter_table_stmt", "OWNER", "relation"),
    ("rename_stmt", "OWNER", "relation"),
    ("insert_stmt", "USAGE", "sequence"),
)


@dataclass
class ReachedRelations:
    """The live schema, as the statements that were asked about leave it."""

    _schema: Schema

    def rights_of(self, text: str) -> Iterator[Right]:
        """Yield what a text needs on what is not the role's own; with it, the schema goes on."""
        for statement in statements_if_readable(text) or ():
            yield from self._of(statement)

    def _of(self, statement: Statement) -> Iterator[Right]:
        schema = self._schema
        try:
            self._schema, effects = interpret(schema, statement)
        # A rule that meets what it was not made for: then nothing is said of this statement.
        except Exception:
            return
        for right in effects.rights:
            asked = (statement.kind, right.privilege, right.object_kind) in REACHING
            if asked and not _is_own(schema, right.name):
                yield right


def _is_own(schema: Schema, name: tuple[str, ...]) -> bool:
    found = schema.at(Name(*name))
    return found is None or found.owner == schema.role


def reached_relations(connection: BaseDatabaseWrapper) -> ReachedRelations:
    """Return those of the live schema."""
    return ReachedRelations(read_schema(connection))
