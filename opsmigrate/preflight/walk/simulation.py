"""The live schema as it will be while the plan runs: what is there, changed step by step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.catalog import TABLE_KINDS, Catalog, Constraint, Dependent, Index, Relation
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import as_stored, former_name, quoted, split_table
from opsmigrate.schema.types import in_full

# Where unqualified names go if the role may use no schema of the search_path.
NOWHERE = "?"
FOREIGN_KEY, UNIQUE, PRIMARY_KEY, CHECK, NOT_NULL, EXCLUSION = "f", "u", "p", "c", "n", "x"
# As pg_class.relkind; a type that no relation made has none.
INDEX, TYPE = "i", "type"


@dataclass(kw_only=True, eq=False)
class SimulatedForeignKey:
    """A foreign key during the plan, and the index of the target on which it rests.

    `copied`: it belongs to another, of a partitioned table. `immediate_in` is the migration until
    whose end it is checked at once; else it waits for the commit.
    """

    name: str
    table: SimulatedTable
    columns: tuple[str, ...]
    target: SimulatedTable
    to_columns: tuple[str, ...]
    index: str | None
    validated: bool = True
    copied: bool = False
    immediate_in: str | None = None


@dataclass(kw_only=True, eq=False)
class SimulatedTable:
    """A table during the plan.

    `made_after` is None for a live table; for one that the plan makes, how many times code had
    run by then: it has no rows until code runs again. `origin` and `origins` say what the table
    and its columns are called in the live database. `values` says of each column how to compute
    what it will hold from a row of the live table, which is called `live`; a column of which that
    is not known is left out. `keys` are the live primary key's columns; `not_referable` are the
    live columns to which the role may not point a foreign key, `new_not_referable` says that it may
    not to those that the plan adds.
    """

    schema: str
    name: str
    made_after: int | None = None
    origin: tuple[str, str] | None = None
    origins: dict[str, str] = field(default_factory=dict)
    values: dict[str, Composable] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    owned: bool = True
    not_referable: frozenset[str] = frozenset()
    new_not_referable: bool = False
    kind: str = "r"
    is_partition: bool = False
    unlogged: bool = False
    has_triggers: bool = False
    # Columns that it has had by then, with those that were dropped.
    numbers: int = 0
    partition_key: tuple[str, ...] = ()
    inherited: frozenset[str] = frozenset()
    # Columns whose default is a plain one, neither identity nor generated.
    defaults: set[str] = field(default_factory=set)
    identities: set[str] = field(default_factory=set)
    generated: set[str] = field(default_factory=set)
    # Those generated columns that are computed when they are read.
    virtual: set[str] = field(default_factory=set)
    dependents: dict[str, set[Dependent]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    not_null: set[str] = field(default_factory=set)
    # By column: its NOT NULL constraint, where rows need not satisfy it, or children.
    weak_not_null: dict[str, Constraint] = field(default_factory=dict)
    constraints: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=dict)
    views: dict[str, frozenset[str]] = field(default_factory=dict)
    # SQL written by hand has made or changed its triggers, rules or policies.
    fires_anew: bool = False
    # SQL written by hand has made, changed or deleted rows: nobody knows how many there are.
    written: bool = False
    # The migration in which code has changed its rows, and that in which triggers of its foreign
    # keys wait for the commit since then.
    rows_written_in: str | None = None
    triggers_wait_in: str | None = None
    # The checks that the plan adds without asking the rows, in SQL.
    not_valid: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Return `schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def live(self) -> str:
        """Return its name in SQL before the plan has run."""
        return quoted(*(self.origin or (self.schema, self.name)))

    def live_column(self, column: str) -> str:
        """Return the name of a column in SQL before the plan has run."""
        return quoted(self.origins.get(column, column))

    def index_to_reference(self, columns: tuple[str, ...]) -> str | None:
        """Return the oldest index that a foreign key to `columns` may rest on (CREATE TABLE)."""
        for name, index in self.indexes.items():
            whole = index.unique and index.valid and index.immediate and not index.partial
            if whole and sorted(index.columns) == sorted(columns):
                return name
        return None

    def may_be_referenced(self, columns: tuple[str, ...]) -> bool:
        """Return whether the role has the REFERENCES privilege on `columns`: owners may lack it."""
        live = {self.origins[column] for column in columns if column in self.origins}
        added = self.new_not_referable and not self.origins.keys() >= set(columns)
        return not (added or live & self.not_referable)

    def add_unique(
        self,
        name: str,
        columns: tuple[str, ...],
        *,
        primary: bool = False,
        immediate: bool = True,
    ) -> None:
        """Add a unique constraint or primary key, and the index that it rests on."""
        self.constraints[name] = (PRIMARY_KEY if primary else UNIQUE, columns)
        self.indexes[name] = Index(
            name=name,
            columns=columns,
            unique=True,
            primary=primary,
            valid=True,
            immediate=immediate,
            partial=False,
        )

    def indexes_with(self, column: str) -> list[str]:
        """Return the indexes that DROP COLUMN takes along: where it is a key, or computed with."""
        users = [user.name for user in self.dependents.get(column, ()) if user.kind == "index"]
        return [
            name
            for name, index in self.indexes.items()
            if column in (*index.columns, *index.include)
            or any(user.endswith((f".{name}", f'."{name}"')) for user in users)
        ]

    def forget_column(self, column: str) -> None:
        """Drop a column with the constraints and indexes that DROP COLUMN takes with it."""
        for name in self.indexes_with(column):
            del self.indexes[name]
        by_column: tuple[dict[str, Any], ...]
        by_column = (self.types, self.origins, self.values, self.weak_not_null, self.dependents)
        for each in by_column:
            each.pop(column, None)
        for names in (self.not_null, self.defaults, self.identities, self.generated, self.virtual):
            names.discard(column)
        # A generated column no longer uses the others.
        ends = (f".{column}", f'."{column}"')
        self.dependents = {
            name: {
                user
                for user in users
                if not (user.kind == "default value" and user.name.endswith(ends))
            }
            for name, users in self.dependents.items()
        }
        self.constraints = {
            name: (kind, columns)
            for name, (kind, columns) in self.constraints.items()
            if column not in columns
        }
        self.views = {view: used for view, used in self.views.items() if column not in used}

    def rename_column(self, old: str, new: str) -> None:
        """Rename a column wherever it stands."""

        def renamed(columns: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(new if column == old else column for column in columns)

        self.types = {new if name == old else name: kind for name, kind in self.types.items()}
        self.origins = {new if name == old else name: live for name, live in self.origins.items()}
        self.values = {new if name == old else name: each for name, each in self.values.items()}
        for names in (self.not_null, self.defaults, self.identities, self.generated, self.virtual):
            if old in names:
                names.remove(old)
                names.add(new)
        if old in self.weak_not_null:
            self.weak_not_null[new] = self.weak_not_null.pop(old)
        self.partition_key = renamed(self.partition_key)
        if old in self.dependents:
            self.dependents[new] = self.dependents.pop(old)
        self.constraints = {
            name: (kind, renamed(columns)) for name, (kind, columns) in self.constraints.items()
        }
        for name, index in list(self.indexes.items()):
            also = renamed(index.include)
            self.indexes[name] = index._replace(columns=renamed(index.columns), include=also)


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
                self._tables[key] = _simulated(relation)
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


def live_value(column: str) -> Composable:
    """Return a column of the live row as it stands."""
    return sql.SQL("live.{}").format(sql.Identifier(column))


def constant(value: object, type_: str) -> Composable:
    """Return a value that Django hands to the driver, as SQL of that type."""
    return sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(in_full(type_)))


def _simulated(relation: Relation) -> SimulatedTable:
    not_referable = frozenset(item.name for item in relation.columns if not item.may_reference)
    return SimulatedTable(
        schema=relation.schema,
        name=relation.name,
        origin=(relation.schema, relation.name),
        origins={column.name: column.name for column in relation.columns},
        values={column.name: live_value(column.name) for column in relation.columns},
        keys=next((item.columns for item in relation.constraints if item.kind == PRIMARY_KEY), ()),
        owned=relation.owned,
        not_referable=not_referable,
        # Who has the privilege on the table has it on each column.
        new_not_referable=bool(not_referable),
        kind=relation.kind,
        is_partition=relation.is_partition,
        unlogged=relation.unlogged,
        has_triggers=relation.has_triggers,
        numbers=relation.numbers,
        partition_key=relation.partition_key,
        inherited=frozenset(item.name for item in relation.columns if item.inherited),
        defaults={
            item.name
            for item in relation.columns
            if item.has_default and not (item.identity or item.generated)
        },
        identities={item.name for item in relation.columns if item.identity},
        generated={item.name for item in relation.columns if item.generated},
        virtual={item.name for item in relation.columns if item.virtual},
        dependents={name: set(users) for name, users in relation.dependents.items()},
        types={column.name: column.type for column in relation.columns},
        not_null={column.name for column in relation.columns if column.not_null},
        weak_not_null={
            item.columns[0]: item
            for item in relation.constraints
            if item.kind == NOT_NULL and (item.no_inherit or not item.validated)
        },
        constraints={item.name: (item.kind, item.columns) for item in relation.constraints},
        indexes={index.name: index for index in relation.indexes},
        views=dict(relation.views),
    )
