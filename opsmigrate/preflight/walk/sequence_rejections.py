"""The keys that new rows will get of a sequence: it may be behind its table, or at its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.postgres.sequences import Owned, behind_last_row
from opsmigrate.preflight.questions import summed_up
from opsmigrate.preflight.walk.rejections import Rejection
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.steps import statement

# How a column gets a value that is not given: of the sequence of an identity (deptype i), or of one
# that its default names, whoever owns that.
GIVEN_BY = """
SELECT a.attidentity <> '', pg_get_expr(f.adbin, f.adrelid), t.typname,
       s.oid::bigint, n.nspname, s.relname, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle,
       CASE WHEN s.oid IS NOT NULL THEN has_sequence_privilege(s.oid, 'SELECT') END,
       CASE WHEN s.oid IS NOT NULL THEN has_sequence_privilege(s.oid, 'USAGE') END
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
LEFT JOIN pg_depend d ON CASE WHEN a.attidentity <> ''
    THEN d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
        AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'i'
    ELSE d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid = 0 END
LEFT JOIN pg_class s ON s.relkind = 'S'
    AND s.oid = CASE WHEN a.attidentity <> '' THEN d.objid ELSE d.refobjid END
LEFT JOIN pg_namespace n ON n.oid = s.relnamespace
LEFT JOIN pg_sequence q ON q.seqrelid = s.oid
WHERE cn.nspname = %s AND c.relname = %s AND a.attname = %s AND NOT a.attisdropped
ORDER BY s.oid NULLS LAST LIMIT 1
"""
LARGEST = {"int2": 2**15 - 1, "int4": 2**31 - 1, "int8": 2**63 - 1}
# Without the privilege to read a sequence, its last value is known, but not whether it was used.
LAST = "SELECT pg_sequence_last_value(%s::oid)"
SUITS = """
SELECT least(first, last) >= {least} AND greatest(first, last) <= {most},
    NOT EXISTS (SELECT FROM {table}
                WHERE {key} BETWEEN least(first, last) AND greatest(first, last))
FROM (SELECT first, first + {way} AS last FROM (
    SELECT CASE WHEN is_called THEN last_value + {step} ELSE last_value END AS first
    FROM {sequence}) s) AS coming
