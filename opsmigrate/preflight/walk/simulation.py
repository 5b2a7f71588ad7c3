"""The live schema as it will be while the plan runs: what is there, changed step by step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from opsmigrate.postgres.catalog import TABLE_KINDS, Catalog
from opsmigrate.postgres.names import as_stored, former_name, split_table
from opsmigrate.preflight.walk.simulated_table import SimulatedForeignKey, SimulatedTable, simulated

# Where unqualified names go if the role may use no schema of the search_path.
NOWHERE = "?"
# As pg_class.relkind; a type that no relation made has none.
INDEX, TYPE = "i", "type"


class Simulation:
    """All relations by the name under which Django's statements find them."""

    def __init__(self, catalog: Catalog) -> None:
        self.schema = catalog.schema or NOWHERE
        self._tables: dict[tuple[str, str], SimulatedTable] = {}
        self._kinds: dict[tuple[str, str], str] = {}
        self._visible: dict[str, tuple[str, str]] = {}
        self.extensions = set(catalog.extensions)
        # Of those that the plan makes, whether they are deterministic; None where it drops one.
        self.collations: dict[str, bool | None] = {}
        self.foreign_keys: list[SimulatedForeignKey] = []
        for schema, name in catalog.types:
            self._kinds[schema, name] = TYPE
        for relation in catalog.relations:
            key = (relation.schema, relation.name)
            self._kinds[key] = relation.kind
            if relation.visible:
                self._visible[relation.name] = key
            if relation.kind in TABLE_KINDS:
                self._tables[key] = simulated(relation)
        self._live_kinds = catalog.kinds
        self._withheld = catalog.withheld
        # What CASCADE has taken along, as pg_identify_object() calls it.
        self.gone: set[str] = set()
        self._add_foreign_keys(catalog)

    def _add_foreign_keys(self, catalog: Catalog) -> None:
        by_oid = {
            relation.oid: self._tables.get((relation.schema, relation.name))
            for relation in catalog.relations
        }
        for relation in catalog.relations:
            table = by_oid[relation.oid]
            for constraint in relation.constraints:
                target = by_oid.get(constraint.references or 0)
                if table is not None and target is not None:
                    self.foreign_keys.append(
                        SimulatedForeignKey(
                            name=constraint.name,
                            table=table,
                            columns=constraint.columns,
                            target=target,
                            to_columns=constraint.to_columns,
                            index=constraint.rests_on,
                            validated=constraint.validated,
                            copied=constraint.copied,
                        )
                    )

    @property
    def tables(self) -> Collection[SimulatedTable]:
        """Return all tables."""
        return self._tables.values()

    def forget_foreign_keys(self, gone: Callable[[SimulatedForeignKey], bool]) -> None:
        """Forget the foreign keys of which `gone` is true."""
        self.foreign_keys = [item for item in self.foreign_keys if not gone(item)]

    def table(self, db_table: str) -> SimulatedTable | None:
        """Return the table that `db_table` finds through the search_path, or None."""
        return self._tables.get(self._key(db_table))

    def still_has(self, schema: str | None, name: str | None, column: str | None) -> bool:
        """Return whether the plan has left a live relation, and a column of it, where it was."""
        if self._live_kinds.get((schema or "", name or "")) not in TABLE_KINDS:
            return True
        table = self.of_origin(schema or "", name or "")
        return table is not None and (column is None or column in table.origins.values())

    def of_origin(self, schema: str, name: str) -> SimulatedTable | None:
        """Return the table that the live database has by this name, None where it is gone."""
        return next((it for it in self._tables.values() if it.origin == (schema, name)), None)

    def kind(self, db_table: str) -> str | None:
        """Return pg_class.relkind of whatever bears this name where a CREATE would put it."""
        return self._kinds.get(self.home(db_table))

    def visible_kind(self, db_table: str) -> str | None:
        """Return pg_class.relkind of whatever the name finds through the search_path."""
        return self._kinds.get(self._key(db_table))

    def label(self, db_table: str) -> str:
        """Return `schema.name` as it is, or as it would be made."""
        return ".".join(self._key(db_table))

    def create_table(self, db_table: str, *, after: int) -> SimulatedTable:
        """Add an empty table, made after code ran `after` times, and return it."""
        key = self.home(db_table)
        table = SimulatedTable(
            schema=key[0],
            name=key[1],
            made_after=after,
            new_not_referable="REFERENCES" in self._withheld,
        )
        self._tables[key] = table
        self._kinds[key] = "r"
        self._visible[key[1]] = key
        return table

    def drop_table(self, db_table: str) -> None:
        """Forget the table and the relations that go with it."""
        if (table := self._tables.pop(self._key(db_table), None)) is not None:
            self.forget_foreign_keys(lambda key: table in (key.table, key.target))
            for name in [table.name, *table.indexes]:
                self.forget_relation(table, name)

    def rename_table(self, old: str, new: str) -> None:
        """Give the table its new name."""
        table = self._tables.pop(self._key(old))
        self._kinds.pop((table.schema, table.name), None)
        self._visible.pop(table.name, None)
        table.name = as_stored(split_table(new)[1])
        self._tables[key := (table.schema, table.name)] = table
        self._kinds[key], self._visible[table.name] = table.kind, key

    def rename_column(self, table: SimulatedTable, old: str, new: str) -> None:
        """Rename a column wherever it stands."""
        table.rename_column(old, new)
        for key in self.foreign_keys:
            if key.table is table:
                key.columns = tuple(new if name == old else name for name in key.columns)
            if key.target is table:
                key.to_columns = tuple(new if name == old else name for name in key.to_columns)

    def forget_column(self, table: SimulatedTable, column: str) -> None:
        """Drop a column with all that goes with it."""
        for index in table.indexes_with(column):
            self.forget_relation(table, index)
        table.forget_column(column)
        self.forget_foreign_keys(
            lambda key: (
                (key.table is table and column in key.columns)
                or (key.target is table and column in key.to_columns)
            )
        )

    def is_taken(self, table: SimulatedTable, name: str) -> bool:
        """Return whether the table's schema has a relation `name`, of any kind."""
        return self._kinds.get((table.schema, name), TYPE) != TYPE

    def kind_in(self, schema: str, name: str) -> str | None:
        """Return pg_class.relkind of what bears this name in a schema."""
        return self._kinds.get((schema, name))

    def free_name(
        self, schema: str, name: str, *, ending: str = "_before", given: Collection[str] = ()
    ) -> str:
        """Return a name that nothing in the schema has, now or by then, and that is not `given`."""
        taken = {there for home, there in (*self._kinds, *self._live_kinds) if home == schema}
        return former_name(name, taken.union(given), ending=ending)

    def take(self, table: SimulatedTable, name: str) -> None:
        """Add a relation (an index) in the table's schema."""
        self._kinds[table.schema, name] = INDEX

    def forget_relation(self, table: SimulatedTable, name: str) -> None:
        """Remove a relation from the table's schema."""
        self._kinds.pop((table.schema, name), None)

    # What SQL written by hand has changed (adopted.py): by schema and name, not by db_table.

    def table_of(self, name: tuple[str, str]) -> SimulatedTable | None:
        """Return the table of this schema and name, None where there is none."""
        return self._tables.get((name[0], name[1]))

    def put(self, table: SimulatedTable, indexes: Iterable[str]) -> None:
        """Have this table under its name, and its indexes beside it."""
        key = (table.schema, table.name)
        self._tables[key], self._kinds[key] = table, table.kind
        for index in indexes:
            self._kinds[table.schema, index] = INDEX

    def take_name(self, name: tuple[str, str], kind: str) -> None:
        """Have a relation that is no table, as pg_class.relkind names it."""
        self._kinds[name[0], name[1]] = kind

    def remove(self, name: tuple[str, str], indexes: Iterable[str]) -> None:
        """Have no relation of this name, nor its indexes, nor foreign keys from or to it."""
        table = self._tables.pop((name[0], name[1]), None)
        self.forget_foreign_keys(lambda key: table is not None and key.table is table)
        for each in (name[1], *indexes):
            self._kinds.pop((name[0], each), None)

    def see(self, name: str, found: tuple[str, str] | None) -> None:
        """Let a name without a schema find this relation, or nothing."""
        self._visible.pop(name, None)
        if found is not None:
            self._visible[name] = (found[0], found[1])

    def _key(self, db_table: str) -> tuple[str, str]:
        schema, name = split_table(db_table)
        if schema is not None:
            return (as_stored(schema), as_stored(name))
        return self._visible.get(as_stored(name), (self.schema, as_stored(name)))

    def home(self, db_table: str) -> tuple[str, str]:
        """Return the schema and the name that a CREATE of this table would use."""
        schema, name = split_table(db_table)
        return (as_stored(schema or self.schema), as_stored(name))
