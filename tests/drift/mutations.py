"""Ways in which a database drifts, each a few statements made from what is there."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import TABLE_KINDS, Catalog, Column, Relation, read_catalog

Statements = list[str]
HISTORY = "django_migrations"
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


class Drift:
    """Random damage to the database of `connection`, mostly where pending operations will look.

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

    def choose(self) -> tuple[str, Statements]:
        """Return the name of a way, and its statements; none where it does not apply."""
        ways: Sequence[Callable[[], Statements]] = [
            self.drop_table,
            self.drop_column,
            self.rename_column,
            self.rename_table,
            self.retype_column,
            self.domain_column,
            self.drop_constraint,
            self.rename_constraint,
            self.drop_index,
            self.null_column,
            self.null_row,
            self.twin_rows,
            self.create_future_table,
            self.create_future_table,
            self.create_future_column,
            self.create_future_column,
            self.take_future_name,
            self.type_of_future_name,
            self.view_on_column,
            self.generated_from_column,
            self.policy_on_column,
            self.trigger_on_column,
            self.foreign_key_from_elsewhere,
            self.default_on_column,
            self.give_table_away,
            self.take_create_away,
            self.unlog_table,
            self.unrecord_last,
            self.unrecord_any,
            self.record_next,
            self.add_unknown_column,
            self.break_history,
        ]
        way = self.random.choice(ways)
        return way.__name__, way()

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

    def _target(self) -> tuple[Relation, Column]:
        """Choose a table and a column, four times of five what a pending operation names."""
        if self.met and self.random.random() < 0.8:
            table, name = self.random.choice(self.met)
        else:
            table, name = self.random.choice(list(self.tables.values())), None
        columns = [item for item in table.columns if item.name == name] or list(table.columns)
        return table, self.random.choice(columns)

    def _names(self) -> tuple[str, str]:
        table, column = self._target()
        return quoted(table.name), quoted(column.name)

    def drop_table(self) -> Statements:
        """A table is gone."""
        return [f"DROP TABLE {self._names()[0]} CASCADE"]

    def rename_table(self) -> Statements:
        """A table has another name."""
        return [f"ALTER TABLE {self._names()[0]} RENAME TO drifted_table"]

    def drop_column(self) -> Statements:
        """A column is gone."""
        table, column = self._names()
        return [f"ALTER TABLE {table} DROP COLUMN {column} CASCADE"]

    def rename_column(self) -> Statements:
        """A column has another name."""
        table, column = self._names()
        return [f"ALTER TABLE {table} RENAME COLUMN {column} TO drifted"]

    def retype_column(self) -> Statements:
        """A column has become another type."""
        table, column = self._target()
        if column.identity or column.generated:
            return []
        name, kind = quoted(column.name), self.random.choice(["text", "json", "varchar(3)"])
        value = f"to_json({name})" if kind == "json" else f"{name}::text"
        return [
            f"ALTER TABLE {quoted(table.name)} ALTER COLUMN {name} DROP DEFAULT,"
            f" ALTER COLUMN {name} TYPE {kind} USING {value}"
        ]

    def domain_column(self) -> Statements:
        """A column has a domain over its type."""
        table, column = self._target()
        if column.identity or column.generated:
            return []
        name = quoted(column.name)
        return [
            f"CREATE DOMAIN drifted_domain AS {column.type}",
            f"ALTER TABLE {quoted(table.name)} ALTER COLUMN {name} TYPE drifted_domain",
        ]

    def drop_constraint(self) -> Statements:
        """A constraint is gone."""
        table, _ = self._target()
        if not table.constraints:
            return []
        constraint = quoted(self.random.choice(table.constraints).name)
        return [f"ALTER TABLE {quoted(table.name)} DROP CONSTRAINT {constraint} CASCADE"]

    def rename_constraint(self) -> Statements:
        """A constraint has another name."""
        table, _ = self._target()
        if not table.constraints:
            return []
        constraint = quoted(self.random.choice(table.constraints).name)
        name = quoted(table.name)
        return [f"ALTER TABLE {name} RENAME CONSTRAINT {constraint} TO drifted_constraint"]

    def drop_index(self) -> Statements:
        """An index that no constraint rests on is gone."""
        table, _ = self._target()
        held = {item.name for item in table.constraints}
        free = [item.name for item in table.indexes if item.name not in held]
        return [f"DROP INDEX {quoted(self.random.choice(free))}"] if free else []

    def _nullable(self) -> tuple[Relation, Column] | None:
        table, column = self._target()
        keys = {name for item in table.indexes if item.primary for name in item.columns}
        return None if column.name in keys or not column.not_null else (table, column)

    def null_column(self) -> Statements:
        """A column may be NULL that may not."""
        chosen = self._nullable()
        if chosen is None:
            return []
        table, column = quoted(chosen[0].name), quoted(chosen[1].name)
        return [f"ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"]

    def _row(self, table: Relation, null: str | None) -> str | None:
        """Return an INSERT of made-up values; None where a type has none."""
        given = [
            item
            for item in table.columns
            if item.name != null
            and not (item.identity or item.generated)
            and not (item.has_default and not item.not_null)
            and not (item.has_default and item.name == "id")
        ]
        known = self._existing_targets(table)
        values = [known.get(item.name) or VALUES.get(item.type.partition("(")[0]) for item in given]
        if None in values:
            return None
        names = ", ".join(quoted(item.name) for item in given)
        filled = ", ".join(value for value in values if value)
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

    def null_row(self) -> Statements:
        """A row holds NULL in a column, if need be in one that may not."""
        table, column = self._target()
        insert = self._row(table, column.name)
        keys = {name for item in table.indexes if item.primary for name in item.columns}
        if insert is None or column.name in keys:
            return []
        name, drop = quoted(table.name), f"ALTER COLUMN {quoted(column.name)} DROP NOT NULL"
        return [f"ALTER TABLE {name} {drop}", insert]

    def twin_rows(self) -> Statements:
        """Two rows are alike."""
        insert = self._row(self._target()[0], None)
        return [insert, insert] if insert else []

    def create_future_table(self) -> Statements:
        """A table that the plan makes is there."""
        future = [name for name in self.coming if name not in self.tables]
        return [f"CREATE TABLE {quoted(self.random.choice(future))} (id bigint)"] if future else []

    def create_future_column(self) -> Statements:
        """A column that a later migration adds is there."""
        met = {table.name for table, _ in self.met}
        future = [
            (item.name, column)
            for item in self.later.relations
            if item.name in (met or self.tables)
            for column in item.columns
            if column.name not in {known.name for known in self.tables[item.name].columns}
        ]
        if not future:
            return []
        table, column = self.random.choice(future)
        return [f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(column.name)} {column.type}"]

    def take_future_name(self) -> Statements:
        """A name that a later index or table needs belongs to a sequence."""
        names = {item.name for item in self.now.relations}
        future = [
            item
            for item in self.later.relations
            if item.name not in names and (item.kind == "i" or item.name in self.coming)
        ]
        near = [item for item in future if any(t.name in item.name for t, _ in self.met)]
        return (
            [f"CREATE SEQUENCE {quoted(self.random.choice(near or future).name)}"] if future else []
        )

    def type_of_future_name(self) -> Statements:
        """A type has the name of a table that the plan makes."""
        future = [name for name in self.coming if name not in self.tables]
        name = quoted(self.random.choice(future)) if future else ""
        return [f"CREATE TYPE {name} AS ENUM ('a')"] if future else []

    def view_on_column(self) -> Statements:
        """A view uses a column."""
        table, column = self._names()
        return [f"CREATE VIEW drifted_view AS SELECT {column} FROM {table}"]

    def generated_from_column(self) -> Statements:
        """A generated column uses a column."""
        table, column = self._names()
        return [
            f"ALTER TABLE {table} ADD COLUMN drifted_twin boolean"
            f" GENERATED ALWAYS AS ({column} IS NULL) STORED"
        ]

    def policy_on_column(self) -> Statements:
        """A policy of row security uses a column."""
        table, column = self._names()
        return [f"CREATE POLICY drifted ON {table} USING ({column} IS NOT NULL)"]

    def trigger_on_column(self) -> Statements:
        """A trigger waits for updates of a column, and does nothing."""
        table, column = self._names()
        return [
            "CREATE FUNCTION drifted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            f"CREATE TRIGGER drifted BEFORE UPDATE OF {column} ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION drifted()",
        ]

    def foreign_key_from_elsewhere(self) -> Statements:
        """A table that no model knows points to a key."""
        table, _ = self._target()
        keys = [
            item
            for item in table.indexes
            if item.unique and not item.partial and len(item.columns) == 1
        ]
        if not keys:
            return []
        [name] = self.random.choice(keys).columns
        kind = next(item.type for item in table.columns if item.name == name)
        target = f"{quoted(table.name)} ({quoted(name)})"
        return [f"CREATE TABLE drifted_elsewhere (other {kind} REFERENCES {target})"]

    def default_on_column(self) -> Statements:
        """A column has a default that no model knows."""
        table, column = self._target()
        value = VALUES.get(column.type.partition("(")[0])
        if value is None or column.identity or column.generated:
            return []
        name = quoted(column.name)
        return [f"ALTER TABLE {quoted(table.name)} ALTER COLUMN {name} SET DEFAULT {value}"]

    def give_table_away(self) -> Statements:
        """A table belongs to another role, and nothing is granted."""
        table = self._names()[0]
        return [f"ALTER TABLE {table} OWNER TO CURRENT_USER"]

    def take_create_away(self) -> Statements:
        """The role may not create in the schema."""
        return [
            "ALTER SCHEMA public OWNER TO CURRENT_USER",
            "REVOKE ALL ON SCHEMA public FROM PUBLIC",
            "GRANT USAGE ON SCHEMA public TO PUBLIC",
        ]

    def unlog_table(self) -> Statements:
        """A table is not logged."""
        return [f"ALTER TABLE {self._names()[0]} SET UNLOGGED"]

    def unrecord_last(self) -> Statements:
        """The last migration that was applied is no longer recorded."""
        return [f"DELETE FROM {HISTORY} WHERE id = (SELECT max(id) FROM {HISTORY})"]

    def unrecord_any(self) -> Statements:
        """Some migration that was applied is no longer recorded."""
        place = self.random.random()
        return [
            f"DELETE FROM {HISTORY} WHERE id = (SELECT id FROM {HISTORY} ORDER BY id"
            f" OFFSET floor({place} * (SELECT count(*) FROM {HISTORY})) LIMIT 1)"
        ]

    def record_next(self) -> Statements:
        """A migration of which nothing was done is recorded."""
        return [
            f"INSERT INTO {HISTORY} (app, name, applied) SELECT app, left(name, 4) || '_drifted',"
            f" now() FROM {HISTORY} ORDER BY id DESC LIMIT 1"
        ]

    def add_unknown_column(self) -> Statements:
        """A table has a column that nobody knows, and that wants a value."""
        table = self._names()[0]
        return [
            f"ALTER TABLE {table} ADD COLUMN unknown int NOT NULL DEFAULT 0",
            f"ALTER TABLE {table} ALTER COLUMN unknown DROP DEFAULT",
        ]

    def break_history(self) -> Statements:
        """The history cannot be written."""
        return [f"ALTER TABLE {HISTORY} ALTER COLUMN id DROP IDENTITY"]
