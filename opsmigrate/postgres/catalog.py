"""A whole schema, read in the same nine queries however many tables there are."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog_sql import (
    COLUMNS,
    CONSTRAINTS,
    DEPENDENTS,
    INDEXES,
    OPERATOR_CLASSES,
    RELATIONS,
    SURROUNDINGS,
    TYPE_NAMES,
    VIEWS,
)
from opsmigrate.postgres.garbage import uncollected
from opsmigrate.postgres.transaction import SNAPSHOT, transaction

TABLE_KINDS = frozenset("rp")
NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column; `type` as format_type() writes it.

    `collation` is None where it is the type's own.
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


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """A table constraint; `kind` is pg_constraint.contype, `references` the oid it points to.

    A foreign key rests on `index` of the table that it references. `on_delete` is
    pg_constraint.confdeltype: "a" for NO ACTION.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    references: int | None
    validated: bool
    to_columns: tuple[str, ...] = ()
    index: str | None = None
    on_delete: str = "a"


@dataclass(frozen=True, kw_only=True)
class Dependent:
    """What uses a column: `kind` and `name` as pg_identify_object() says them."""

    kind: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Index:
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


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A relation of any kind, as pg_class.relkind names it; what is a table has the rest.

    `partition_key` has an empty string for each expression in it.
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
    partition_key: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    # View -> the columns it uses; an empty string stands for the table as a whole.
    views: Mapping[str, frozenset[str]] = field(default_factory=dict)
    # Column -> what uses it.
    dependents: Mapping[str, tuple[Dependent, ...]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Return `schema.name`."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All relations outside the system schemas, and what surrounds them.

    `version` is as in server_version_num; `schema` is where an unqualified CREATE puts things,
    None where there is no such schema. The role may create in the `creatable` schemas, and owns
    the `owned_schemas`; `tablespaces` says of each whether it may create there.
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
    extensions: frozenset[str]
    available_extensions: Mapping[str, bool]
    collations: frozenset[str]
    # (schema, name) of the types that no relation made.
    types: frozenset[tuple[str, str]] = frozenset()
    # Those that are enabled and no extension's.
    event_triggers: tuple[str, ...] = ()

    @property
    def may_create(self) -> bool:
        """Say whether the role may create where an unqualified CREATE puts things."""
        return self.schema in self.creatable


def read_catalog(connection: BaseDatabaseWrapper) -> Catalog:
    """Return the catalog of the database of `connection`, without touching any table."""
    with uncollected(), transaction(connection, SNAPSHOT) as cursor:
        columns = _columns_by_table(_rows(cursor, COLUMNS))
        constraints = _constraints_by_table(_rows(cursor, CONSTRAINTS), columns)
        classes = {oid: (name, default) for oid, name, default in _rows(cursor, OPERATOR_CLASSES)}
        # Not before PostgreSQL 15; where it is not there, all NULLs are distinct.
        version: int = getattr(connection, "pg_version", 0)
        query = INDEXES if version >= 150_000 else INDEXES.replace("i.indnullsnotdistinct", "false")
        indexes = _indexes_by_table(_rows(cursor, query), columns, classes)
        views = _views_by_table(_rows(cursor, VIEWS), columns)
        dependents = _dependents_by_table(_rows(cursor, DEPENDENTS), columns)
        types = frozenset((schema, name) for schema, name in _rows(cursor, TYPE_NAMES))
        relations = tuple(
            Relation(
                oid=oid,
                schema=schema,
                name=name,
                kind=kind,
                visible=visible,
                owned=owned,
                is_partition=is_partition,
                owner=owner,
                unlogged=persistence == "u",
                partition_key=_names(columns, oid, partition_key),
                has_triggers=has_triggers,
                columns=tuple(columns.get(oid, {}).values()),
                constraints=tuple(constraints.get(oid, ())),
                indexes=tuple(indexes.get(oid, ())),
                views={view: frozenset(used) for view, used in views[oid].items()}
                if oid in views
                else NOTHING,
                dependents={name: tuple(users) for name, users in dependents[oid].items()}
                if oid in dependents
                else NOTHING,
            )
            for (
                oid,
                schema,
                name,
                kind,
                visible,
                owned,
                is_partition,
                persistence,
                partition_key,
                has_triggers,
                owner,
            ) in _rows(cursor, RELATIONS)
        )
        return _with_surroundings(relations, types, next(iter(_rows(cursor, SURROUNDINGS))))


def _rows(cursor: Any, query: str) -> list[tuple[Any, ...]]:
    cursor.execute(query)
    return list(cursor.fetchall())


def _with_surroundings(
    relations: tuple[Relation, ...], types: frozenset[tuple[str, str]], row: tuple[Any, ...]
) -> Catalog:
    version, schema, schemas, creatable, owned, tablespaces, default_tablespace, *rest = row
    may_extend, superuser, extensions, available, collations, event_triggers = rest
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
        extensions=frozenset(extensions),
        available_extensions=json.loads(available),
        collations=frozenset(collations),
        types=types,
        event_triggers=tuple(event_triggers),
    )


