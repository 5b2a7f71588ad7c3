"""Whether the values of a column can become another type, as far as a query can tell."""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.found import known
from opsmigrate.preflight.walk.probes import Probe, rows_where
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.type_compatibility import comparable
from opsmigrate.report import Severity
from opsmigrate.schema.casting import casts, casts_explicitly
from opsmigrate.schema.types import (
    INTEGER_LIMITS,
    UNPADDED_TEXTS,
    base,
    element,
    is_array,
    modifiers,
)

RANGES = {name: (-limit, limit - 1) for name, limit in INTEGER_LIMITS.items()}
# pg_input_is_valid() came with PostgreSQL 16.
KNOWS_INPUT_IS_VALID = 160_000
BASES = """
WITH RECURSIVE asked (name, oid) AS (
    SELECT name, to_regtype(name)::oid FROM unnest(ARRAY[%s::text, %s::text]) AS name
    UNION SELECT a.name, t.typbasetype FROM asked a JOIN pg_type t ON t.oid = a.oid
    WHERE t.typtype = 'd'
)
SELECT a.name, format_type(t.oid, NULL) FROM asked a JOIN pg_type t ON t.oid = a.oid
WHERE t.typtype <> 'd'
"""


def castable(connection: BaseDatabaseWrapper, old: str, new: str, *, explicit: bool) -> bool | None:
    """Return whether PostgreSQL casts `old` to `new`: by an explicit cast, or by assignment.

    None where that is not known: a type that is not there.
    """
    if explicit:
        return casts_explicitly(connection, old, new)
    return casts(connection, old, new)


def may_join(connection: BaseDatabaseWrapper, left: str, right: str) -> bool:
    """Return whether a foreign key may join columns of these types (domains: base types)."""
    if comparable(left, right):
        return True
    bases: dict[str, str] = dict(seen_by_project(connection, BASES, [base(left), base(right)]))
    return comparable(bases.get(base(left), left), bases.get(base(right), right))


def bad_casts(
    table: SimulatedTable, column: str, new: str, *, explicit: bool, version: int
) -> Probe | None:
    """Return the probe for values that cannot become `new`; None where no query finds them.

    `explicit` says that Django writes USING …::new. Such a cast cuts a text off without a word
    where ALTER … TYPE alone refuses it (documentation of the character types).
    """
    if column not in table.values:
        return None
    old = base(table.types[column])
    predicate = _predicate(old, new, sql.SQL("found.{}").format(sql.Identifier(column)), version)
    if predicate is None:
        return None
    where = f"a value in {table.label}.{column}"
    if explicit and base(element(new) if is_array(new) else new) in UNPADDED_TEXTS:
        return rows_where(
            table,
            (column,),
            predicate,
            id="value-cut-off",
            words=("", "have", f"{where} that {new} would truncate silently"),
            column=column,
            severity=Severity.WARNING,
        )
    return rows_where(
        table,
        (column,),
        predicate,
        id="value-not-castable",
        words=("", "have", f"{where} that cannot become {new}"),
        column=column,
        emptied=(column,),
        cut=modifiers(new)[0] if old in UNPADDED_TEXTS and base(new) in UNPADDED_TEXTS else None,
    )


def bad_values(
    table: SimulatedTable,
    columns: tuple[str, ...],
    value: Composable,
    types: tuple[str, str],
    *,
    column: str,
    version: int,
) -> Probe | None:
    """Return the probe for values, computed of `columns`, that an assignment refuses.

    `types` are what they are and what they become; None where no query finds them.
    """
    predicate = _predicate(base(types[0]), types[1], value, version)
    if predicate is None or not known(table, columns):
        return None
    return rows_where(
        table,
        columns,
        predicate,
        id="value-not-castable",
        words=("", "make", f"a value of {table.label}.{column} that cannot become {types[1]}"),
        column=column,
    )


def too_long_for(new: str, value: Composable) -> Composable | None:
    """Return the condition that a value is too long for the text type; None where none is."""
    if is_array(new):
        one = too_long_for(element(new), sql.SQL("one"))
        each = sql.SQL(
            "EXISTS (SELECT FROM pg_catalog.unnest({}::pg_catalog.text[]) AS one WHERE {})"
        )
        return None if one is None else each.format(value, one)
    if base(new) not in UNPADDED_TEXTS or not modifiers(new):
        return None
    # Spaces at the end that do not fit are dropped without a word.
    return sql.SQL(
        "pg_catalog.rtrim(pg_catalog.substr({}::pg_catalog.text, {})) OPERATOR(pg_catalog.<>) ''"
    ).format(value, sql.Literal(modifiers(new)[0] + 1))


def _predicate(old: str, new: str, value: Composable, version: int) -> Composable | None:
    if is_array(old) and is_array(new):
        one = _predicate(element(old), element(new), sql.SQL("one"), version)
        each = sql.SQL("EXISTS (SELECT FROM pg_catalog.unnest({}) AS one WHERE {})")
        return None if one is None else each.format(value, one)
    kind, sizes = base(new), modifiers(new)
    if kind in UNPADDED_TEXTS and sizes:
        return too_long_for(new, value)
    if old in RANGES and kind in RANGES:
        low, high = RANGES[kind]
        return sql.SQL("({} OPERATOR(pg_catalog.<) {} OR {} OPERATOR(pg_catalog.>) {})").format(
            value, sql.Literal(low), value, sql.Literal(high)
        )
    if old in (*RANGES, "numeric") and kind == "numeric" and len(sizes) == 2:
        digits, scale = sizes
        # Not a number fits every size.
        return sql.SQL(
            "CASE WHEN {value}::numeric OPERATOR(pg_catalog.<>) 'NaN' THEN"
            " pg_catalog.abs(pg_catalog.round({value}::numeric, {scale}))"
            " OPERATOR(pg_catalog.>=) (10::numeric OPERATOR(pg_catalog.^) {digits}) END"
        ).format(value=value, scale=sql.Literal(scale), digits=sql.Literal(digits - scale))
    if old in UNPADDED_TEXTS and version >= KNOWS_INPUT_IS_VALID:
        return sql.SQL("NOT pg_catalog.pg_input_is_valid({}::pg_catalog.text, {})").format(
            value, sql.Literal(new)
        )
    return None
