"""What an exclusion constraint needs: operators, operator classes, and rows that keep apart."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import Error
from django.db.backends.ddl_references import Statement
from django.db.backends.postgresql.psycopg_any import sql
from django.db.models import BaseConstraint, Model

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.transaction import transaction
from opsmigrate.preflight.walk.expressions import nulls_of, require_fit
from opsmigrate.preflight.walk.operator_classes import require_operator_class
from opsmigrate.preflight.walk.probes import Probe, relation
from opsmigrate.preflight.walk.requirements import Requirements
from opsmigrate.preflight.walk.simulation import SimulatedTable
from opsmigrate.preflight.walk.statements import ORDERED

EXCLUSION = "x"  # pg_constraint.contype


def is_exclusion(constraint: BaseConstraint) -> bool:
    """Say whether this is Django's own EXCLUDE, or a subclass of it."""
    return isinstance(constraint, ExclusionConstraint)


def require_exclusion(
    requirements: Requirements, model: type[Model], constraint: Any, editor: Any
) -> None:
    """EXCLUDE USING …: the operators must be there, and no two rows may exclude each other."""
    table = requirements.own_table(model._meta.db_table)
    if table is None:
        return
    name, method = constraint.name, constraint.index_type.lower()
    requirements.need_free(table, name)
    table.constraints[name] = (EXCLUSION, ())
    statement: Statement = constraint.constraint_sql(model, editor)
    requirements.name_columns(model, str(statement))
    if any(
        finding.operation == requirements.ledger.operation and finding.id == "missing-column"
        for finding in requirements.ledger.findings
    ):
        return
    pairs = _pairs(statement)
    for expression, operator in pairs:
        if ORDERED.search(expression):
            requirements.ledger.leave_open(f"whether the operator class in {expression} is there")
            continue
        require_fit(requirements, table, f"{expression} {operator} {expression}", name)
        kind = _type_of(requirements, table, expression)
        if kind is not None:
            require_operator_class(
                requirements, table, expression, index=name, method=method, name="", type_=kind
            )
    condition = str(statement.parts["where"]).replace(" WHERE ", "", 1)
    requirements.if_rows(
        table, f"whether the rows of {table.label} suit {name}", _probe(table, pairs, condition)
    )


def _pairs(statement: Statement) -> list[tuple[str, str]]:
    parts: Any = statement.parts["expressions"]
    found = []
    for item in parts.expressions.get_source_expressions():
        text, params = parts.compiler.compile(item)
        text = str(text % tuple(map(parts.quote_value, params)) if params else text)
        expression, _, operator = text.rpartition(" WITH ")
        found.append((expression, operator))
    return found


def _type_of(requirements: Requirements, table: SimulatedTable, expression: str) -> str | None:
    query = sql.SQL("SELECT pg_typeof({})::text FROM ({}) AS {}").format(
        sql.SQL(expression), nulls_of(table, expression, {}), sql.Identifier(table.name)
    )
    try:
        with transaction(requirements.connection, "READ ONLY") as cursor:
            cursor.execute(query)
            return str(cursor.fetchone()[0])
    except Error:
        return None


def _probe(table: SimulatedTable, pairs: list[tuple[str, str]], condition: str) -> Probe | None:
    unchanged = set(table.origins) == set(table.types) and all(
        name == live for name, live in table.origins.items()
    )
    if not unchanged or any(ORDERED.search(expression) for expression, _ in pairs):
        return None
    side = _side(table, [expression for expression, _ in pairs], condition)
    together = sql.SQL(" AND ").join(
        sql.SQL("one.{} {} other.{}").format(
            sql.Identifier(f"e{number}"), sql.SQL(operator), sql.Identifier(f"e{number}")
        )
        for number, (_, operator) in enumerate(pairs)
    )
    return Probe(
        id="rows-exclude-each-other",
        words=f"of {table.label} exclude each other",
        keys=sql.SQL("one.key, other.key"),
        rest=sql.SQL("FROM {} AS one JOIN {} AS other ON one.row < other.row AND {}").format(
            side, side, together
        ),
    )


def _side(table: SimulatedTable, expressions: list[str], condition: str) -> Composable:
    values = [
        sql.SQL("{} AS {}").format(sql.SQL(text), sql.Identifier(f"e{number}"))
        for number, text in enumerate(expressions)
    ]
    keys = sql.SQL(" || ', ' || ").join(
        sql.SQL("found.{}::text").format(sql.Identifier(key)) for key in table.keys
    )
    return sql.SQL(
        "(SELECT (found.tableoid, found.ctid) AS row, {} AS key, {} FROM {} AS found{})"
    ).format(
        keys if table.keys else sql.SQL("found.ctid::text"),
        sql.SQL(", ").join(values),
        relation(table),
        sql.SQL(f" WHERE {condition}" if condition else ""),
    )
