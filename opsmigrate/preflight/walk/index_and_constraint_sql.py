"""What a DDL statement needs, read from the template and the parts that Django made it of."""

from collections.abc import Callable
from typing import Any

from django.db.backends.ddl_references import Statement
from django.db.backends.postgresql.schema import DatabaseSchemaEditor

from opsmigrate.postgres.catalog import Index
from opsmigrate.postgres.names import as_stored, unquoted
from opsmigrate.preflight.walk.code_of_others import calls_others
from opsmigrate.preflight.walk.conflict_remedies import set_aside, without_constraint
from opsmigrate.preflight.walk.constraints import (
    add_constraint,
    add_foreign_key,
    drop_constraint,
    no_foreign_key_rests_on,
    require_target,
)
from opsmigrate.preflight.walk.expressions import require_fit, require_no_failure
from opsmigrate.preflight.walk.few_columns import require_few_columns
from opsmigrate.preflight.walk.generated_columns import refuse_virtual
from opsmigrate.preflight.walk.immutability import require_immutable
from opsmigrate.preflight.walk.index_keys import keys_of
from opsmigrate.preflight.walk.index_methods import require_method
from opsmigrate.preflight.walk.index_rows import doubt_long_values, require_rows_fit
from opsmigrate.preflight.walk.operator_classes import (
    require_operator_class,
    require_operator_class_of_key,
)
from opsmigrate.preflight.walk.probes import (
    Probe,
    duplicates,
    orphans,
    same_expressions,
    violations,
)
from opsmigrate.preflight.walk.restricted_search_path import require_safe_path
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import (
    CHECK,
    FOREIGN_KEY,
    PRIMARY_KEY,
    UNIQUE,
    SimulatedTable,
)
from opsmigrate.preflight.walk.simulation import INDEX, TYPE
from opsmigrate.preflight.walk.weak_not_null import require_strong

# OpClass() comes out as ((expression operators)) where its app is not installed.
CLASS_INSIDE = "_ops)"
# Operator classes that take those texts for equal that are equal.
PATTERNS = ("bpchar_pattern_ops", "text_pattern_ops", "varchar_pattern_ops")
# As pg_class.relkind: an index, one of a partitioned table, a type that no relation made.
NO_OBSTACLE = (INDEX, "I", TYPE)
Examine = Callable[[Statement, SimulatedTable, SchemaWalk], None]


def examine_statement(statement: Statement, walk: SchemaWalk) -> None:
    """Ask `walk` about one statement, then change the simulated schema as it would."""
    examine = EXAMINE.get(statement.template)
    if examine is None:
        walk.ledger.raw(str(statement), by="SQL of the database engine's own")
        return
    table = walk.require_owned_table(statement.parts["table"].table, drops=examine is _drop_index)
    if table is not None:
        examine(statement, table, walk)


def _name(part: Any) -> str:
    text = str(part)
    quoted = len(text) > 1 and text.startswith('"') and text.endswith('"')
    return as_stored(unquoted(text) if quoted else text)


def _columns(part: Any) -> tuple[str, ...]:
    return tuple(map(as_stored, getattr(part, "columns", None) or ()))


def _include(statement: Statement) -> tuple[str, ...]:
    """Return the columns that the index only carries along."""
    part = statement.parts.get("include")
    return _columns(part.parts["columns"]) if isinstance(part, Statement) else ()


def _method(statement: Statement) -> str:
    using = str(statement.parts.get("using") or "")
    return using.replace("USING", "").strip().lower() or "btree"


def _classes(statement: Statement) -> tuple[str, ...]:
    return tuple(getattr(statement.parts["columns"], "opclasses", ()))


def _condition(statement: Statement) -> str:
    return str(statement.parts.get("condition") or "").replace(" WHERE ", "", 1)


def _nulls_distinct(statement: Statement) -> bool:
    return "NOT DISTINCT" not in str(statement.parts.get("nulls_distinct") or "")


def _create_index(statement: Statement, table: SimulatedTable, walk: SchemaWalk) -> None:
    _add_index(statement, table, walk, unique=False)


def _create_unique(statement: Statement, table: SimulatedTable, walk: SchemaWalk) -> None:
    columns = _columns(statement.parts["columns"])
    walk.check_rows(
        table,
        f"whether the rows of {table.label} ({', '.join(columns)}) are unique",
        _duplicates(statement, table, columns, walk),
    )
    name = _add_index(statement, table, walk, unique=True)
    if columns and table.partition_key and not set(table.partition_key) <= set(columns):
        walk.ledger.find(
            "partition-key-missing",
            f"{name} of {table.label} must contain the columns of the partition key: "
            f"{', '.join(table.partition_key)}",
            hint="add them to the constraint, or remove the constraint from the migration",
            table=table.label,
        )
    if "UNIQUE INDEX" not in statement.template:
        add_constraint(walk, table, name, UNIQUE, columns)


