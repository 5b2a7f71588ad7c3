"""What the values that fill a column must suit: indexes, checks, foreign keys; also of children."""

from __future__ import annotations

from dataclasses import replace

from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.preflight.walk.descendants import Member, family
from opsmigrate.preflight.walk.expressions import expressions_on, is_decidable
from opsmigrate.preflight.walk.fired import fired_by_filling
from opsmigrate.preflight.walk.probes import ask, duplicates, nulls, points_nowhere, violations
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import CHECK, SimulatedTable, constant


def fill(walk: SchemaWalk, table: SimulatedTable, column: str, default: object) -> None:
    """UPDATE … SET … WHERE … IS NULL: unique indexes and foreign keys must stand the default."""
    rows, probe = walk.rows(table), nulls(table, column)
    missing = ask(walk.connection, probe) if rows and probe else None
    if rows is None and not walk.ledger.code_runs:
        walk.ledger.mark_undecided(
            f"whether all rows of {table.label} get the default: the role cannot see all of them"
        )
    none = rows == 0 or (missing is not None and not missing.count)
    for each in family(walk, table):
        if column in each.table.types:
            _fill_one(walk, each, column, default, none=none)


def _fill_one(
    walk: SchemaWalk, member: Member, column: str, default: object, *, none: bool
) -> None:
    table = member.table
    if table.fires_anew:
        walk.ledger.mark_undecided(f"what fires as {table.label}.{column} is filled in")
    for fired in fired_by_filling(walk.connection, table, column, rows=not none):
        walk.ledger.mark_undecided(
            f"what {fired} of {table.label} does as the default is filled in"
        )
    if none:
        return
    value = table.values.pop(column, None)
    if value is not None and default is not None:
        table.values[column] = sql.SQL("coalesce({}, {})").format(
            value, constant(default, table.types[column])
        )
    unique_holds(walk, member.own, column)
    _checks_hold(walk, member.own, column)
    for key in walk.schema.foreign_keys:
        if key.table is table and column in key.columns and not key.copied:
            known = default is not None and len(key.columns) == 1
            walk.check_rows(
                table,
                f"whether the default of {table.label}.{column} points to a row",
                points_nowhere(table, column, key.target, key.to_columns[0], default)
                if known
                else None,
            )


def unique_holds(walk: SchemaWalk, table: SimulatedTable, column: str) -> None:
    """Report if the new values of a column violate the unique indexes on it."""
    for index in table.indexes.values():
        if index.unique and column in index.columns:
            walk.check_rows(
                table,
                f"whether the new values of {table.label}.{column} suit {index.name}",
                None
                if index.partial or index.special
                else duplicates(table, index.columns, nulls_distinct=index.nulls_distinct),
            )


def _checks_hold(walk: SchemaWalk, table: SimulatedTable, column: str) -> None:
    """Report if the value that is filled in violates a constraint on the column."""
    live = {each[0]: each[1:] for each in expressions_on(walk, table, column)}
    for name, (kind, columns) in table.constraints.items():
        if kind == CHECK and column in columns and name not in live:
            walk.check_rows(
                table, f"whether the default of {table.label}.{column} suits {name}", None
            )
    for name, (kind, expression, validated) in live.items():
        if kind != "check" and (kind != "index" or not table.indexes[name].unique):
            continue
        probe = None
        if kind == "check" and is_decidable(table, name):
            probe = violations(table, expression, table.constraints[name][1])
        if probe is not None and not validated:
            # Rows that break it already stay as they are; only those that are filled are checked.
            probe = replace(probe, proves=False)
        walk.check_rows(table, f"whether the default of {table.label}.{column} suits {name}", probe)
