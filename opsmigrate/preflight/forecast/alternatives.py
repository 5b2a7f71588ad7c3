"""Safer ways to the same schema, as text to paste into migrations."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db.migrations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    AlterUniqueTogether,
    RemoveConstraint,
    RemoveField,
    RemoveIndex,
    RenameField,
    RunSQL,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.writer import OperationWriter
from django.db.models import CheckConstraint, Field, Q, UniqueConstraint
from django.db.models.fields import NOT_PROVIDED

from opsmigrate.postgres.names import generated_name, quoted
from opsmigrate.preflight.forecast.statement_shapes import (
    AddedConstraint,
    added_constraint,
    added_unique_column,
    concurrently,
    creates_index,
    dropped_column,
    fills_nulls,
    one_line,
    sets_default,
    sets_not_null,
    table_of,
)
from opsmigrate.sql.statement import Statement

POSTGRES = "django.contrib.postgres.operations"
Statements = Sequence[Statement]
DEFAULT_IMPORTS = {
    "from django.db import migrations",
    "from django.db import models",
    f"import {POSTGRES}",
}


@dataclass(frozen=True, kw_only=True)
class Paste:
    """One migration to write: its operations, and what to do before it."""

    operations: tuple[Operation, ...]
    atomic: bool = True
    before: str | None = None


def alternative(
    operation: Operation, statements: Sequence[Statement], *, rewrites: bool
) -> str | None:
    """Return the migrations to write instead of `operation`, None where none are safer.

    `statements` is all that it executes on live tables; `rewrites` says that one of them writes
    every row anew.
    """
    sql = [each for each in statements if not sets_default(each)]
    made = next(
        (pastes for way in WAYS if (pastes := way(operation, sql, rewrites)) is not None), None
    )
    try:
        return None if made is None else rendered(made)
    except ValueError:
        return None  # a migration written by hand may hold what Django cannot write


def _index(operation: Operation, sql: Statements, rewrites: bool) -> list[Paste] | None:
    made: Operation
    if type(operation) is AddIndex:
        made = AddIndexConcurrently(operation.model_name, operation.index)
    elif type(operation) is RemoveIndex:
        made = RemoveIndexConcurrently(operation.model_name, operation.name)
    else:
        return None
    return [Paste(atomic=False, operations=(made,))]


def _check(operation: Operation, sql: Statements, rewrites: bool) -> list[Paste] | None:
    if type(operation) is not AddConstraint or not isinstance(
        operation.constraint, CheckConstraint
    ):
        return None
    model, constraint = operation.model_name, operation.constraint
    return [
        Paste(operations=(AddConstraintNotValid(model, constraint),)),
        Paste(operations=(ValidateConstraint(model, constraint.name),)),
    ]


def _unique(operation: Operation, sql: Statements, rewrites: bool) -> list[Paste] | None:
    """A unique index, built concurrently, then made the constraint, which reads nothing."""
    kinds = (AddConstraint, AlterUniqueTogether, AlterField)
    if not isinstance(operation, kinds) or not sql:
        return None
    if isinstance(operation, AddConstraint) and not isinstance(
        operation.constraint, UniqueConstraint
    ):
        return None
    indexes = [each for each in sql if creates_index(each)]
    if len(indexes) == len(sql):
        return [_concurrent_indexes(indexes, operation)]
    added = [added_constraint(each, "CONSTR_UNIQUE") for each in sql]
    constraints = [each for each in added if each is not None]
    if len(constraints) + len(indexes) < len(sql):
        return None
    return _made_of_indexes(constraints, indexes, operation)


def _made_of_indexes(
    constraints: Sequence[AddedConstraint], indexes: Sequence[Statement], operation: Operation
) -> list[Paste]:
    builds = [
        RunSQL(f"CREATE UNIQUE INDEX CONCURRENTLY {each.name} ON {each.table} {each.elements}")
        for each in constraints
    ]
    builds += [RunSQL(concurrently(each)) for each in indexes]
    given = [
        f"ALTER TABLE {each.table} ADD CONSTRAINT {each.name} UNIQUE USING INDEX {each.name}"
        f"{each.timing}"
        for each in constraints
    ]
    return [
        Paste(atomic=False, operations=tuple(builds)),
        Paste(operations=(RunSQL("; ".join(given), state_operations=[operation]),)),
    ]


def _concurrent_indexes(indexes: Sequence[Statement], operation: Operation) -> Paste:
    # Each in a RunSQL of its own: several statements in one are one transaction to the server.
    runs = [RunSQL(concurrently(each)) for each in indexes]
    runs[-1].state_operations = [operation]
    return Paste(atomic=False, operations=tuple(runs))


def _foreign_key(
    operation: Operation, sql: Sequence[Statement], rewrites: bool
) -> list[Paste] | None:
    key = added_constraint(sql[0], "CONSTR_FOREIGN") if len(sql) == 1 else None
    if not isinstance(operation, AlterField) or key is None:
        return None
    validate = f"ALTER TABLE {key.table} VALIDATE CONSTRAINT {key.name}"
    added = f"{one_line(sql[0])} NOT VALID"
    return [
        Paste(operations=(RunSQL(added, state_operations=[operation]),)),
        Paste(operations=(RunSQL(validate),)),
    ]


def _not_null(operation: Operation, sql: Statements, rewrites: bool) -> list[Paste] | None:
    """A valid check that says the same saves SET NOT NULL from reading the rows."""
    if not isinstance(operation, AlterField) or rewrites:
        return None
    if not sql or not all(sets_not_null(each) or fills_nulls(each) for each in sql):
        return None
    model, name = operation.model_name, operation.name
    given = Q(**{f"{name}__isnull": False})
    check = CheckConstraint(condition=given, name=f"{model}_{name}"[:55] + "_given")
    fills = any(fills_nulls(each) for each in sql)
    return [
        Paste(operations=(AddConstraintNotValid(model, check),)),
        Paste(
            before=f"fill the rows without a value in {name}, in batches" if fills else None,
            operations=(
                ValidateConstraint(model, check.name),
                operation,
                RemoveConstraint(model, check.name),
            ),
        ),
    ]


def _added_column(
    operation: Operation, sql: Sequence[Statement], rewrites: bool
) -> list[Paste] | None:
    if not isinstance(operation, AddField) or not sql:
        return None
    model, name, field = operation.model_name, operation.name, operation.field
    if rewrites:
        return None if field.generated or field.primary_key else _filled(operation)
    unique = added_unique_column(sql[0])
    indexes = [each for each in sql if creates_index(each)]
    later = AlterField(model, name, field)
    if unique is not None:
        table, column = unique
        constraint = AddedConstraint(
            table=table_of(sql[0]),
            name=quoted(generated_name(table, column, "key")),
            kind="CONSTR_UNIQUE",
            elements=f"({quoted(column)})",
            timing="",
        )
        first = Paste(operations=(AddField(model, name, _plain(field)),))
        return [first, *_made_of_indexes([constraint], indexes, later)]
    if indexes:
        return [
            Paste(operations=(AddField(model, name, _plain(field)),)),
            _concurrent_indexes(indexes, later),
        ]
    return None


def _plain(field: "Field[Any, Any]", **attributes: object) -> "Field[Any, Any]":
    """Return the field without its index, and with other attributes."""
    plain: Any = field.clone()
    plain.db_index, plain._unique = False, False
    for name, value in attributes.items():
        setattr(plain, name, value)
    found: Field[Any, Any] = plain
    return found


def _filled(operation: AddField) -> list[Paste]:
    """A column without a default, then the default for new rows: neither touches the old rows."""
    model, name, field = operation.model_name, operation.name, operation.field
    bare = _plain(field, null=True, db_default=NOT_PROVIDED)
    return [
        Paste(
            operations=(
                AddField(model, name, bare),
                AlterField(model, name, _plain(field, null=True)),
            )
        ),
        Paste(
            before=f"fill the rows without a value in {name}, in batches",
            operations=(AlterField(model, name, field),),
        ),
    ]


def _rewritten(
    operation: Operation, sql: Sequence[Statement], rewrites: bool
) -> list[Paste] | None:
    """A second column beside the first, which takes its place at the end."""
    if type(operation) is not AlterField or not rewrites or operation.field.primary_key:
        return None
    model, name, field = operation.model_name, operation.name, operation.field
    beside = f"{name}_new"
    return [
        Paste(operations=(AddField(model, beside, _plain(field, null=True)),)),
        Paste(
            before=f"let the code write both fields, copy {name} to {beside} in batches, and "
            f"create the indexes and constraints of {name} for {beside}",
            operations=(
                RemoveField(model, name),
                RenameField(model, beside, name),
                AlterField(model, name, field),
            ),
        ),
    ]


def _removed(operation: Operation, sql: Statements, rewrites: bool) -> list[Paste] | None:
    """The release that runs during the migration must not use the column any more."""
    drops = [
        (table_of(each), column) for each in sql if (column := dropped_column(each)) is not None
    ]
    if type(operation) is not RemoveField or len(drops) != 1:
        return None
    table, column = drops[0]
    # Code that does not know the column any more leaves it empty.
    nullable = f"ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"
    return [
        Paste(
            before="nothing; release it with code that no longer uses the field",
            operations=(RunSQL(nullable, state_operations=[operation]),),
        ),
        Paste(
            before="wait until no process of the old release is running",
            operations=(RunSQL(f"ALTER TABLE {table} DROP COLUMN {column}"),),
        ),
    ]


Way = Callable[[Operation, Statements, bool], list[Paste] | None]
WAYS: tuple[Way, ...] = (
    _index,
    _check,
    _foreign_key,
    _not_null,
    _added_column,
    _rewritten,
    _unique,
    _removed,
)


def rendered(pastes: Sequence[Paste]) -> str:
    """Return the migrations as text to paste; raise ValueError for what Django cannot write."""
    lines: list[str] = []
    for number, paste in enumerate(pastes, 1):
        lines.append(f"# migration {number} of {len(pastes)}")
        if paste.before:
            lines.append(f"# before it: {paste.before}")
        written = [OperationWriter(each, indentation=1).serialize() for each in paste.operations]
        body = "".join(f"{text}\n" for text, _ in written)
        imports = {line for _, needed in written for line in needed} - DEFAULT_IMPORTS
        names = sorted(_of_postgres(paste.operations))
        if names:
            imports.add(f"from {POSTGRES} import {', '.join(names)}")
            body = body.replace(f"{POSTGRES}.", "")
        lines += sorted(imports)
        if not paste.atomic:
            lines.append("atomic = False")
        lines.append(f"operations = [\n{body}]")
    return "\n".join(lines)


def _of_postgres(operations: Iterable[Operation]) -> set[str]:
    """Return which of Django's operations for PostgreSQL there are, also as state_operations."""
    found = set()
    for each in operations:
        if type(each).__module__ == POSTGRES:
            found.add(type(each).__name__)
        found |= _of_postgres(getattr(each, "state_operations", None) or ())
    return found
