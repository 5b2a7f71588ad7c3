"""A whole schema, read in the same ten queries however many tables there are."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from operator import itemgetter
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog_sql import (
    COLUMNS,
    CONSTRAINTS,
    DEPENDENTS,
    INDEXES,
    METHODS,
    OPERATOR_CLASSES,
    RELATIONS,
    SERVER_AND_ROLE,
    TYPE_NAMES,
    VIEWS,
)
from opsmigrate.postgres.garbage_collection import gc_paused
from opsmigrate.postgres.neighbours import NOBODY, Neighbours
from opsmigrate.postgres.of_users import of_users
from opsmigrate.postgres.search_path import all_seen_by_project
from opsmigrate.postgres.superuser_powers import distrusted_roles
from opsmigrate.postgres.transaction import SNAPSHOT, transaction

TABLE_KINDS = frozenset("rp")
SEQUENCE = "S"
NOTHING: Mapping[Any, Any] = {}


# Tuples where there may be tens of thousands: a frozen dataclass takes seven times as long to make.
class Column(NamedTuple):
    """A column; `type` as format_type() writes it.

    `collation` is None where it is the type's own. `not_null_name` is that of the constraint that
    says NOT NULL and no more than that; None before PostgreSQL 18.
    """

    name: str
    type: str
    not_null: bool
    has_default: bool
    identity: bool
    generated: bool
    may_reference: bool
    inherited: bool = False
    virtual: bool = False
    collation: str | None = None
    not_null_name: str | None = None


class Constraint(NamedTuple):
    """A table constraint; `kind` is pg_constraint.contype, `references` the oid it points to.

    A NOT NULL is one only where it is not validated or not inherited; else see Column.
    A foreign key `rests_on` an index of the table that it references. `on_delete` is
    pg_constraint.confdeltype: "a" for NO ACTION. `condition` is that of a CHECK, in SQL.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    references: int | None
    validated: bool
    to_columns: tuple[str, ...] = ()
    rests_on: str | None = None
    on_delete: str = "a"
    condition: str | None = None
    no_inherit: bool = False
    # It belongs to another foreign key, of a partitioned table.
    copied: bool = False


@dataclass(frozen=True, kw_only=True)
class Dependent:
    """What uses a column: `kind` and `name` as pg_identify_object() says them."""

    kind: str
    name: str


class Index(NamedTuple):
    """An index; `columns` are its keys, empty strings where a key is an expression.

    `partial` says that it does not cover the plain columns of every row: a predicate or an
    expression. `predicate` and `expressions` are those in SQL, None where there is none;
    `opclasses` are the operator classes of the keys.
    """

    name: str
    columns: tuple[str, ...]
    unique: bool
    primary: bool
    valid: bool
    immediate: bool
    partial: bool
    method: str = "btree"
    # Some key has another operator class than its type's default.
    special: bool = False
    predicate: str | None = None
    expressions: str | None = None
    include: tuple[str, ...] = ()
    descending: tuple[bool, ...] = ()
    opclasses: tuple[str, ...] = ()
    nulls_distinct: bool = True


class Relation(NamedTuple):
    """A relation of any kind, as pg_class.relkind names it; what is a table has the rest.

    `numbers` are the columns that it has had, with those that were dropped. `partition_key` has an
    empty string for each expression in it.
    """

    oid: int
    schema: str
    name: str
    kind: str
    visible: bool
    owned: bool
    is_partition: bool
    owner: str = ""
    unlogged: bool = False
    has_triggers: bool = False
    numbers: int = 0
    partition_key: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    # View -> the columns it uses; an empty string stands for the table as a whole.
    views: Mapping[str, frozenset[str]] = NOTHING
    # Column -> what uses it.
    dependents: Mapping[str, tuple[Dependent, ...]] = NOTHING

    @property
    def label(self) -> str:
        """Return `schema.name`."""
        return f"{self.schema}.{self.name}"


