"""Whether the rows fit into a btree index, whose entries have a limit."""

from __future__ import annotations

from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.preflight.walk.expressions import types_of
from opsmigrate.preflight.walk.found import known
from opsmigrate.preflight.walk.probes import Probe, rows_where
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable, live_value
from opsmigrate.schema.types import base, element, is_array, modifiers

# BTMaxItemSize on pages of 8 kB, without the 8 bytes of an index tuple's header (nbtree.h).
LARGEST = 2704 - 8
# Less than these by what an entry has besides.
HALF_OF_BRIN, SMALL_OF_GIN = (8152 - 256) // 2, 2712 - 112
# Four bytes a character at the most, in UTF-8.
SAFE_CHARACTERS = LARGEST // 4
ENDLESS = frozenset({"text", "bytea", "jsonb", "citext", "character varying", "character"})


def require_rows_fit(
    walk: SchemaWalk,
    table: SimulatedTable,
    columns: tuple[str, ...],
    expressions: list[str],
    include: tuple[str, ...] = (),
) -> None:
    """Report rows whose stored values are too big for an index entry.

    What it carries along in `include` is part of the entry. Of `expressions` of the columns, and of
    values that the plan makes, PostgreSQL may compress what is too big: then only small ones prove
    something.
    """
    carried = [item for item in include if item in table.types and _may_be_long(table.types[item])]
    keys = [column for column in columns if _may_be_long(table.types[column])]
    types = types_of(walk, table, ", ".join(expressions)) if expressions else []
    if types and not any(map(_may_be_long, types)):
        keys = []
    endless = [*keys, *carried]
    if not endless:
        return
    computed = bool(keys and expressions)
    stored = not computed and all(
        table.values.get(column) == live_value(table.origins.get(column, column))
        for column in endless
    )
    quote = walk.connection.ops.quote_name
    texts = [*(expressions if computed else map(quote, keys)), *map(quote, carried)]
    named = (*columns, *carried) if computed else tuple(endless)
    walk.check_rows(
        table,
        f"whether the values of {table.label} ({', '.join(endless)}) fit into an index",
        _probe(table, texts, named, proves=stored),
    )


def doubt_long_values(
    walk: SchemaWalk, table: SimulatedTable, columns: tuple[str, ...], method: str
) -> None:
    """Ask about values too big for an entry of BRIN or GIN; a compressed one may fit nevertheless.

    BRIN has the least and the greatest value of many rows in one entry (BrinMaxItemSize), GIN each
    element of an array in one of its own (GinMaxItemSize).
    """
    types = table.types
    if method == "brin":
        endless = tuple(each for each in columns if _may_be_long(types[each]))
        size = sql.SQL(" OPERATOR(pg_catalog.+) ").join(map(_size, endless))
        condition = sql.SQL("{} OPERATOR(pg_catalog.>) {}").format(size, sql.Literal(HALF_OF_BRIN))
    else:
        arrays = [each for each in columns if is_array(types[each])]
        endless = tuple(each for each in arrays if _may_be_long(element(types[each])))
        condition = sql.SQL(" OR ").join(map(_has_long_element, endless))
    if not endless:
        return
    probe = None
    if known(table, endless):
        probe = rows_where(
            table,
            endless,
            condition,
            id="index-row-too-big",
            words=(f"of {table.label}", "are", f"too big for an index on ({', '.join(endless)})"),
            column=endless[0],
            proves=False,
        )
    question = f"whether the values of {table.label} ({', '.join(endless)}) fit into an index"
    walk.check_rows(table, question, probe)


def _size(column: str) -> Composable:
    return sql.SQL("coalesce(pg_catalog.pg_column_size({}), 0)").format(sql.Identifier(column))


def _has_long_element(column: str) -> Composable:
    return sql.SQL(
        "EXISTS (SELECT FROM pg_catalog.unnest({}) AS one"
        " WHERE pg_catalog.pg_column_size(one) OPERATOR(pg_catalog.>) {})"
    ).format(sql.Identifier(column), sql.Literal(SMALL_OF_GIN))


def _may_be_long(type_: str) -> bool:
    if type_.endswith("]"):
        return True
    sizes = modifiers(type_)
    return base(type_) in ENDLESS and not (sizes and sizes[0] <= SAFE_CHARACTERS)


def _probe(
    table: SimulatedTable, texts: list[str], columns: tuple[str, ...], *, proves: bool
) -> Probe | None:
    if not known(table, columns):
        return None
    # pg_column_size() tells the stored size. An index takes over what is compressed, and would
    # not compress better what could not be (index_form_tuple()).
    sizes = sql.SQL(" OPERATOR(pg_catalog.+) ").join(
        sql.SQL("coalesce(pg_catalog.pg_column_size({}), 0)").format(sql.SQL(text))
        for text in texts
    )
    return rows_where(
        table,
        columns,
        sql.SQL("({}) OPERATOR(pg_catalog.>) {}").format(sizes, sql.Literal(LARGEST)),
        id="index-row-too-big",
        words=(f"of {table.label}", "are", f"too big for an index on ({', '.join(columns)})"),
        column=columns[0],
        proves=proves,
        emptied=columns,
    )
