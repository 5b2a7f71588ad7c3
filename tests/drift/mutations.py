"""Ways in which a database drifts, each one statement or two made from what is there."""

import random
from collections.abc import Callable, Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import TABLE_KINDS, Catalog, Relation, read_catalog

Statements = list[str]


def quoted(name: str) -> str:
    """Return an identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def _shape(table: Relation) -> tuple[object, ...]:
    columns = frozenset((item.name, item.type, item.not_null) for item in table.columns)
    names = frozenset(item.name for item in (*table.constraints, *table.indexes))
    return columns, names


class Drift:
    """Random damage to the database of `connection`, whose future is the catalog `later`."""

    def __init__(self, connection: BaseDatabaseWrapper, later: Catalog, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret
        self.now = read_catalog(connection)
        self.later = later

    def choose(self) -> tuple[str, Statements]:
        """Return the name of a way, and its statements."""
        ways: Sequence[Callable[[], Statements]] = [
            self.drop_table,
            self.drop_column,
            self.rename_column,
            self.retype_column,
            self.drop_constraint,
            self.drop_index,
            self.null_column,
            self.create_future_table,
            self.create_future_column,
            self.take_future_name,
            self.view_on_column,
            self.unrecord_migration,
            self.add_unknown_column,
        ]
        way = self.random.choice(ways)
        return way.__name__, way()

    def _tables(self) -> list[Relation]:
        return [
            item
            for item in self.now.relations
            if item.kind in TABLE_KINDS and item.name != "django_migrations"
        ]

    def _table(self) -> Relation:
        """Choose a table, four times of five one that later migrations change."""
        later = {item.name: _shape(item) for item in self.later.relations}
        tables = self._tables()
        changing = [item for item in tables if later.get(item.name) != _shape(item)]
        return self.random.choice(changing if changing and self.random.random() < 0.8 else tables)

    def _column(self) -> tuple[str, str]:
        table = self._table()
        return quoted(table.name), quoted(self.random.choice(table.columns).name)

    def drop_table(self) -> Statements:
        """A table is gone."""
        return [f"DROP TABLE {quoted(self._table().name)} CASCADE"]

    def drop_column(self) -> Statements:
        """A column is gone."""
        table, column = self._column()
        return [f"ALTER TABLE {table} DROP COLUMN {column} CASCADE"]

    def rename_column(self) -> Statements:
        """A column has another name."""
        table, column = self._column()
        return [f"ALTER TABLE {table} RENAME COLUMN {column} TO drifted"]

    def retype_column(self) -> Statements:
        """A column without identity has become text."""
        table = self._table()
        plain = [item for item in table.columns if not item.identity and not item.generated]
        if not plain:
            return []
        column = quoted(self.random.choice(plain).name)
        name = quoted(table.name)
        return [f"ALTER TABLE {name} ALTER COLUMN {column} TYPE text USING {column}::text"]

    def drop_constraint(self) -> Statements:
        """A constraint is gone."""
        table = self._table()
        if not table.constraints:
            return []
        constraint = quoted(self.random.choice(table.constraints).name)
        return [f"ALTER TABLE {quoted(table.name)} DROP CONSTRAINT {constraint} CASCADE"]

    def drop_index(self) -> Statements:
        """An index that no constraint rests on is gone."""
        table = self._table()
        held = {item.name for item in table.constraints}
        free = [item.name for item in table.indexes if item.name not in held]
        return [f"DROP INDEX {quoted(self.random.choice(free))}"] if free else []

    def null_column(self) -> Statements:
        """A column may be NULL that may not."""
        table = self._table()
        keys = {name for item in table.indexes if item.primary for name in item.columns}
        plain = [item for item in table.columns if item.not_null and item.name not in keys]
        if not plain:
            return []
        column = quoted(self.random.choice(plain).name)
        return [f"ALTER TABLE {quoted(table.name)} ALTER COLUMN {column} DROP NOT NULL"]

    def create_future_table(self) -> Statements:
        """A table that a later migration makes is there."""
        names = {item.name for item in self._tables()}
        future = [
            item.name
            for item in self.later.relations
            if item.kind in TABLE_KINDS and item.name not in names
        ]
        return [f"CREATE TABLE {quoted(self.random.choice(future))} (id bigint)"] if future else []

    def create_future_column(self) -> Statements:
        """A column that a later migration adds is there."""
        now = {item.name: {column.name for column in item.columns} for item in self._tables()}
        future = [
            (item.name, column)
            for item in self.later.relations
            if item.name in now
            for column in item.columns
            if column.name not in now[item.name]
        ]
        if not future:
            return []
        table, column = self.random.choice(future)
        return [f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(column.name)} {column.type}"]

    def take_future_name(self) -> Statements:
        """A name that a later index or table needs belongs to a sequence."""
        names = {item.name for item in self.now.relations}
        future = [item.name for item in self.later.relations if item.name not in names]
        return [f"CREATE SEQUENCE {quoted(self.random.choice(future))}"] if future else []

    def view_on_column(self) -> Statements:
        """A view uses a column."""
        table, column = self._column()
        return [f"CREATE VIEW drifted_view AS SELECT {column} FROM {table}"]

    def unrecord_migration(self) -> Statements:
        """The last migration that was applied is no longer recorded."""
        return ["DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations)"]

    def add_unknown_column(self) -> Statements:
        """A table has a column that nobody knows, and that wants a value."""
        table = quoted(self._table().name)
        return [f"ALTER TABLE {table} ADD COLUMN unknown int NOT NULL DEFAULT 0"]
