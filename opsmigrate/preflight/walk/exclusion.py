"""What an exclusion constraint needs: operators, operator classes, and rows that keep apart."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db.backends.ddl_references import Statement
from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import BaseConstraint, Model

from opsmigrate.postgres.catalog import Index
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.walk.expressions import require_fit, require_no_failure
from opsmigrate.preflight.walk.fields import column_of
from opsmigrate.preflight.walk.found import keys_of_rows, known, names_of_rows, rows_of
from opsmigrate.preflight.walk.generated_columns import refuse_virtual
from opsmigrate.preflight.walk.immutability import require_immutable
from opsmigrate.preflight.walk.index_keys import Key, keys_of
from opsmigrate.preflight.walk.operator_classes import require_operator_class_of_key
from opsmigrate.preflight.walk.probes import Probe
from opsmigrate.preflight.walk.rejected_row_remedies import BadOnes
from opsmigrate.preflight.walk.restricted_search_path import require_safe_path
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import EXCLUSION, SimulatedTable


def is_exclusion(constraint: BaseConstraint) -> bool:
    """Return whether this is Django's own EXCLUDE, or a subclass of it."""
    return isinstance(constraint, ExclusionConstraint)


def require_exclusion(walk: SchemaWalk, model: type[Model], constraint: Any, editor: Any) -> None:
    """EXCLUDE USING …: the operators must be there, and no two rows may exclude each other."""
    table = walk.require_owned_table(model._meta.db_table)
    if table is None:
        return
    name, method = as_stored(constraint.name), constraint.index_type.lower()
    walk.require_free_name(table, name)
    table.constraints[name] = (EXCLUSION, ())
    statement: Statement = constraint.constraint_sql(model, editor)
    walk.name_columns(model, str(statement))
    if any(
        finding.operation == walk.ledger.operation and finding.id == "missing-column"
        for finding in walk.ledger.findings
    ):
        return
    keys = keys_of(statement.parts["expressions"])
    table.indexes[name] = Index(
        name=name,
        columns=walk.columns_in(table, " ".join(key.text for key in keys)),
        unique=False,
        primary=False,
        valid=True,
        immediate=True,
        partial=True,
        method=method,
    )
    condition = str(statement.parts["where"]).replace(" WHERE ", "", 1)
    texts = [*(key.text for key in keys), *filter(None, [condition])]
    table.made_expressions[name] = tuple(texts)
    _names_no_virtual(walk, table, model, constraint, texts)
    for key in keys:
        _suits(walk, table, name, key.text, f"{key.text} {key.operator} {key.text}")
        require_operator_class_of_key(walk, table, key, index=name, method=method)
    if condition:
        _suits(walk, table, name, condition, condition)
    walk.check_rows(
        table,
        f"whether the rows of {table.label} suit {name}",
        _probe(walk, table, keys, condition),
    )


def _names_no_virtual(
    walk: SchemaWalk,
    table: SimulatedTable,
    model: type[Model],
    constraint: Any,
    texts: list[str],
) -> None:
    fields: list[Any] = [model._meta.get_field(name) for name in constraint.include or ()]
    named = [*map(column_of, fields), *walk.columns_in(table, " ".join(texts))]
    refuse_virtual(walk, table, f"constraint {constraint.name}", named)


def _suits(walk: SchemaWalk, table: SimulatedTable, name: str, expression: str, used: str) -> None:
    """Report an expression that the index cannot have, or as it is `used` there."""
    if require_fit(walk, table, used, name, by_row=True):
        require_no_failure(walk, table, expression, name)
        require_immutable(walk, table, expression, name)
        require_safe_path(walk, table, expression, name)


def _probe(
    walk: SchemaWalk, table: SimulatedTable, keys: list[Key], condition: str
) -> Probe | None:
    texts = [key.text for key in keys]
    columns = walk.columns_in(table, " ".join([*texts, condition]))
    if not known(table, columns):
        return None
    side = _side(table, texts, condition, columns)
    together = sql.SQL(" AND ").join(
        sql.SQL("one.{} {} other.{}").format(
            sql.Identifier(f"e{number}"), sql.SQL(key.operator), sql.Identifier(f"e{number}")
        )
        for number, key in enumerate(keys)
    )
    rest = sql.SQL(
        "FROM {} AS one JOIN {} AS other ON pg_catalog.record_lt(one.row, other.row) AND {}"
    ).format(side, side, together)
    numbers = range(len(names_of_rows(table, columns)))
    return Probe(
        id="rows-exclude-each-other",
        words=(f"of {table.label}", "exclude", "each other"),
        keys=sql.SQL("one.key, other.key"),
        rest=rest,
        bad=BadOnes(
            table=table,
            keys=tuple(sql.SQL("other.{}").format(sql.Identifier(f"k{item}")) for item in numbers),
            rest=rest,
            named="each row that excludes one before it",
        ),
    )


def _side(
    table: SimulatedTable, expressions: list[str], condition: str, columns: tuple[str, ...]
) -> Composable:
    values = [
        sql.SQL("{} AS {}").format(sql.SQL(text), sql.Identifier(f"e{number}"))
        for number, text in enumerate(expressions)
    ]
    values += [
        sql.SQL("{} AS {}").format(name, sql.Identifier(f"k{number}"))
        for number, name in enumerate(names_of_rows(table, columns))
    ]
    key = sql.SQL(" OPERATOR(pg_catalog.||) ', ' OPERATOR(pg_catalog.||) ").join(
        sql.SQL("{}::pg_catalog.text").format(item) for item in keys_of_rows(table, columns)
    )
    return sql.SQL(
        "(SELECT (found.tableoid, found.ctid) AS row, {} AS key, {} FROM {} AS found{})"
    ).format(
        key,
        sql.SQL(", ").join(values),
        rows_of(table, columns),
        sql.SQL(f" WHERE {condition}" if condition else ""),
    )
