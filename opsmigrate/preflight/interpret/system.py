"""What the server itself knows of types: casts, operators, operator classes, functions.

Each part is read once, where it is first asked for: most statements ask for none of the thousands
of functions. It does not change with a plan, but for an extension that the plan creates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary, ref

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.sql.names import Name

Key = TypeVar("Key")
Value = TypeVar("Value")

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
SELECT castsource, casttarget, castcontext, castmethod FROM pg_catalog.pg_cast WHERE oid <= %s
"""
READ_OPERATORS = """
SELECT s.nspname, o.oprname, o.oprleft, o.oprright, o.oprresult, p.provolatile, o.oid
FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace
JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode WHERE o.oid <= %s
"""
READ_CLASSES = """
SELECT m.amname, s.nspname, c.opcname, c.opcintype, c.opcfamily, c.opcdefault
FROM pg_catalog.pg_opclass c JOIN pg_catalog.pg_am m ON m.oid = c.opcmethod
JOIN pg_catalog.pg_namespace s ON s.oid = c.opcnamespace WHERE c.oid <= %s
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
READ_EXTENSIONS = "SELECT name, default_version FROM pg_catalog.pg_available_extensions"


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
    # Extension that the server could make -> its version.
    extensions: Mapping[str, str] = field(default_factory=dict)


FINGERPRINT = """
SELECT (SELECT max(oid) FROM pg_catalog.pg_cast), (SELECT max(oid) FROM pg_catalog.pg_operator),
       (SELECT max(oid) FROM pg_catalog.pg_opclass)
"""
Newest = tuple[int, int, int]
_READ: WeakKeyDictionary[BaseDatabaseWrapper, tuple[Newest, System]] = WeakKeyDictionary()


class Later(Mapping[Key, Value]):
    """A mapping that is read where it is first asked for anything."""

    def __init__(self, read: Callable[[], Mapping[Key, Value]]) -> None:
        """Take what returns it."""
        self._read = cache(read)

    def __getitem__(self, key: Key) -> Value:
        """Return what is there under the key; raise KeyError."""
        return self._read()[key]

    def __iter__(self) -> Iterator[Key]:
        """Yield its keys."""
        return iter(self._read())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._read())

    def __reduce__(self) -> tuple[type[dict[Key, Value]], tuple[dict[Key, Value]]]:
        """Be pickled as a dict, which needs no connection."""
        return dict, (dict(self._read()),)


def system_of(connection: BaseDatabaseWrapper) -> System:
    """Return what the server knows of types; read again only where something was added to it."""
    with connection.cursor() as cursor:
        cursor.execute(FINGERPRINT)
        newest = cursor.fetchone()
    known = _READ.get(connection)
    if known is None or known[0] != newest:
        known = _READ[connection] = newest, _system(ref(connection), newest)
    return known[1]


def _system(connection: ref[BaseDatabaseWrapper], newest: Newest) -> System:
    """Return what the server knows of types up to the `newest` casts, operators and classes."""
    cast, operator, operator_class = newest

    def rows(query: str, *params: int) -> list[Any]:
        there = connection()
        assert there is not None  # noqa: S101 - who interprets has it
        with there.cursor() as cursor:
            cursor.execute(query, params or None)
            return list(cursor.fetchall())

    @cache
    def types() -> list[Any]:
        return rows(READ_TYPES)

    @cache
    def key() -> Mapping[int, str]:
        # A prefix operator has no left type.
        return {0: ""} | {oid: name for oid, name, *_ in types()}

    return System(
        types=Later(lambda: {name: TypeFacts(*facts) for _, name, *facts in types()}),
        casts=Later(
            lambda: {
                (key()[one], key()[other]): (how, by)
                for one, other, how, by in rows(READ_CASTS, cast)
            }
        ),
        operators=Later(lambda: _operators(rows(READ_OPERATORS, operator), key())),
        functions=Later(lambda: _functions(rows(READ_FUNCTIONS), key())),
        classes=Later(lambda: _classes(rows(READ_CLASSES, operator_class), key())),
        members=Later(lambda: _members(rows(READ_MEMBERS), key())),
        extensions=Later(lambda: dict(rows(READ_EXTENSIONS))),
    )


def _operators(found: list[Any], key: Mapping[int, str]) -> dict[str, tuple[Callee, ...]]:
    by_name: dict[str, tuple[Callee, ...]] = defaultdict(tuple)
    for schema, name, left, right, result, volatility, oid in found:
        takes = tuple(key[each] for each in (left, right) if each)
        callee = Callee(takes, key[result], volatility, "o", schema=schema, number=oid)
        by_name[name] += (callee,)
    return dict(by_name)


def _functions(found: list[Any], key: Mapping[int, str]) -> dict[str, tuple[Callee, ...]]:
    by_name: dict[str, tuple[Callee, ...]] = defaultdict(tuple)
    for name, arguments, result, *facts in found:
        takes = tuple([key[each] for each in arguments])
        by_name[name] += (Callee(takes, key[result], *facts),)
    return dict(by_name)


def _classes(found: list[Any], key: Mapping[int, str]) -> dict[str, tuple[OperatorClass, ...]]:
    by_method: dict[str, tuple[OperatorClass, ...]] = defaultdict(tuple)
    for method, schema, name, type_, family, default in found:
        operator_class = OperatorClass(Name(schema, name), key[type_], family, default)
        by_method[method] += (operator_class,)
    return dict(by_method)


def _members(
    found: list[Any], key: Mapping[int, str]
) -> dict[tuple[int, str, str], dict[int, int]]:
    by_family: dict[tuple[int, str, str], dict[int, int]] = defaultdict(dict)
    for family, left, right, strategy, operator in found:
        # Those of a type that is newer than what was read are no part of it.
        if left in key and right in key:
            by_family[family, key[left], key[right]][strategy] = operator
    return dict(by_family)
