"""The schema as it is in the live catalog, read in the same queries however many tables it has."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.garbage_collection import gc_paused
from opsmigrate.postgres.neighbours import NOBODY, Neighbours
from opsmigrate.postgres.opening import SET_LOCAL
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.postgres.transaction import SNAPSHOT, transaction
from opsmigrate.preflight.interpret import schema_sql
from opsmigrate.preflight.interpret.dependency_sql import DEPENDENCIES, dependencies
from opsmigrate.preflight.interpret.schema import (
    Column,
    Constraint,
    Function,
    Index,
    Key,
    Policy,
    Relation,
    Schema,
    SequenceFacts,
    Signature,
    Trigger,
    Type,
    Use,
)
from opsmigrate.preflight.interpret.system import system_of
from opsmigrate.sql.names import Name

Row = Sequence[Any]
ByTable = Mapping[int, list[Row]]
KNOWS_NULLS_NOT_DISTINCT, KNOWS_NOT_ENFORCED = 150_000, 180_000
OWN_FIRST = "what the search_path makes of a new name: a schema of PostgreSQL's own comes first"
# Bits of pg_index.indoption (INDOPTION_DESC and INDOPTION_NULLS_FIRST in pg_index.h).
DESCENDING, NULLS_FIRST = 1, 2
# pg_collation's oid of "default", and what stands where there is none.
NO_COLLATION = frozenset({"0", "100"})


def read_schema(connection: BaseDatabaseWrapper, neighbours: Neighbours = NOBODY) -> Schema:
    """Return the schema of the database of `connection`, without touching any table.

    Nothing is read of the schemas of `neighbours`. `search_path` is the project's, of which the
    schemas are left that are there. In the transaction that is under way, else in one of its own.
    """
    [[path]] = seen_by_project(connection, "SELECT pg_catalog.current_schemas(false)::text[]")
    with gc_paused(), transaction(connection, SNAPSHOT) as cursor:
        cursor.execute(
            "SELECT pg_catalog.current_setting('search_path'),"
            " pg_catalog.current_setting('TimeZone')"
        )
        former, time_zone = cursor.fetchone()
        cursor.execute(SET_LOCAL, ["pg_catalog"])
        version: int = getattr(connection, "pg_version", 0)
        try:
            found = _schema(_Catalog.read(cursor, version, neighbours.read), path)
        except KeyError:
            # Something rests on a neighbour since it was asked who is one.
            if not neighbours.read:
                raise
            found = _schema(_Catalog.read(cursor, version, ()), path)
        cursor.execute(SET_LOCAL, [former])
        return replace(found, system=system_of(connection), time_zone=time_zone)


@dataclass(frozen=True, kw_only=True)
class _Catalog:
    """What the queries answered, by the oid of the table that each row is about."""

    surroundings: Row
    relations: list[Row]
    rows: Mapping[str, ByTable]
    types: list[Row]
    functions: list[Row]
    dependencies: list[Row]
    names: Mapping[int, Name]
    constraint_names: Mapping[int, tuple[Name, str]]
    numbers: Mapping[int, Mapping[int, str]]
    collated: _Collated

    @classmethod
    def read(cls, cursor: Any, version: int, only: Sequence[int]) -> _Catalog:
        def rows(query: str) -> list[Row]:
            cursor.execute(schema_sql.of_schemas(query, only))
            return list(cursor.fetchall())

        enforced = "k.conenforced" if version >= KNOWS_NOT_ENFORCED else "true"
        nulls = "i.indnullsnotdistinct" if version >= KNOWS_NULLS_NOT_DISTINCT else "false"
        relations = rows(schema_sql.RELATIONS)
        names = {row[0]: Name(row[1], row[2]) for row in relations}
        constraints = rows(schema_sql.CONSTRAINTS.replace("{enforced}", enforced))
        columns = _by_table(rows(schema_sql.COLUMNS))
        others = ("TRIGGERS", "POLICIES", "RULES", "USES", "STATISTICS", "PARENTS", "SEQUENCES")
        return cls(
            surroundings=rows(schema_sql.SURROUNDINGS)[0],
            relations=relations,
            rows={
                "COLUMNS": columns,
                "CONSTRAINTS": _by_table(constraints),
                "INDEXES": _by_table(
                    rows(schema_sql.INDEXES.replace("{nulls_not_distinct}", nulls))
                ),
                **{name: _by_table(rows(getattr(schema_sql, name))) for name in others},
            },
            types=rows(schema_sql.TYPES),
            functions=rows(schema_sql.FUNCTIONS),
            dependencies=rows(DEPENDENCIES),
            names=names,
            constraint_names={row[1]: (names[row[0]], row[2]) for row in constraints},
            numbers={
                table: {number: name for _, name, number, *_ in found}
                for table, found in columns.items()
            },
            collated=_Collated(
                classes={row[0]: row[1:] for row in rows(schema_sql.OPERATOR_CLASSES)},
                names={oid: Name(*name) for oid, *name in rows(schema_sql.COLLATIONS)},
                columns={tuple(row[:2]): row[2] for row in rows(schema_sql.COLUMN_COLLATIONS)},
            ),
        )

    def of(self, table: int, what: str) -> list[Row]:
        """Return the rows of a query about a table."""
        return self.rows[what].get(table, [])

    def column_names(self, table: int, numbers: Iterable[int] | None) -> tuple[str, ...]:
        """Return the columns of these numbers."""
        names = self.numbers.get(table, {})
        return tuple(names[number] for number in numbers or () if number in names)


@dataclass(frozen=True, kw_only=True)
class _Collated:
    """What indexes refer to by oid: operator classes, collations, and those of the columns."""

    classes: Mapping[str, Row]
    names: Mapping[str, Name]
    columns: Mapping[tuple[Any, ...], str]

    def operator_class(self, oid: str) -> Name | None:
        schema, name, default = self.classes[oid]
        return None if default else Name(schema, name)

    def collation(self, oid: str, own: str) -> Name | None:
        return None if oid in (own, "0") else self.names[oid]


def _by_table(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    return found


def _schema(read: _Catalog, path: Sequence[str]) -> Schema:
    version, role, superuser, roles, schemas, extensions, hidden = read.surroundings
    relations = [_relation(read, row) for row in read.relations]
    return Schema(
        version=version,
        search_path=tuple(each for each in path if not each.startswith("pg_")),
        role=role,
        superuser=superuser,
        roles=frozenset(roles),
        schemas=json.loads(schemas),
        relations={relation.name: relation for relation in relations},
        types={each.name: each for each in map(_type, read.types)},
        functions={each.signature: each for each in map(_function, read.functions)},
        extensions=json.loads(extensions),
        collations=frozenset(read.collated.names.values()),
        dependencies=dependencies(read.dependencies),
        all_tainted=OWN_FIRST if path and path[0].startswith("pg_") else None,
        incomplete="relations in the schema pg_catalog" if hidden else None,
    )


def _relation(read: _Catalog, row: Row) -> Relation:
    oid, schema, name, kind, owner, persistence, numbers, replica_identity, row_security, *rest = (
        row
    )
    options, tablespace, method, bound, partition_key, query, extension, *more = rest
    populated, of_type = more
    return Relation(
        name=Name(schema, name),
        kind=kind,
        owner=owner,
        persistence=persistence,
        live=Name(schema, name),
        columns={each[1]: _column(each) for each in read.of(oid, "COLUMNS")},
        last_number=0 if kind == "S" else numbers,
        constraints={each[2]: _constraint(read, each) for each in read.of(oid, "CONSTRAINTS")},
        indexes={each[2]: _index(read, each) for each in read.of(oid, "INDEXES")},
        triggers={each[1]: _trigger(read, each) for each in read.of(oid, "TRIGGERS")},
        policies={each[1]: _policy(each) for each in read.of(oid, "POLICIES")},
        rules={name: event for _, name, event in read.of(oid, "RULES")},
        statistics=frozenset(Name(*each) for _, *each, _ in read.of(oid, "STATISTICS")),
        of_expressions=frozenset(
            Name(*each) for _, *each, has in read.of(oid, "STATISTICS") if has
        ),
        parents=tuple(read.names[parent] for _, parent in read.of(oid, "PARENTS")),
        of_type=Name(*of_type) if of_type else None,
        bound=bound,
        partition_key=partition_key,
        row_security=row_security,
        # What has no rows of its own has none ("n").
        replica_identity=replica_identity if kind in "rpm" else "d",
        options=frozenset(options),
        tablespace=tablespace,
        method=method or "",
        sequence=_sequence(read, oid) if kind == "S" else None,
        query=query,
        uses=frozenset(_uses(read, oid)),
        extension=extension,
        populated=populated,
    )


def _column(row: Row) -> Column:
    _, name, number, type_, not_null, default, identity, generated, collation, local, parents = row
    return Column(
        name=name,
        number=number,
        type=type_,
        not_null=not_null,
        default=default,
        identity=identity,
        generated=generated,
        collation=Name(*collation) if collation else None,
        local=local,
        parents=parents,
    )


def _constraint(read: _Catalog, row: Row) -> Constraint:
    table, _, name, kind, keys, target, target_keys, on_update, on_delete, match, *rest = row
    deferrable, deferred, validated, enforced, no_inherit, local, parents, *more = rest
    index, condition, operators, parent = more
    is_key = kind == "f"
    return Constraint(
        name=name,
        kind=kind,
        columns=read.column_names(table, keys),
        target=read.names[target] if is_key else None,
        to_columns=read.column_names(target, target_keys) if is_key else (),
        on_update=on_update if is_key else "a",
        on_delete=on_delete if is_key else "a",
        match=match if is_key else "s",
        deferrable=deferrable,
        deferred=deferred,
        validated=validated,
        enforced=enforced,
        # Of the others it says only that an index, or a trigger, has a table of its own.
        no_inherit=no_inherit and kind in ("c", "n"),
        local=local,
        parents=parents,
        index=index,
        condition=condition,
        operators=tuple(operators or ()),
        parent=read.constraint_names.get(parent),
        was_copied=kind not in "cn" and not no_inherit,
    )


def _index(read: _Catalog, row: Row) -> Index:
    table, _, name, numbers, count, _, _, _, method, unique, primary, exclusion, *rest = row
    valid, immediate, equal_nulls, predicate, replica_identity, clustered, *more = rest
    _, _, named, *parent = more
    included = [int(number) for number in numbers.split()][count:]
    return Index(
        name=name,
        keys=tuple(_keys(read, row)),
        include=read.column_names(table, included),
        method=method,
        unique=unique,
        primary=primary,
        exclusion=exclusion,
        valid=valid,
        immediate=immediate,
        nulls_distinct=not equal_nulls,
        predicate=predicate,
        replica_identity=replica_identity,
        clustered=clustered,
        named=tuple(named),
        parent=Name(*parent) if parent[1] else None,
    )


def _keys(read: _Catalog, row: Row) -> Iterable[Key]:
    table, _, _, numbers, count, options, classes, collations = row[:8]
    expressions, own_collations = row[18:20]
    every = zip(numbers.split(), options.split(), classes.split(), collations.split(), strict=False)
    for place, (number, option, operator_class, collation) in enumerate(every):
        if place == count:
            return
        if number == "0":
            own = own_collations[place]
        else:
            own = read.collated.columns.get((table, int(number)), "100")
        yield Key(
            column=None if number == "0" else read.numbers[table][int(number)],
            expression=expressions[place] if number == "0" else None,
            operator_class=read.collated.operator_class(operator_class),
            collation=read.collated.collation(collation, own),
            descending=bool(int(option) & DESCENDING),
            nulls_first=bool(int(option) & NULLS_FIRST),
        )


def _trigger(read: _Catalog, row: Row) -> Trigger:
    _, name, schema, function, type_, columns, enabled, when, constraint, *rest = row
    deferrable, deferred, parent, constraint_name = rest
    return Trigger(
        name=name,
        function=Name(schema, function),
        type=type_,
        columns=tuple(columns),
        enabled=enabled,
        when=when,
        constraint=constraint,
        deferrable=deferrable,
        deferred=deferred,
        parent=read.names[parent] if parent else None,
        constraint_name=constraint_name,
    )


def _policy(row: Row) -> Policy:
    _, name, command, permissive, roles, using, check = row
    return Policy(
        name=name,
        command=command,
        permissive=permissive,
        roles=tuple(roles),
        using=using,
        check=check,
    )


def _uses(read: _Catalog, view: int) -> Iterable[Use]:
    for _, table, number in read.of(view, "USES"):
        # What is PostgreSQL's own is left out.
        if table in read.names:
            column = read.numbers.get(table, {}).get(number)
            yield Use(read.names[table], column)


def _sequence(read: _Catalog, oid: int) -> SequenceFacts:
    [[_, type_, start, increment, minimum, maximum, cache, cycle, table, column, internal]] = (
        read.of(oid, "SEQUENCES")
    )
    return SequenceFacts(
        type=type_,
        start=start,
        increment=increment,
        minimum=minimum,
        maximum=maximum,
        cache=cache,
        cycle=cycle,
        owner=(read.names[table], column) if table in read.names else None,
        internal=internal,
    )


def _type(row: Row) -> Type:
    _, schema, name, kind, owner, labels, base, not_null, default, checks, extension = row
    return Type(
        name=Name(schema, name),
        kind=kind,
        owner=owner,
        labels=tuple(labels or ()),
        base=base,
        not_null=not_null,
        default=default,
        checks={name: (check, valid) for name, check, valid in json.loads(checks or "[]")},
        extension=extension,
    )


def _function(row: Row) -> Function:
    schema, name, arguments, kind, returns, language, volatility, strict, *rest = row
    owner, security_definer, extension, plain, returns_set, defaults, parameters = rest
    return Function(
        signature=Signature(Name(schema, name), tuple(arguments)),
        kind=kind,
        returns=returns or "",
        language=language,
        volatility=volatility,
        strict=strict,
        owner=owner,
        security_definer=security_definer,
        extension=extension,
        plain=plain,
        returns_set=returns_set,
        defaults=defaults,
        inputs=tuple(name for mode, name, _ in parameters if mode in "ibv"),
        row=tuple((name, type_) for mode, name, type_ in parameters if mode in "obt"),
    )