ColumnsByTable = dict[int, dict[int, Column]]


def _columns_by_table(rows: Iterable[tuple[Any, ...]]) -> ColumnsByTable:
    found: ColumnsByTable = defaultdict(dict)
    for oid, number, name, type_, not_null, default, *rest in rows:
        identity, generated, may_reference, inherited, virtual, collation = rest
        found[oid][number] = Column(
            name=name,
            type=type_,
            not_null=not_null,
            has_default=default,
            identity=identity,
            generated=generated,
            may_reference=may_reference,
            inherited=inherited,
            virtual=virtual,
            collation=collation,
        )
    return found


def _names(columns: ColumnsByTable, oid: int, numbers: Iterable[int] | None) -> tuple[str, ...]:
    if not numbers:
        return ()
    known = columns.get(oid, {})
    return tuple([known[number].name if number in known else "" for number in numbers])


def _constraints_by_table(
    rows: Iterable[tuple[Any, ...]], columns: ColumnsByTable
) -> dict[int, list[Constraint]]:
    found: dict[int, list[Constraint]] = defaultdict(list)
    for oid, name, kind, keys, references, validated, to_keys, index, on_delete in rows:
        found[oid].append(
            Constraint(
                name=name,
                kind=kind,
                columns=_names(columns, oid, keys),
                references=references or None,
                validated=validated,
                to_columns=_names(columns, references, to_keys),
                index=index if kind == "f" else None,
                on_delete=on_delete,
            )
        )
    return found


def _indexes_by_table(
    rows: Iterable[tuple[Any, ...]],
    columns: ColumnsByTable,
    classes: Mapping[int, tuple[str, bool]],
) -> dict[int, list[Index]]:
    found: dict[int, list[Index]] = defaultdict(list)
    for oid, name, unique, primary, valid, immediate, partial, keys, method, *details in rows:
        predicate, expressions, include, options, opclasses, equal_nulls = details
        found[oid].append(
            Index(
                name=name,
                columns=_names(columns, oid, keys),
                unique=unique,
                primary=primary,
                valid=valid,
                immediate=immediate,
                partial=partial,
                method=method,
                predicate=predicate,
                expressions=expressions,
                include=_names(columns, oid, include),
                # Bit 1 of pg_index.indoption (INDOPTION_DESC in PostgreSQL's pg_index.h).
                descending=tuple([bool(option & 1) for option in options]),
                opclasses=tuple([classes[opclass][0] for opclass in opclasses]),
                nulls_distinct=not equal_nulls,
                special=not all(classes[opclass][1] for opclass in opclasses),
            )
        )
    return found


def _views_by_table(
    rows: Iterable[tuple[Any, ...]], columns: ColumnsByTable
) -> dict[int, dict[str, set[str]]]:
    found: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for oid, number, view in rows:
        found[oid][view].update(_names(columns, oid, [number]))
    return found


def _dependents_by_table(
    rows: Iterable[tuple[Any, ...]], columns: ColumnsByTable
) -> dict[int, dict[str, set[Dependent]]]:
    found: dict[int, dict[str, set[Dependent]]] = defaultdict(lambda: defaultdict(set))
    for oid, number, kind, name in rows:
        for column in _names(columns, oid, [number]):
            found[oid][column].add(Dependent(kind=kind, name=name))
    return found
