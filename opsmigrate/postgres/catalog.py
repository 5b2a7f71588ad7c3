"""A whole schema, read in the same eight queries however many tables there are."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.transaction import SNAPSHOT, transaction

TABLE_KINDS = frozenset("rp")

RELATIONS = """
SELECT c.oid, n.nspname, c.relname, c.relkind, pg_table_is_visible(c.oid),
       pg_has_role(current_user, c.relowner, 'USAGE'), c.relispartition,
       c.relpersistence, p.partattrs::int2[],
       c.relhastriggers AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid
                                    AND NOT t.tgisinternal AND t.tgenabled <> 'D')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
COLUMNS = """
SELECT a.attrelid, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.atthasdef, a.attidentity <> '', a.attgenerated <> '',
       c.relkind IN ('r', 'p') AND has_column_privilege(c.oid, a.attnum, 'REFERENCES'),
       a.attinhcount > 0
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY a.attrelid, a.attnum
"""
CONSTRAINTS = """
SELECT k.conrelid, k.conname, k.contype, k.conkey, k.confrelid, k.convalidated, k.confkey, x.relname
FROM pg_constraint k LEFT JOIN pg_class x ON x.oid = k.conindid
WHERE k.conrelid <> 0
"""
INDEXES = """
SELECT i.indrelid, x.relname, i.indisunique, i.indisprimary, i.indisvalid, i.indimmediate,
       i.indpred IS NOT NULL OR i.indexprs IS NOT NULL,
       (i.indkey::int2[])[0:i.indnkeyatts - 1], m.amname,
       i.indclass::oid[] && (SELECT array_agg(oid) FROM pg_opclass WHERE NOT opcdefault)
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
JOIN pg_namespace n ON n.oid = x.relnamespace
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY i.indexrelid
"""
# What PostgreSQL lets stand in the way of ALTER COLUMN … TYPE and DROP COLUMN, besides views,
# constraints and plain indexes (documentation of ALTER TABLE; RememberAllDependentForRebuilding).
DEPENDENTS = """
SELECT d.refobjid, d.refobjsubid, w.type, w.identity
FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) w
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND (d.classid IN ('pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_proc'::regclass,
                     'pg_publication_rel'::regclass)
       OR d.classid = 'pg_attrdef'::regclass AND NOT EXISTS (
           SELECT FROM pg_attrdef a
           WHERE a.oid = d.objid AND a.adrelid = d.refobjid AND a.adnum = d.refobjsubid)
       OR d.classid = 'pg_class'::regclass AND EXISTS (
           SELECT FROM pg_index i
           WHERE i.indexrelid = d.objid AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL)))
"""
# A table makes a type of its name; a type of that name is in its way.
TYPE_NAMES = """
SELECT n.nspname, t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typrelid = 0 AND t.typcategory <> 'A'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
VIEWS = """
SELECT DISTINCT d.refobjid, d.refobjsubid, quote_ident(n.nspname) || '.' || quote_ident(v.relname)
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
JOIN pg_namespace n ON n.oid = v.relnamespace
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid <> v.oid AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
SURROUNDINGS = """
SELECT current_setting('server_version_num')::int, current_schema(),
       (SELECT array_agg(nspname::text) FROM pg_namespace),
       (SELECT coalesce(array_agg(nspname::text), '{}') FROM pg_namespace
        WHERE has_schema_privilege(oid, 'CREATE')),
       (SELECT coalesce(array_agg(nspname::text), '{}') FROM pg_namespace
        WHERE pg_has_role(current_user, nspowner, 'USAGE')),
       (SELECT jsonb_object_agg(t.spcname, t.oid = d.dattablespace
            OR has_tablespace_privilege(t.oid, 'CREATE'))::text
        FROM pg_tablespace t, pg_database d WHERE d.datname = current_database()),
       current_setting('default_tablespace'),
       has_database_privilege(current_database(), 'CREATE'),
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       (SELECT coalesce(array_agg(extname::text), '{}') FROM pg_extension),
       (SELECT coalesce(jsonb_object_agg(name, trusted), '{}')::text FROM (
            SELECT v.name, bool_or(v.trusted) AS trusted
            FROM pg_available_extension_versions v GROUP BY v.name) e),
       (SELECT array_agg(DISTINCT collname::text) FROM pg_collation),
       (SELECT coalesce(array_agg(e.evtname::text), '{}') FROM pg_event_trigger e
        WHERE e.evtenabled <> 'D' AND NOT EXISTS (
            SELECT FROM pg_depend d WHERE d.classid = 'pg_event_trigger'::regclass
            AND d.objid = e.oid AND d.deptype = 'e'))
"""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column; `type` as format_type() writes it."""

    name: str
    type: str
    not_null: bool
    has_default: bool
    identity: bool
    generated: bool
    may_reference: bool
    inherited: bool = False


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """A table constraint; `kind` is pg_constraint.contype, `references` the oid it points to.

    A foreign key rests on `index` of the table that it references.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    references: int | None
    validated: bool
    to_columns: tuple[str, ...] = ()
    index: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dependent:
    """What uses a column: `kind` and `name` as pg_identify_object() says them."""

    kind: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index; `columns` are its keys, empty strings where a key is an expression.

    `partial` says that it does not cover the plain columns of every row: a predicate or an
    expression.
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
    with transaction(connection, SNAPSHOT) as cursor:
        columns = _columns_by_table(_rows(cursor, COLUMNS))
        constraints = _constraints_by_table(_rows(cursor, CONSTRAINTS), columns)
        indexes = _indexes_by_table(_rows(cursor, INDEXES), columns)
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
                unlogged=persistence == "u",
                partition_key=_names(columns, oid, partition_key),
                has_triggers=has_triggers,
                columns=tuple(columns.get(oid, {}).values()),
                constraints=tuple(constraints.get(oid, ())),
                indexes=tuple(indexes.get(oid, ())),
                views={view: frozenset(used) for view, used in views.get(oid, {}).items()},
                dependents={name: tuple(users) for name, users in dependents[oid].items()},
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
    for oid, number, name, type_, not_null, has_default, *rest in rows:
        identity, generated, may_reference, inherited = rest
        found[oid][number] = Column(
            name=name,
            type=type_,
            not_null=not_null,
            has_default=has_default,
            identity=identity,
            generated=generated,
            may_reference=may_reference,
            inherited=inherited,
        )
    return found


def _names(columns: ColumnsByTable, oid: int, numbers: Iterable[int] | None) -> tuple[str, ...]:
    known = columns.get(oid, {})
    return tuple(known[number].name if number in known else "" for number in numbers or ())


def _constraints_by_table(
    rows: Iterable[tuple[Any, ...]], columns: ColumnsByTable
) -> dict[int, list[Constraint]]:
    found: dict[int, list[Constraint]] = defaultdict(list)
    for oid, name, kind, keys, references, validated, to_keys, index in rows:
        found[oid].append(
            Constraint(
                name=name,
                kind=kind,
                columns=_names(columns, oid, keys),
                references=references or None,
                validated=validated,
                to_columns=_names(columns, references, to_keys),
                index=index if kind == "f" else None,
            )
        )
    return found


def _indexes_by_table(
    rows: Iterable[tuple[Any, ...]], columns: ColumnsByTable
) -> dict[int, list[Index]]:
    found: dict[int, list[Index]] = defaultdict(list)
    for oid, name, unique, primary, valid, immediate, partial, keys, method, special in rows:
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
                special=bool(special),
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