"""


@dataclass(frozen=True, kw_only=True)
class _NextKeys:
    """A sequence: what it gives next, and how it goes on."""

    schema: str
    name: str
    next_value: int
    increment: int
    least: int
    most: int
    cycles: bool

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    def suits(self, origin: tuple[str, str], column: str, count: int) -> Composable:
        """Return the query whether the next `count` values exist, and whether no row has one."""
        return sql.SQL(SUITS).format(
            key=sql.Identifier(column),
            table=sql.Identifier(*origin),
            sequence=sql.Identifier(self.schema, self.name),
            step=sql.Literal(self.increment),
            way=sql.Literal(self.increment * (count - 1)),
            least=sql.Literal(self.least),
            most=sql.Literal(self.most),
        )

    def values(self, count: int) -> Iterator[int]:
        """Yield the next `count` values; fewer, where it ends before."""
        value = self.next_value
        for _ in range(count):
            if not self.least <= value <= self.most:
                if not self.cycles:
                    return
                value = self.least if self.increment > 0 else self.most
            yield value
            value += self.increment


def sequence_rejections(
    connection: BaseDatabaseWrapper, table: SimulatedTable, column: str, count: int, *, role: str
) -> Iterator[Rejection]:
    """Yield what stands against `count` rows to which the database itself gives their `column`.

    `role` is the one that inserts them.
    """
    if table.origin is None or column not in table.origins:
        return
    live = table.origins[column]
    found = seen_by_project(connection, GIVEN_BY, [*table.origin, live])
    if not found:
        return
    identity, default, type_, oid, *rest = found[0]
    if oid is None:
        if identity or "nextval" in (default or ""):
            yield Rejection(f"which keys {default or 'its identity'} will yield", certain=False)
        return
    schema, name, increment, least, most, cycles, readable, usable = rest
    label = f"{schema}.{name}"
    whole = identity or _is_nextval(default or "")
    with summed_up(connection) as by:
        highest = _highest(connection, table.origin, live, increment)
        next_value = _next(
            connection, oid, (schema, name), increment, readable=readable, usable=usable
        )
        if next_value is None and highest is None:
            return
        if next_value is None or not whole:
            may_not = (
                f"the role may not read it (GRANT SELECT ON SEQUENCE {quoted(schema, name)} TO "
                f"{quoted(role)};)"
            )
            why = may_not if whole else f"the default is {default}"
            yield Rejection(f"whether {label} yields unused keys: {why}", certain=False)
            return
        sequence = _NextKeys(
            schema=schema,
            name=name,
            next_value=next_value,
            increment=increment,
            least=least,
            most=min(most, LARGEST.get(type_, most)),
            cycles=cycles,
        )
        against = list(_of(connection, table, live, sequence, count))
        if readable and not against and not cycles:
            # Which keys they are is the same to whoever gets them.
            by(sequence.suits(table.origin, live, count), [(True, True)])
    yield from against


def _of(
    connection: BaseDatabaseWrapper,
    table: SimulatedTable,
    column: str,
    sequence: _NextKeys,
    count: int,
) -> Iterator[Rejection]:
    assert table.origin is not None  # noqa: S101 - the caller's condition
    coming = list(sequence.values(count))
    taken = _taken(connection, table.origin, column, coming)
    if taken:
        place = min(map(coming.index, taken))
        yield Rejection(
            f"{sequence.label} is behind, and yields the key {coming[place]}, which a row already "
            "has",
            steps=(statement(_remedy(connection, table.origin, column, sequence)),),
            row=place,
            of_rows=True,
        )
    elif len(coming) < count:
        end = sequence.most if sequence.increment > 0 else sequence.least
        yield Rejection(
            f"{sequence.label} ends at {end}",
            hint="let the sequence and the column hold larger numbers",
            row=len(coming),
        )


def _highest(
    connection: BaseDatabaseWrapper, origin: tuple[str, str], column: str, increment: int
) -> int | None:
    """Return the farthest key that a row has."""
    query = sql.SQL("SELECT {}({}) FROM {}").format(
        sql.SQL("max" if increment > 0 else "min"), sql.Identifier(column), sql.Identifier(*origin)
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        value: int | None = cursor.fetchone()[0]
    return value


def _is_nextval(default: str) -> bool:
    """Return whether a default, as pg_get_expr() writes it, gives what a sequence gives."""
    inside = default.removeprefix("nextval('").removesuffix("'::regclass)")
    whole = len(default) == len(inside) + len("nextval(''::regclass)")
    return whole and bool(inside) and "'" not in inside.replace("''", "")


def _next(
    connection: BaseDatabaseWrapper,
    oid: int,
    name: tuple[str, str],
    increment: int,
    *,
    readable: bool,
    usable: bool,
) -> int | None:
    """Return what a sequence gives next, None where the role may not know."""
    with connection.cursor() as cursor:
        if readable:
            query = sql.SQL("SELECT last_value, is_called FROM {}")
            cursor.execute(query.format(sql.Identifier(*name)))
            last, called = cursor.fetchone()
            return int(last + increment if called else last)
        if not usable:
            return None
        cursor.execute(LAST, [oid])
        last = cursor.fetchone()[0]
    return None if last is None else int(last + increment)


def _taken(
    connection: BaseDatabaseWrapper, origin: tuple[str, str], column: str, coming: list[int]
) -> list[int]:
    # No parameter: a name may have a percent sign.
    query = sql.SQL("SELECT {key} FROM {} WHERE {key} = ANY ({coming})").format(
        sql.Identifier(*origin), key=sql.Identifier(column), coming=sql.Literal(coming)
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [int(value) for (value,) in cursor.fetchall()]


def _remedy(
    connection: BaseDatabaseWrapper, origin: tuple[str, str], column: str, sequence: _NextKeys
) -> str:
    """Return the statement that lets a sequence go on behind the last row."""
    owned = Owned(sequence.schema, sequence.name, *origin, column, sequence.increment)
    return behind_last_row(connection, owned)
