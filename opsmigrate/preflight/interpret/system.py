"""What the server itself knows of types: casts, operators, operator classes, functions.

It is read once and does not change with a plan, but for an extension that the plan creates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.sql.names import Name

# A type's key is what format_type() writes, with the schema where it is not pg_catalog's.
TYPES = """
WITH named AS (
    SELECT t.*, CASE WHEN e.oid IS NOT NULL THEN
        CASE e.typnamespace WHEN 'pg_catalog'::pg_catalog.regnamespace
             THEN pg_catalog.format_type(e.oid, NULL)
             ELSE pg_catalog.quote_ident(es.nspname) || '.' || pg_catalog.quote_ident(e.typname)
        END || '[]'
        WHEN t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
        THEN pg_catalog.format_type(t.oid, NULL)
        ELSE pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(t.typname)
        END AS key
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace s ON s.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
    LEFT JOIN pg_catalog.pg_namespace es ON es.oid = e.typnamespace
)
"""
READ_TYPES = (
    TYPES
    + """
SELECT n.oid, n.key, n.typtype, n.typcategory, n.typispreferred, b.key
FROM named n LEFT JOIN named b ON b.oid = n.typbasetype
"""
)
READ_CASTS = """
SELECT castsource, casttarget, castcontext, castmethod FROM pg_catalog.pg_cast
"""
READ_OPERATORS = """
SELECT s.nspname, o.oprname, o.oprleft, o.oprright, o.oprresult, p.provolatile, o.oid
FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace
JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
"""
READ_CLASSES = """
SELECT m.amname, s.nspname, c.opcname, c.opcintype, c.opcfamily, c.opcdefault
FROM pg_catalog.pg_opclass c JOIN pg_catalog.pg_am m ON m.oid = c.opcmethod
JOIN pg_catalog.pg_namespace s ON s.oid = c.opcnamespace
"""
READ_MEMBERS = """
SELECT amopfamily, amoplefttype, amoprighttype, amopstrategy, amopopr
FROM pg_catalog.pg_amop WHERE amoppurpose = 's'
"""
READ_FUNCTIONS = """
SELECT p.proname, p.proargtypes::pg_catalog.oid[]::pg_catalog.int8[], p.prorettype, p.provolatile,
       p.prokind, p.proretset, p.provariadic <> 0, p.pronargdefaults
FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
"""


class TypeFacts(NamedTuple):
    """What pg_type says: typtype, typcategory, typispreferred; `base` is that of a domain."""

    kind: str
    category: str
    preferred: bool
    base: str | None


class Callee(NamedTuple):
    """A function or an operator, by the types that it takes; a prefix operator takes one."""

    arguments: tuple[str, ...]
    result: str
    volatility: str
    # prokind; "o" is an operator.
    kind: str = "f"
    set_returning: bool = False
    variadic: bool = False
    defaults: int = 0
    schema: str = "pg_catalog"
    # pg_operator.oid.
    number: int = 0
    in_sql: bool = False


class OperatorClass(NamedTuple):
    """A class of an index method: the type that it takes, and its family's number."""

    name: Name
    type: str
    family: int
    default: bool


@dataclass(frozen=True, kw_only=True)
class System:
    """The server's own types, functions and operators; empty where they were not read."""

    types: Mapping[str, TypeFacts] = field(default_factory=dict)
    # (source, target) -> (context "i", "a", "e"; method "b", "f", "i").
    casts: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    operators: Mapping[str, tuple[Callee, ...]] = field(default_factory=dict)
    functions: Mapping[str, tuple[Callee, ...]] = field(default_factory=dict)
    # Method -> its classes.
    classes: Mapping[str, tuple[OperatorClass, ...]] = field(default_factory=dict)
    # (family, left type, right type) -> strategy -> pg_operator.oid.
    members: Mapping[tuple[int, str, str], Mapping[int, int]] = field(default_factory=dict)


FINGERPRINT = """
SELECT (SELECT max(oid) FROM pg_catalog.pg_cast), (SELECT max(oid) FROM pg_catalog.pg_operator),
       (SELECT max(oid) FROM pg_catalog.pg_opclass)
"""
_READ: WeakKeyDictionary[BaseDatabaseWrapper, tuple[Any, System]] = WeakKeyDictionary()


def system_of(connection: BaseDatabaseWrapper) -> System:
    """Return what the server knows of types; read again only where something was added to it."""
    with connection.cursor() as cursor:
        cursor.execute(FINGERPRINT)
        fingerprint = cursor.fetchone()
    known = _READ.get(connection)
    if known is None or known[0] != fingerprint:
        known = _READ[connection] = fingerprint, read_system(connection)
    return known[1]


def read_system(connection: BaseDatabaseWrapper) -> System:
    """Return what the server knows of types, in six queries."""
    with connection.cursor() as cursor:
        found = []
        for query in (
            READ_TYPES,
            READ_CASTS,
            READ_OPERATORS,
            READ_CLASSES,
            READ_MEMBERS,
            READ_FUNCTIONS,
        ):
            cursor.execute(query)
            found.append(cursor.fetchall())
    types, casts, operators, classes, members, functions = found
    # A prefix operator has no left type.
    key = {0: ""} | {oid: name for oid, name, *_ in types}
    by_operator: dict[str, list[Callee]] = {}
    for schema, name, left, right, result, volatility, oid in operators:
        takes = tuple(key[each] for each in (left, right) if each)
        by_operator.setdefault(name, []).append(
            Callee(takes, key[result], volatility, "o", schema=schema, number=oid)
        )
    by_function: dict[str, list[Callee]] = {}
    for name, arguments, result, *facts in functions:
        takes = tuple(key[each] for each in arguments)
        by_function.setdefault(name, []).append(Callee(takes, key[result], *facts))
    by_method: dict[str, list[OperatorClass]] = {}
    for method, schema, name, type_, family, default in classes:
        by_method.setdefault(method, []).append(
            OperatorClass(Name(schema, name), key[type_], family, default)
        )
    by_family: dict[tuple[int, str, str], dict[int, int]] = {}
    for family, left, right, strategy, operator in members:
        by_family.setdefault((family, key[left], key[right]), {})[strategy] = operator
    return System(
        types={name: TypeFacts(*facts) for _, name, *facts in types},
        casts={(key[one], key[other]): (how, by) for one, other, how, by in casts},
        operators={name: tuple(each) for name, each in by_operator.items()},
        functions={name: tuple(each) for name, each in by_function.items()},
        classes={method: tuple(each) for method, each in by_method.items()},
        members=by_family,
    )
