"""A table as it will be while the plan runs, and its foreign keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.catalog import Constraint, Dependent, Index, Relation
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.walk.made_expressions import names_column, with_new_name
from opsmigrate.schema.types import in_full

FOREIGN_KEY, UNIQUE, PRIMARY_KEY, CHECK, NOT_NULL, EXCLUSION = "f", "u", "p", "c", "n", "x"


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
    # The SQL of the checks and of the indexes' expressions that the plan has made, by their names;
    # of a table that SQL by hand has altered, of all.
    made_checks: dict[str, str] = field(default_factory=dict)
    made_expressions: dict[str, tuple[str, ...]] = field(default_factory=dict)
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
            or any(names_column(text, column) for text in self.made_expressions.get(name, ()))
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
        for name, text in self.made_checks.items():
            self.made_checks[name] = with_new_name(text, old, new)
        for name, texts in self.made_expressions.items():
            self.made_expressions[name] = tuple(with_new_name(text, old, new) for text in texts)
        for name, index in list(self.indexes.items()):
            also = renamed(index.include)
            self.indexes[name] = index._replace(columns=renamed(index.columns), include=also)


def live_value(column: str) -> Composable:
    """Return a column of the live row as it stands."""
    return sql.SQL("live.{}").format(sql.Identifier(column))


def constant(value: object, type_: str) -> Composable:
    """Return a value that Django hands to the driver, as SQL of that type."""
    return sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(in_full(type_)))


def simulated(relation: Relation) -> SimulatedTable:
    """Return a live table as it is before the plan."""
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
        constraints={
            **{item.name: (item.kind, item.columns) for item in relation.constraints},
            **{
                column.not_null_name: (NOT_NULL, (column.name,))
                for column in relation.columns
                if column.not_null_name
            },
        },
        indexes={index.name: index for index in relation.indexes},
        views=dict(relation.views),
    )
