"""Whether an index method has an operator class for the type of a column."""

from __future__ import annotations

from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.expressions import types_of
from opsmigrate.preflight.walk.index_keys import Key
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.schema.types import base

# As GetDefaultOpClass() and IsBinaryCoercible() in PostgreSQL's sources: the type itself, one that
# it is binary-coercible to, or the polymorphic type of its kind.
QUERY = """
WITH asked AS (
    SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END AS oid, t.typcategory,
           CASE t.typtype WHEN 'd' THEN b.typtype ELSE t.typtype END AS typtype
    FROM pg_type t LEFT JOIN pg_type b ON b.oid = t.typbasetype
    WHERE t.oid = to_regtype(%s)
)
SELECT EXISTS (
    SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
    WHERE m.amname = %s AND CASE WHEN %s = '' THEN o.opcdefault ELSE o.opcname = %s
          AND pg_opclass_is_visible(o.oid) END
      AND (o.opcintype = asked.oid
           OR EXISTS (SELECT FROM pg_cast c WHERE c.castsource = asked.oid
                      AND c.casttarget = o.opcintype AND c.castmethod = 'b'
                      AND c.castcontext = 'i')
           OR o.opcintype = 'anyarray'::regtype AND asked.typcategory = 'A'
           OR o.opcintype = 'anyenum'::regtype AND asked.typtype = 'e'
           OR o.opcintype = 'anyrange'::regtype AND asked.typtype = 'r'
           OR o.opcintype = 'anymultirange'::regtype AND asked.typtype = 'm'
           OR o.opcintype = 'record'::regtype AND asked.typtype = 'c'))
FROM asked
"""


def require_operator_class(  # noqa: PLR0913 - an index's column in full
    walk: SchemaWalk,
    table: SimulatedTable,
    column: str,
    *,
    index: str,
    method: str,
    name: str,
    type_: str | None = None,
) -> None:
    """Report if an index of `method` cannot cover the column; `name` is '' for the default."""
    kind = base(type_ or table.types[column])
    found = _there_is(walk, kind, method, name)
    # None: a type that the server does not know is noted elsewhere.
    if found is not False:
        return
    if not walk.sees_everything():
        walk.ledger.mark_undecided(f"whether {method} will have operators for {kind}")
        return
    walk.ledger.find(
        "no-operator-class",
        f"index {index} of {table.label} needs {name or 'the default operators'} of {method} for "
        f"{column}, which is {kind}: there are none",
        hint="convert the column to the type that the applied migrations describe, or create the "
        "extension that provides the operator class",
        table=table.label,
        column=column,
    )


def require_operator_class_of_key(
    walk: SchemaWalk, table: SimulatedTable, key: Key, *, index: str, method: str
) -> None:
    """Report if an index of `method` cannot cover an expression; a misfit has no type."""
    for type_ in types_of(walk, table, key.text):
        require_operator_class(
            walk,
            table,
            key.text,
            index=index,
            method=method,
            name=key.operators,
            type_=type_,
        )


def require_keys(walk: SchemaWalk, table: SimulatedTable, columns: tuple[str, ...]) -> None:
    """Report a column of a primary key or of UNIQUE whose type cannot be sorted."""
    for index in table.indexes.values():
        if index.unique and index.columns == columns:
            for column in columns:
                name = index.name
                require_operator_class(walk, table, column, index=name, method="btree", name="")


def special_indexes_fit(walk: SchemaWalk, table: SimulatedTable, column: str, after: str) -> None:
    """Report the indexes that PostgreSQL cannot rebuild if the column becomes `after`."""
    for index in table.indexes.values():
        if column in index.columns and index.special:
            walk.ledger.mark_undecided(
                f"whether the operator class of index {index.name} takes {column} as {after}"
            )
        elif column in index.columns:
            require_operator_class(
                walk,
                table,
                column,
                index=index.name,
                method=index.method,
                name="",
                type_=after,
            )


def _there_is(walk: SchemaWalk, type_: str, method: str, name: str) -> bool | None:
    known = walk.answers.operator_classes
    if (type_, method, name) not in known:
        rows = seen_by_project(walk.connection, QUERY, [type_, method, name, name])
        known[type_, method, name] = bool(rows[0][0]) if rows else None
    return known[type_, method, name]