def _create_primary_key(statement: Statement, table: SimulatedTable, walk: SchemaWalk) -> None:
    for name in [name for name, (kind, _) in table.constraints.items() if kind == PRIMARY_KEY]:
        walk.ledger.find(
            "constraint-exists",
            f"the migration adds a primary key to {table.label}, which has one: {name}",
            hint="remove primary_key from the old field in an earlier operation",
            table=table.label,
        )
    for column in _columns(statement.parts["columns"]):
        doing = f"the primary key on {table.label}.{column}"
        require_strong(walk, table, column, doing)
        table.not_null.add(column)
    _create_unique(statement, table, walk)
    table.constraints[_name(statement.parts["name"])] = (
        PRIMARY_KEY,
        _columns(statement.parts["columns"]),
    )


def _duplicates(
    statement: Statement,
    table: SimulatedTable,
    columns: tuple[str, ...],
    walk: SchemaWalk,
) -> Probe | None:
    parts = statement.parts
    condition = str(parts.get("condition") or "")
    distinct = _nulls_distinct(statement)
    if keys := keys_of(parts["columns"]):
        if any(key.operators and key.operators not in PATTERNS for key in keys):
            return None
        texts = ", ".join(key.text for key in keys)
        if calls_others(walk, texts):
            return None
        named = walk.columns_in(table, texts + condition)
        return same_expressions(table, texts, condition, named, nulls_distinct=distinct)
    named = walk.columns_in(table, condition)
    return duplicates(table, columns, condition, named=named, nulls_distinct=distinct)


def _add_index(
    statement: Statement, table: SimulatedTable, walk: SchemaWalk, *, unique: bool
) -> str:
    name = _name(statement.parts["name"])
    columns = _columns(statement.parts["columns"])
    walk.require_free_name(table, name)
    there = [walk.require_column(table, column, f"index {name}") for column in columns]
    include = _include(statement)
    expressions = keys_of(statement.parts["columns"])
    condition, classes = _condition(statement), _classes(statement)
    text = " ".join([*(key.text for key in expressions), condition])
    named = (*columns, *include, *walk.columns_in(table, text))
    refuse_virtual(walk, table, f"index {name}", named)
    keys = len(columns) or len(expressions)
    require_few_columns(walk.ledger, table, name, keys + len(include))
    if all(there):
        _fits(statement, table, walk, name)
    table.indexes[name] = Index(
        name=name,
        columns=columns,
        unique=unique,
        primary=False,
        valid=True,
        immediate="DEFERRABLE" not in str(statement.parts.get("deferrable", "")),
        partial=bool(condition or expressions) or not columns,
        method=_method(statement),
        special=any(classes),
        include=include,
        opclasses=classes,
        nulls_distinct=_nulls_distinct(statement),
    )
    texts = [*(key.text for key in expressions), *filter(None, [condition])]
    table.made_expressions[name] = tuple(texts)
    return name


def _fits(statement: Statement, table: SimulatedTable, walk: SchemaWalk, name: str) -> None:
    """Report if the method does not take the columns' types, or an expression or a row."""
    parts = statement.parts
    columns, classes, method = _columns(parts["columns"]), _classes(statement), _method(statement)
    keys = keys_of(parts["columns"])
    if keys and CLASS_INSIDE in str(parts["columns"]):
        walk.ledger.find(
            "expression-invalid",
            f"index {name} of {table.label} has its operator class inside the brackets",
            hint="add django.contrib.postgres to INSTALLED_APPS: without it OpClass() is not "
            "understood",
            table=table.label,
        )
        return
    several = len(keys or columns) > 1
    require_method(walk, name, method, several=several, include=bool(_include(statement)))
    for key in keys:
        require_operator_class_of_key(walk, table, key, index=name, method=method)
    for number, column in enumerate(() if keys else columns):
        operators = classes[number] if number < len(classes) else ""
        require_operator_class(walk, table, column, index=name, method=method, name=operators)
    condition = _condition(statement)
    for text in filter(None, (condition, *(key.text for key in keys))):
        if require_fit(walk, table, text, f"index {name}", by_row=True):
            require_no_failure(walk, table, text, f"index {name}")
            require_immutable(walk, table, text, f"index {name}")
            require_safe_path(walk, table, text, f"index {name}")
    if method == "btree":
        require_rows_fit(walk, table, columns, [key.text for key in keys], _include(statement))
    elif method in ("brin", "gin"):
        doubt_long_values(walk, table, columns, method)
    if "CONCURRENTLY" in statement.template and table.kind == "p":
        walk.ledger.find(
            "concurrently-on-partitioned",
            f"index {name} cannot be made CONCURRENTLY: {table.label} is partitioned",
            hint="use AddIndex, or create it on each partition and attach them",
            table=table.label,
        )


