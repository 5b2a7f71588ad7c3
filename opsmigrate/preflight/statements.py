"""What a DDL statement needs, told from the template and the parts that Django made it of."""

from collections.abc import Callable
from typing import Any, Protocol

from django.db.backends.ddl_references import Expressions, Statement

from opsmigrate.postgres.catalog import Index
from opsmigrate.preflight.constraints import add_constraint, need_constraint, require_target
from opsmigrate.preflight.probes import Probe, duplicates, orphans, violations
from opsmigrate.preflight.requirements import Requirements
from opsmigrate.preflight.simulation import CHECK, FOREIGN_KEY, UNIQUE, SimulatedTable

Examine = Callable[[Statement, SimulatedTable, Requirements], None]


class Templates(Protocol):
    """The templates of Django's schema editor, by which a statement is recognised."""

    sql_create_index: str
    sql_create_index_concurrently: str
    sql_create_unique: str
    sql_create_unique_index: str
    sql_create_fk: str
    sql_create_check: str
    sql_create_pk: str
    sql_delete_constraint: str
    sql_delete_fk: str
    sql_delete_index: str
    sql_delete_index_concurrently: str
    sql_rename_index: str


def examine_statement(editor: Templates, statement: Statement, requirements: Requirements) -> None:
    """Ask `requirements` about one statement, then change the simulated schema as it would."""
    examine = _by_template(editor).get(statement.template)
    if examine is None:
        requirements.ledger.raw(str(statement))
        return
    table = requirements.own_table(statement.parts["table"].table, drops=examine is _drop_index)
    if table is not None:
        examine(statement, table, requirements)


def _by_template(editor: Templates) -> dict[str, Examine]:
    return {
        editor.sql_create_index: _create_index,
        editor.sql_create_index_concurrently: _create_index,
        editor.sql_create_unique: _create_unique,
        editor.sql_create_unique_index: _create_unique,
        editor.sql_create_pk: _create_unique,
        editor.sql_create_fk: _create_foreign_key,
        editor.sql_create_check: _create_check,
        editor.sql_delete_constraint: _drop_constraint,
        editor.sql_delete_fk: _drop_constraint,
        editor.sql_delete_index: _drop_index,
        editor.sql_delete_index_concurrently: _drop_index,
        editor.sql_rename_index: _rename_index,
    }


def _name(part: Any) -> str:
    text = str(part)
    quoted = len(text) > 1 and text.startswith('"') and text.endswith('"')
    return text[1:-1].replace('""', '"') if quoted else text


def _columns(part: Any) -> tuple[str, ...]:
    return tuple(getattr(part, "columns", None) or ())


def _create_index(statement: Statement, table: SimulatedTable, requirements: Requirements) -> None:
    _add_index(statement, table, requirements, unique=False)


def _create_unique(statement: Statement, table: SimulatedTable, requirements: Requirements) -> None:
    columns = _columns(statement.parts["columns"])
    requirements.if_rows(
        table,
        f"whether the rows of {table.label} ({', '.join(columns)}) are unique",
        _duplicates(statement, table, columns),
    )
    name = _add_index(statement, table, requirements, unique=True)
    if "UNIQUE INDEX" not in statement.template:
        table.constraints[name] = (UNIQUE, columns)


def _duplicates(
    statement: Statement, table: SimulatedTable, columns: tuple[str, ...]
) -> Probe | None:
    parts = statement.parts
    if parts.get("nulls_distinct") or isinstance(parts["columns"], Expressions):
        return None
    condition = str(parts.get("condition") or "")
    named = [column for column in table.types if f'"{column}"' in condition]
    if any(table.origins.get(column) != column for column in named):
        return None
    return duplicates(table, columns, condition)


def _add_index(
    statement: Statement, table: SimulatedTable, requirements: Requirements, *, unique: bool
) -> str:
    name = _name(statement.parts["name"])
    columns = _columns(statement.parts["columns"])
    requirements.need_free(table, name)
    for column in columns:
        requirements.need_column(table, column, f"index {name}")
    table.indexes[name] = Index(
        name=name,
        columns=columns,
        unique=unique,
        primary=False,
        valid=True,
        immediate="DEFERRABLE" not in str(statement.parts.get("deferrable", "")),
        partial=bool(statement.parts.get("condition")) or not columns,
    )
    return name


def _create_foreign_key(
    statement: Statement, table: SimulatedTable, requirements: Requirements
) -> None:
    parts = statement.parts
    columns, to_columns = _columns(parts["column"]), _columns(parts["to_column"])
    require_target(requirements, table, columns, parts["to_table"].table, to_columns)
    target = requirements.schema.table(parts["to_table"].table)
    requirements.if_rows(
        table,
        f"whether every {table.label} ({', '.join(columns)}) points to a row",
        orphans(table, columns, target, to_columns) if target else None,
    )
    add_constraint(requirements, table, _name(parts["name"]), FOREIGN_KEY, columns)


def _create_check(statement: Statement, table: SimulatedTable, requirements: Requirements) -> None:
    name = _name(statement.parts["name"])
    check = str(statement.parts["check"])
    columns = requirements.columns_in(table, check)
    requirements.if_rows(
        table,
        f"whether the rows of {table.label} satisfy the check {name}",
        violations(table, check, columns),
    )
    add_constraint(requirements, table, name, CHECK, columns)


def _drop_constraint(
    statement: Statement, table: SimulatedTable, requirements: Requirements
) -> None:
    name = _name(statement.parts["name"])
    need_constraint(requirements, table, name, "drops")
    table.constraints.pop(name, None)
    if table.indexes.pop(name, None):
        requirements.schema.forget_relation(table, name)


def _drop_index(statement: Statement, table: SimulatedTable, requirements: Requirements) -> None:
    name = _name(statement.parts["name"])
    if name in table.constraints:
        requirements.ledger.find(
            "constraint-needs-index",
            f"the migration drops index {name} of {table.label}, but a constraint rests on it",
            hint=f'ALTER TABLE {table.label} DROP CONSTRAINT "{name}"',
            table=table.label,
        )
    # DROP INDEX IF EXISTS: a missing index is no failure.
    if table.indexes.pop(name, None):
        requirements.schema.forget_relation(table, name)


def _rename_index(statement: Statement, table: SimulatedTable, requirements: Requirements) -> None:
    old, new = _name(statement.parts["old_name"]), _name(statement.parts["new_name"])
    if not requirements.schema.is_taken(table, old):
        requirements.ledger.find(
            "missing-index",
            f"the migration renames index {old} of {table.label}, which is not there",
            hint=f"rename the index that stands for it to {old}, or create it",
            table=table.label,
        )
    requirements.need_free(table, new)
    requirements.schema.forget_relation(table, old)
    if old in table.indexes:
        table.indexes[new] = table.indexes.pop(old)
