"""What of a database is to be damaged: mostly where pending operations will look."""

import random
from collections.abc import Mapping
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import (
    NOTHING,
    TABLE_KINDS,
    Catalog,
    Column,
    Relation,
    read_catalog,
)

Statements = list[str]
HISTORY = "django_migrations"
# The role that owns the damaged databases, and migrates them.
OWNER = "drift_owner"
# What a row of made-up data holds, by the type without its modifiers.
VALUES = {
    "integer": "7",
    "bigint": "7",
    "smallint": "7",
    "numeric": "1",
    "double precision": "1",
    "boolean": "true",
    "text": "'drifted'",
    "character varying": "'x'",
    "uuid": "gen_random_uuid()",
    "date": "current_date",
    "timestamp with time zone": "now()",
    "jsonb": "'{}'",
    "inet": "'127.0.0.1'",
    "interval": "'1 day'",
}


def quoted(name: str) -> str:
    """Return an identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


class Target:
    """What `connection` has, and what pending operations will look for.

    `later` is the catalog at the end of the history, `pending` are (app label, operation).
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        later: Catalog,
        pending: list[tuple[str, Any]],
        seed: int,
    ) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret
        self.now = read_catalog(connection)
        self.database = quoted(str(connection.settings_dict["NAME"]))
        self.later = later
        self.tables = {
            item.name: item
            for item in self.now.relations
            if item.kind in TABLE_KINDS and item.name != HISTORY
        }
        self.met = self._met(pending)
        self.coming = [
            f"{app}_{operation.name.lower()}"
            for app, operation in pending
            if type(operation).__name__ == "CreateModel"
        ]

    def _met(self, pending: list[tuple[str, Any]]) -> list[tuple[Relation, str | None]]:
        """Return the live tables that pending operations name, with the column if they name one."""
        found = []
        for app, operation in pending:
            model = getattr(operation, "model_name", None) or getattr(operation, "name", None)
            table = self.tables.get(f"{app}_{str(model).lower()}")
            if table is None:
                continue
            names = {column.name for column in table.columns}
            wanted = [getattr(operation, name, None) for name in ("name", "old_name")]
            columns = [
                column
                for name in wanted
                if name
                for column in (str(name), f"{name}_id")
                if column in names
            ]
            found.append((table, columns[0] if columns else None))
        return found

    def target(self) -> tuple[Relation, Column]:
        """Choose a table and a column, four times of five what a pending operation names."""
        if self.met and self.random.random() < 0.8:
            table, name = self.random.choice(self.met)
        else:
            table, name = self.random.choice(list(self.tables.values())), None
        columns = [item for item in table.columns if item.name == name] or list(table.columns)
        return table, self.random.choice(columns)

    def names(self) -> tuple[str, str]:
        """Choose a table and a column, and return their names, quoted."""
        table, column = self.target()
        return quoted(table.name), quoted(column.name)

    def row(
        self, table: Relation, null: str | None, values: Mapping[str, str] = NOTHING
    ) -> str | None:
        """Return an INSERT of these values and made-up ones; None where a type has none."""
        given = [
            item
            for item in table.columns
            if item.name != null
            and not (item.identity or item.generated)
            and (item.name in values or not (item.has_default and not item.not_null))
            and not (item.has_default and item.name == "id")
        ]
        known = {**self._existing_targets(table), **values}
        chosen = [known.get(item.name) or VALUES.get(item.type.partition("(")[0]) for item in given]
        if None in chosen:
            return None
        names = ", ".join(quoted(item.name) for item in given)
        filled = ", ".join(value for value in chosen if value)
        if not given:
            return None
        return f"INSERT INTO {quoted(table.name)} ({names}) VALUES ({filled})"

    def _existing_targets(self, table: Relation) -> dict[str, str]:
        """Return the foreign keys' columns with some value that is there."""
        by_oid = {item.oid: item for item in self.now.relations}
        return {
            item.columns[0]: f"(SELECT {quoted(item.to_columns[0])}"
            f" FROM {quoted(by_oid[item.references].name)} LIMIT 1)"
            for item in table.constraints
            if item.references and len(item.columns) == 1
        }