def _create_foreign_key(statement: Statement, table: SimulatedTable, walk: SchemaWalk) -> None:
    parts = statement.parts
    columns, to_columns = _columns(parts["column"]), _columns(parts["to_column"])
    name = _name(parts["name"])
    require_target(walk, table, columns, parts["to_table"].table, to_columns)
    target = walk.schema.table(parts["to_table"].table)
    walk.check_rows(
        table,
        f"whether every {table.label} ({', '.join(columns)}) points to a row",
        orphans(
            walk.connection,
            table,
            columns,
            target,
            to_columns,
            empty=walk.rows(target) == 0,
        )
        if target
        else None,
    )
    add_constraint(walk, table, name, FOREIGN_KEY, columns)
    add_foreign_key(walk, table, name, columns, parts["to_table"].table, to_columns)


def _create_check(statement: Statement, table: SimulatedTable, walk: SchemaWalk) -> None:
    name = _name(statement.parts["name"])
    check = str(statement.parts["check"])
    columns = walk.columns_in(table, check)
    if require_fit(walk, table, check, f"the check {name}"):
        question = f"whether the rows of {table.label} satisfy the check {name}"
        if require_no_failure(walk, table, check, f"the check {name}"):
            walk.check_rows(table, question, violations(table, check, columns))
    add_constraint(walk, table, name, CHECK, columns)
    table.made_checks[name] = check


def _drop_constraint(statement: Statement, table: SimulatedTable, walk: SchemaWalk) -> None:
    drop_constraint(walk, table, _name(statement.parts["name"]))


def _drop_index(statement: Statement, table: SimulatedTable, walk: SchemaWalk) -> None:
    name = _name(statement.parts["name"])
    if name in table.constraints:
        walk.ledger.find(
            "constraint-needs-index",
            f"the migration drops index {name} of {table.label}, but a constraint depends on it",
            hint="the constraint is dropped together with its index",
            steps=without_constraint(table, name),
            table=table.label,
            name=name,
        )
    no_foreign_key_rests_on(walk, table, name)
    _is_an_index(walk, table, name)
    # DROP INDEX IF EXISTS: a missing index is no failure.
    if table.indexes.pop(name, None):
        walk.schema.forget_relation(table, name)


def _is_an_index(walk: SchemaWalk, table: SimulatedTable, name: str) -> None:
    """Report if a table, a view or a sequence has the name of the index to drop."""
    kind = walk.schema.kind_in(table.schema, name)
    if kind is not None and kind not in NO_OBSTACLE:
        walk.ledger.find(
            "missing-index",
            f"the migration drops index {name} of {table.label}, but {name} is not an index here",
            hint="rename the existing one",
            steps=(set_aside(walk.schema, table.schema, name),),
            table=table.label,
            name=name,
        )


def _rename_index(statement: Statement, table: SimulatedTable, walk: SchemaWalk) -> None:
    old, new = _name(statement.parts["old_name"]), _name(statement.parts["new_name"])
    if not walk.schema.is_taken(table, old):
        walk.ledger.find(
            "missing-index",
            f"the migration renames index {old} of {table.label}, which does not exist",
            hint=f"rename the matching index to {old}, or create it",
            table=table.label,
            name=old,
            evidence={"name": old},
        )
    walk.require_free_name(table, new)
    walk.schema.forget_relation(table, old)
    if old in table.indexes:
        table.indexes[new] = table.indexes.pop(old)


# By the templates of Django's own editor: of what an engine changed, nothing is known.
EXAMINE: dict[str, Examine] = {
    DatabaseSchemaEditor.sql_create_index: _create_index,
    DatabaseSchemaEditor.sql_create_index_concurrently: _create_index,
    DatabaseSchemaEditor.sql_create_unique: _create_unique,
    DatabaseSchemaEditor.sql_create_unique_index: _create_unique,
    DatabaseSchemaEditor.sql_create_pk: _create_primary_key,
    DatabaseSchemaEditor.sql_create_fk: _create_foreign_key,
    DatabaseSchemaEditor.sql_create_check: _create_check,
    DatabaseSchemaEditor.sql_delete_constraint: _drop_constraint,
    DatabaseSchemaEditor.sql_delete_fk: _drop_constraint,
    DatabaseSchemaEditor.sql_delete_index: _drop_index,
    DatabaseSchemaEditor.sql_delete_index_concurrently: _drop_index,
    DatabaseSchemaEditor.sql_rename_index: _rename_index,
}
