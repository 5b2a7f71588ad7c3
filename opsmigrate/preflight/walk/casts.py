"""Whether the values of a column can become another type, as far as a query can tell."""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.preflight.walk.probes import Probe, rows_where
from opsmigrate.preflight.walk.simulation import SimulatedTable
from opsmigrate.preflight.walk.types import base, modifiers
from opsmigrate.report import Severity

RANGES = {
    "smallint": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
TEXTS = ("character varying", "text")
# pg_input_is_valid() came with PostgreSQL 16.
KNOWS_INPUT_IS_VALID = 160_000


# As find_coercion_pathway() in PostgreSQL's sources: an entry in pg_cast; else through text, to a
# string type by assignment, from one only when told to.
CASTS = """
SELECT s.oid = t.oid, c.castcontext, s.typcategory, t.typcategory,
       s.typtype = 'd' OR t.typtype = 'd' OR 'A' IN (s.typcategory, t.typcategory)
FROM pg_type s CROSS JOIN pg_type t
LEFT JOIN pg_cast c ON c.castsource = s.oid AND c.casttarget = t.oid
WHERE s.oid = to_regtype(%s) AND t.oid = to_regtype(%s)
"""


def castable(connection: BaseDatabaseWrapper, old: str, new: str, *, explicit: bool) -> bool | None:
    """Say whether PostgreSQL casts `old` to `new`: when told to, or by assignment.

    None where that is not known: a type that is not there, a domain, an array.
    """
    with connection.cursor() as cursor:
        cursor.execute(CASTS, [base(old), base(new)])
        row = cursor.fetchone()
    if row is None:
        return None
    same, context, from_category, to_category, special = row
    if same:
        return True
    if special:
        return None
    if context is not None:
        return explicit or context in ("i", "a")
    return to_category == "S" or (explicit and from_category == "S")


def bad_casts(
    table: SimulatedTable, column: str, new: str, *, explicit: bool, version: int
) -> Probe | None:
    """Return the probe for values that cannot become `new`; None where no query can tell.

    `explicit` says that Django writes USING …::new. Such a cast cuts a text off without a word
    where ALTER … TYPE alone refuses it (documentation of the character types).
    """
    if column not in table.origins:
        return None
    live = sql.SQL("found.{}").format(sql.Identifier(table.origins[column]))
    old = base(table.types[column])
    predicate = _predicate(old, new, live, version)
    if predicate is None:
        return None
    where = f"hold a value in {table.label}.{column}"
    if explicit and old in TEXTS and base(new) in TEXTS:
        return rows_where(
            table,
            predicate,
            id="value-cut-off",
            words=f"{where} that {new} would cut off without a word",
            column=column,
            severity=Severity.WARNING,
        )
    return rows_where(
        table,
        predicate,
        id="value-not-castable",
        words=f"{where} that cannot become {new}",
        column=column,
    )


def _predicate(old: str, new: str, live: Composable, version: int) -> Composable | None:
    kind, sizes = base(new), modifiers(new)
    if old in TEXTS and kind in TEXTS and sizes:
        # Spaces at the end that do not fit are dropped without a word.
        return sql.SQL("rtrim(substr({}, {})) <> ''").format(live, sql.Literal(sizes[0] + 1))
    if old in RANGES and kind in RANGES:
        low, high = RANGES[kind]
        return sql.SQL("{} NOT BETWEEN {} AND {}").format(live, sql.Literal(low), sql.Literal(high))
    if old in (*RANGES, "numeric") and kind == "numeric" and len(sizes) == 2:
        digits, scale = sizes
        return sql.SQL("abs(round(nullif({}::numeric, 'NaN'), {})) >= 10::numeric ^ {}").format(
            live, sql.Literal(scale), sql.Literal(digits - scale)
        )
    if old in TEXTS and version >= KNOWS_INPUT_IS_VALID:
        return sql.SQL("NOT pg_input_is_valid({}::text, {})").format(live, sql.Literal(new))
    return None
