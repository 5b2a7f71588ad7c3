"""The tables as the plan changes them, as far as locks and rewrites depend on it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from opsmigrate.postgres.catalog import TABLE_KINDS, Catalog, Relation
from opsmigrate.preflight.forecast.sizes import Server
from opsmigrate.preflight.walk.simulated_table import CHECK, FOREIGN_KEY


@dataclass(eq=False, kw_only=True)
class ForecastTable:
    """A table; `label` is what a live one is called now, whatever the plan calls it later."""

    label: str
    live: bool
    types: dict[str, str] = field(default_factory=dict)
    not_null: set[str] = field(default_factory=set)
    indexes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # Name -> columns, and the definition as pg_get_constraintdef() gives it.
    checks: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    keys: dict[str, "ForecastForeignKey"] = field(default_factory=dict)
    # Foreign keys that point here, by the table that has them and their name.
    pointing: dict[tuple[str, str], "ForecastForeignKey"] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ForecastForeignKey:
    """A foreign key between two tables."""

    name: str
    table: ForecastTable
    columns: tuple[str, ...]
    target: ForecastTable
    to_columns: tuple[str, ...] = ()


class ForecastTables:
    """All tables and indexes, found by name as the server would find them."""

    def __init__(self, catalog: Catalog, server: Server) -> None:
        self._schema = catalog.schema or "public"
        self._visible: dict[str, str] = {}
        self._found: dict[tuple[str, str], ForecastTable] = {}
        by_oid = {}
        for relation in catalog.relations:
            if relation.kind in TABLE_KINDS:
                table = by_oid[relation.oid] = _table(relation, server)
                self._found[relation.schema, relation.name] = table
                if relation.visible:
                    self._visible[relation.name] = relation.schema
        for relation in catalog.relations:
            for item in relation.constraints:
                if item.kind == FOREIGN_KEY and item.references in by_oid:
                    table, target = by_oid[relation.oid], by_oid[item.references]
                    add_key(
                        ForecastForeignKey(item.name, table, item.columns, target, item.to_columns)
                    )

    def find(self, name: tuple[str, ...]) -> ForecastTable | None:
        """Return the table of this name (schema and name, or name), or None."""
        return self._found.get(self._key(name))

    def with_index(self, name: tuple[str, ...]) -> ForecastTable | None:
        """Return the table that has the index of this name."""
        return next((each for each in self if name[-1:] and name[-1] in each.indexes), None)

    def create(self, name: tuple[str, ...]) -> ForecastTable:
        """Add a table that the plan makes."""
        schema, own = self._home(name)
        table = self._found[schema, own] = ForecastTable(label=f"{schema}.{own}", live=False)
        self._visible[own] = schema
        return table

    def rename(self, old: tuple[str, ...], new: str) -> None:
        """Give a table its new name."""
        key = self._key(old)
        if key in self._found:
            self._found[key[0], new] = self._found.pop(key)
            self._visible.pop(key[1], None)
            self._visible[new] = key[0]

    def drop(self, name: tuple[str, ...]) -> None:
        """Forget a table and its foreign keys."""
        table = self._found.pop(self._key(name), None)
        if table is not None:
            for key in [*table.keys.values(), *table.pointing.values()]:
                drop_key(key)

    def __iter__(self) -> Iterator[ForecastTable]:
        return iter(self._found.values())

    def _key(self, name: tuple[str, ...]) -> tuple[str, str]:
        if len(name) > 1:
            return (name[-2], name[-1])
        return (self._visible.get(name[-1], self._schema), name[-1])

    def _home(self, name: tuple[str, ...]) -> tuple[str, str]:
        return (name[-2] if len(name) > 1 else self._schema, name[-1])


def add_key(key: ForecastForeignKey) -> None:
    """Let both tables know of a foreign key."""
    key.table.keys[key.name] = key
    key.target.pointing[key.table.label, key.name] = key


def drop_key(key: ForecastForeignKey) -> None:
    """Let both tables forget a foreign key."""
    key.table.keys.pop(key.name, None)
    key.target.pointing.pop((key.table.label, key.name), None)


def _table(relation: Relation, server: Server) -> ForecastTable:
    return ForecastTable(
        label=relation.label,
        live=True,
        types={column.name: column.type for column in relation.columns},
        not_null={column.name for column in relation.columns if column.not_null},
        indexes={index.name: index.columns for index in relation.indexes},
        checks={
            item.name: (item.columns, server.checks.get((relation.oid, item.name), ""))
            for item in relation.constraints
            if item.kind == CHECK
        },
    )