class EventTrigger(NamedTuple):
    """One that may run with DDL: its event, and its tags, None where every command fires it."""

    name: str
    event: str
    tags: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All relations outside the system schemas, and what surrounds them.

    `version` is as in server_version_num; `schema` is where an unqualified CREATE puts things,
    None where there is no such schema. `role` is the one that looks, which is the one that
    migrates: it may create in the `creatable` schemas, and owns the `owned_schemas`; `tablespaces`
    says of each whether it may create there.
    """

    relations: tuple[Relation, ...]
    version: int
    schema: str | None
    schemas: frozenset[str]
    creatable: frozenset[str]
    owned_schemas: frozenset[str]
    tablespaces: Mapping[str, bool]
    default_tablespace: str
    may_create_extensions: bool
    superuser: bool
    role: str
    extensions: frozenset[str]
    available_extensions: Mapping[str, bool]
    collations: frozenset[str]
    # (schema, name) of the types that no relation made.
    types: frozenset[tuple[str, str]] = frozenset()
    # Those that are enabled and no extension's.
    event_triggers: tuple[EventTrigger, ...] = ()
    # What the role will lack of the privileges on a table that it makes.
    withheld: frozenset[str] = frozenset()
    # The roles whose code would have a superuser's rights in our session (superuser_powers.py).
    distrusted: frozenset[str] = frozenset()
    # Of whose schemas nothing was read.
    neighbours: Neighbours = NOBODY

    @cached_property
    def kinds(self) -> Mapping[tuple[str, str], str]:
        """Return pg_class.relkind by schema and name."""
        return {(item.schema, item.name): item.kind for item in self.relations}

    @property
    def may_create(self) -> bool:
        """Return whether the role may create where an unqualified CREATE puts things."""
        return self.schema in self.creatable


def read_catalog(connection: BaseDatabaseWrapper, neighbours: Neighbours = NOBODY) -> Catalog:
    """Return the catalog of the database of `connection`, without touching any table.

    Nothing is read of the schemas of `neighbours`.
    """
    # Not before PostgreSQL 15; where it is not there, all NULLs are distinct.
    version: int = getattr(connection, "pg_version", 0)
    query = INDEXES if version >= 150_000 else INDEXES.replace("i.indnullsnotdistinct", "false")
    with gc_paused(), transaction(connection, SNAPSHOT) as cursor:
        read, constrained, indexed, found, [server_and_role] = all_seen_by_project(
            connection,
            *(
                (of_users(each, neighbours.read), None)
                for each in (COLUMNS, CONSTRAINTS, query, RELATIONS, SERVER_AND_ROLE)
            ),
        )
        columns = _columns_by_table(read)
        constraints = _constraints_by_table(constrained, columns)
        classes = {oid: (name, default) for oid, name, default in _rows(cursor, OPERATOR_CLASSES)}
        methods: dict[int, str] = dict(_rows(cursor, METHODS))
        # In the order in which they were made.
        indexed.sort(key=itemgetter(1))
        indexes = _indexes_by_table(indexed, columns, classes, methods)

        def rows(query: str) -> list[Row]:
            return _rows(cursor, of_users(query, neighbours.read))

        views = _views_by_table(rows(VIEWS), columns)
        dependents = _dependents_by_table(rows(DEPENDENTS), columns)
        types = frozenset((schema, name) for schema, name in rows(TYPE_NAMES))
        relations = []
        for key, *row in found:
            oid, _, _, kind, *_ = row
            if kind == SEQUENCE:
                relations.append(Relation(*row))
                continue
            of_oid = columns.get(oid, NOTHING)
            relation = (
                *row,
                _names(of_oid, key) if key else (),
                tuple([of_oid[number] for number in sorted(of_oid)]),
                tuple(constraints.get(oid, ())),
                tuple(indexes.get(oid, ())),
                views.get(oid, NOTHING),
                dependents.get(oid, NOTHING),
            )
            relations.append(Relation(*relation))
        relations += _index_relations(indexed, relations)
        distrusted = distrusted_roles(connection)
        read_all = _as_catalog(tuple(relations), types, distrusted, server_and_role)
        return replace(read_all, neighbours=neighbours)


Row = tuple[Any, ...]


def _rows(cursor: Any, query: str) -> list[Row]:
    cursor.execute(query)
    return list(cursor.fetchall())


def _as_catalog(
    relations: tuple[Relation, ...],
    types: frozenset[tuple[str, str]],
    distrusted: frozenset[str],
    row: Row,
) -> Catalog:
    version, schema, schemas, creatable, owned, tablespaces, default_tablespace, *rest = row
    may_extend, superuser, extensions, available, collations, event_triggers, *rest = rest
    withheld, role = rest
    return Catalog(
        version=version,
        relations=relations,
        schema=schema,
        schemas=frozenset(schemas),
        creatable=frozenset(creatable),
        owned_schemas=frozenset(owned),
        tablespaces=json.loads(tablespaces),
        default_tablespace=default_tablespace,
        may_create_extensions=may_extend,
        superuser=superuser,
        role=role,
        extensions=frozenset(extensions),
        available_extensions=json.loads(available),
        collations=frozenset(collations),
        types=types,
        event_triggers=tuple(
            EventTrigger(name, event, tags and tuple(tags))
            for name, event, tags in json.loads(event_triggers)
        ),
        withheld=frozenset(withheld),
        distrusted=distrusted,
    )


# The columns of each table by its oid, and those by their numbers.
ColumnsByTable = Mapping[int, Mapping[int, Column]]


def _columns_by_table(rows: Iterable[Row]) -> ColumnsByTable:
    found: dict[int, dict[int, Column]] = defaultdict(dict)
    for row in rows:
        found[row[0]][row[1]] = Column._make(row[2:])
    return found


def _names(columns: Mapping[int, Column], numbers: Iterable[int]) -> tuple[str, ...]:
    """Return the columns of these numbers; an empty string for what is an expression."""
    return tuple([columns[number].name if number in columns else "" for number in numbers])


def _constraints_by_table(
    rows: Iterable[Row], columns: ColumnsByTable
) -> dict[int, list[Constraint]]:
    found: dict[int, list[Constraint]] = defaultdict(list)
    for oid, name, kind, keys, references, validated, to_keys, index, *rest in rows:
        found[oid].append(
            Constraint(
                name,
                kind,
                _names(columns.get(oid, NOTHING), keys or ()),
                references or None,
                validated,
                _names(columns.get(references, NOTHING), to_keys) if to_keys else (),
                index,
                *rest,
            )
        )
    return found


def _indexes_by_table(
    rows: Iterable[Row],
    columns: ColumnsByTable,
    classes: Mapping[str, tuple[str, bool]],
    methods: Mapping[int, str],
) -> dict[int, list[Index]]:
    @cache
    def of_keys(opclasses: str) -> tuple[bool, tuple[str, ...]]:
        found = [classes[opclass] for opclass in opclasses.split()]
        return not all(default for _, default in found), tuple([name for name, _ in found])

    @cache
    def descending(options: str) -> tuple[bool, ...]:
        # Bit 1 of pg_index.indoption (INDOPTION_DESC in PostgreSQL's pg_index.h).
        return tuple([bool(int(option) & 1) for option in options.split()])

    found: dict[int, list[Index]] = defaultdict(list)
    for oid, _, _, name, _, _, _, attributes, count, options, opclasses, *rest in rows:
        unique, primary, valid, immediate, method, predicate, expressions, equal_nulls = rest
        names = _names(columns.get(oid, NOTHING), map(int, attributes.split()))
        special, opclass_names = of_keys(opclasses)
        # By position: there may be tens of thousands.
        index = Index(
            name,
            names if count == len(names) else names[:count],
            unique,
            primary,
            valid,
            immediate,
            predicate is not None or expressions is not None,
            methods[method],
            special,
            predicate,
            expressions,
            names[count:],
            descending(options),
            opclass_names,
            not equal_nulls,
        )
        found[oid].append(index)
    return found


def _index_relations(rows: Iterable[Row], relations: Iterable[Relation]) -> Iterator[Relation]:
    """Yield each index as a relation; its owner is always that of its table."""
    owners = {table.oid: (table.owned, table.owner) for table in relations}
    for table, oid, schema, name, kind, visible, is_partition, *_ in rows:
        owned, owner = owners[table]
        yield Relation(oid, schema, name, kind, visible, owned, is_partition, owner)


def _views_by_table(
    rows: Iterable[Row], columns: ColumnsByTable
) -> dict[int, dict[str, frozenset[str]]]:
    found: dict[int, dict[str, frozenset[str]]] = defaultdict(dict)
    for oid, number, view in rows:
        used = _names(columns.get(oid, NOTHING), [number])
        found[oid][view] = found[oid].get(view, frozenset()).union(used)
    return found


def _dependents_by_table(
    rows: Iterable[Row], columns: ColumnsByTable
) -> dict[int, dict[str, tuple[Dependent, ...]]]:
    found: dict[int, dict[str, tuple[Dependent, ...]]] = defaultdict(dict)
    for oid, number, kind, name in rows:
        (column,) = _names(columns.get(oid, NOTHING), [number])
        user, others = Dependent(kind=kind, name=name), found[oid].get(column, ())
        if user not in others:
            found[oid][column] = (*others, user)
    return found
