"""Whether an expression may stand in an index or a generated column: it must be immutable.

The planner is asked, which does with an expression what CREATE INDEX does before it judges
(expression_planner): it writes SQL functions out, and computes what is immutable. Of sample values
nothing but one value is left then, or something is not immutable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import Error
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.search_path import seen_by_project, transaction_as_project
from opsmigrate.preflight.walk.expressions import PLAIN
from opsmigrate.preflight.walk.found import LIMITS, TIMEOUT
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.schema.samples import INEXACT
from opsmigrate.schema.types import INTEGERS, TEXTS, base, element, in_full, is_array
from opsmigrate.sql.expressions import functions_named_in, nodes_of, parse_expression
from opsmigrate.sql.statement import NoGrammarError, NotParsedError

# A text and a number; several, as 'a' is no number, and 1 / (n - 1) has no value. A document is as
# deep as the number says.
SAMPLES = (("1", "1"), ("a", "2"), ("2000-01-02", "3"), ("true", "4"))
DAYS = "2000-01-02 03:04:05+00"
USUAL = {
    "boolean": "true",
    "bytea": "1",
    "date": DAYS,
    "daterange": "[2000-01-02,2000-01-03)",
    "inet": "127.0.0.1",
    "int4range": "[1,2)",
    "int8range": "[1,2)",
    "interval": "1 day",
    "numrange": "[1,2)",
    "time without time zone": "03:04:05",
    "timestamp with time zone": DAYS,
    "timestamp without time zone": DAYS,
    "tstzrange": "[2000-01-02,2000-01-03)",
    "tsvector": "a",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}
JSON = ("json", "jsonb")
MOST_KEYS = 6
VOLATILE = """
SELECT EXISTS (SELECT FROM pg_proc WHERE proname = ANY(%s::text[]) AND provolatile <> 'i')
"""
# What the planner does not compute beforehand, although it may be immutable: parts of the grammar.
NOT_COMPUTED = ("Json", "RowExpr", "Xml")


def require_immutable(
    walk: SchemaWalk, table: SimulatedTable, expression: str, purpose: str
) -> None:
    """Report an expression whose result depends on more than the row (42P17)."""
    if not walk.columns_in(table, expression) and functions_named_in(expression) == ():
        return
    left = _left_of(walk, table, expression)
    if left == "":
        return
    if left is None:
        if _may_depend(walk, expression):
            walk.ledger.mark_undecided(f"whether {purpose} of {table.label} is immutable")
        return
    what = f"{purpose} of {table.label} is not immutable: {_culprit(left)}"
    if not walk.sees_everything():
        walk.ledger.mark_undecided(f"{what}; but an earlier operation may change that")
        return
    walk.ledger.find(
        "not-immutable",
        what,
        hint="name in it what it now takes from the session (to_tsvector('english', …), AT TIME "
        "ZONE 'UTC', to_char with a format), or declare your function IMMUTABLE, if it is",
        table=table.label,
    )


def _culprit(left: str) -> str:
    functions = functions_named_in(left)
    if functions:
        names = ", ".join(f"{name}()" for name in functions)
        return f"{names} may give different values for the same row"
    return "its casts or comparisons depend on the settings of the session"


def _may_depend(walk: SchemaWalk, expression: str) -> bool:
    """Return whether something in it is not immutable for some types, or is a cast."""
    found = nodes_of(expression)
    if found is None or any(each.DESCRIPTOR.name == "TypeCast" for each in found):
        return True
    rows = seen_by_project(walk.connection, VOLATILE, [list(functions_named_in(expression) or ())])
    return bool(rows[0][0])


def _left_of(walk: SchemaWalk, table: SimulatedTable, expression: str) -> str | None:
    """Return what the planner cannot compute of sample values: '' for nothing, None if unknown."""
    for text, number in SAMPLES:
        values = dict(_row(table, expression, text, number))
        if None in values.values():
            return None
        row = sql.SQL(", ").join(value for value in values.values() if value is not None)
        source = sql.SQL("FROM (VALUES ({})) AS {} ({})").format(
            row, sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, values))
        )
        query = sql.SQL("EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT ({}) {}").format(
            sql.SQL(expression), source if values else sql.SQL("")
        )
        try:
            with transaction_as_project(walk.connection, "READ ONLY") as cursor:
                cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
                cursor.execute(query)
                found = cursor.fetchone()[0]
        except Error:
            continue
        plan = found if isinstance(found, list) else json.loads(found)
        (output,) = plan[0]["Plan"]["Output"]
        kind = _computed(output)
        if kind == "value":
            return ""
        if kind == "":
            return str(output) if _is_computable(output) else None
    return None


def _computed(output: str) -> str:
    """Return "value" for a constant, "null" for NULL, "" for what the planner has left to do.

    It writes a constant with its type behind it, and no cast of another type in between.
    """
    try:
        node = parse_expression(output)
    except (NotParsedError, NoGrammarError):
        return ""
    for kind in ("collate_clause", "type_cast"):
        if node.WhichOneof("node") == kind:
            node = getattr(node, kind).arg
    if node.WhichOneof("node") != "a_const":
        return ""
    return "null" if node.a_const.isnull else "value"


def _is_computable(output: str) -> bool:
    """Return whether the planner would have computed it, if it were immutable."""
    found = nodes_of(output)
    return found is not None and not any(
        each.DESCRIPTOR.name.startswith(NOT_COMPUTED) for each in found
    )


def _row(
    table: SimulatedTable, expression: str, text: str, number: str
) -> Iterator[tuple[str, Composable | None]]:
    """Yield the columns that the expression names, each with a value; None where there is none."""
    for column, known in table.types.items():
        # The plan's expressions have the plan's names, the live ones the live names.
        for name in dict.fromkeys((column, table.origins.get(column, column))):
            if name in expression:
                type_ = PLAIN.get(known, known)
                value = _sample(base(type_), expression, text, number)
                cast = sql.SQL("({}::pg_catalog.text)::{}" if base(type_) in TEXTS else "{}::{}")
                yield (
                    name,
                    None
                    if value is None
                    else cast.format(sql.Literal(value), sql.SQL(in_full(type_))),
                )


def _document(keys: Iterable[str], value: str, depth: int) -> Any:
    """Return a document in which each path of that many keys leads to the value."""
    if not depth:
        return value
    return {key: _document(keys, value, depth - 1) for key in keys}


def _sample(type_: str, expression: str, text: str, number: str) -> str | None:
    if type_ in TEXTS:
        return text
    if type_ in JSON:
        literals = [
            each.sval.sval
            for each in nodes_of(expression) or ()
            if each.DESCRIPTOR.name == "A_Const" and each.WhichOneof("val") == "sval"
        ]
        keys = [key for literal in literals for key in literal.strip("{}").split(",")]
        return json.dumps(_document(keys[:MOST_KEYS], number, int(number)))
    if type_ in INTEGERS or type_ in INEXACT:
        return number
    if is_array(type_):
        return "{%s}" % (text if element(type_) in TEXTS else USUAL.get(element(type_), number))
    return USUAL.get(type_)
