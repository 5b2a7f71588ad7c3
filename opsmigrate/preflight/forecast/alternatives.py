"""Safer ways to the same schema, as text to paste into migrations."""

import re
from collections.abc import Callable, Sequence
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

from opsmigrate.postgres.names import generated_name

POSTGRES = "django.contrib.postgres.operations"
POSTGRES_NAME = re.compile(rf"{re.escape(POSTGRES)}\.(\w+)\(")
DEFAULT_IMPORTS = {
    "from django.db import migrations",
    "from django.db import models",
    f"import {POSTGRES}",
}
SETS_DEFAULT = re.compile(r"ALTER TABLE \S+ ALTER COLUMN \S+ (?:SET|DROP) DEFAULT\b")
SETS_NOT_NULL = re.compile(r"ALTER TABLE \S+ ALTER COLUMN \S+ SET NOT NULL$")
FILLS = re.compile(r"UPDATE \S+ SET .+ IS NULL; SET CONSTRAINTS ALL IMMEDIATE$")
CREATES_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX ")
ADDS_UNIQUE = re.compile(r"ALTER TABLE (\S+) ADD CONSTRAINT (\S+) UNIQUE (\(.+?\))(.*)$")
ADDS_KEY = re.compile(r"ALTER TABLE (\S+) ADD CONSTRAINT (\S+) FOREIGN KEY ")
DROPS_COLUMN = re.compile(r"ALTER TABLE (\S+) DROP COLUMN (\S+)")
ADDS_UNIQUE_COLUMN = re.compile(r"ALTER TABLE (\S+) ADD COLUMN (\S+) .+ UNIQUE\b")


@dataclass(frozen=True, kw_only=True)
class Paste:
    """One migration to write: its operations, and what to do before it."""

    operations: tuple[Operation, ...]
    atomic: bool = True
    before: str | None = None


def alternative(operation: Operation, statements: Sequence[str], *, rewrites: bool) -> str | None:
    """Return the migrations to write instead of `operation`, None where none are safer.

    `statements` is all that it executes on live tables; `rewrites` says that one of them writes
    every row anew.
    """
    sql = [each for each in (" ".join(text.split()) for text in statements) if not _light(each)]
    made = next(
        (pastes for way in WAYS if (pastes := way(operation, sql, rewrites)) is not None), None
    )
    try:
        return None if made is None else rendered(made)
    except ValueError:
        return None  # a migration written by hand may hold what Django cannot write


def _light(statement: str) -> bool:
    return SETS_DEFAULT.match(statement) is not None


def _index(operation: Operation, sql: Sequence[str], rewrites: bool) -> list[Paste] | None:
    made: Operation
    if type(operation) is AddIndex:
        made = AddIndexConcurrently(operation.model_name, operation.index)
    elif type(operation) is RemoveIndex:
        made = RemoveIndexConcurrently(operation.model_name, operation.name)
    else:
        return None
    return [Paste(atomic=False, operations=(made,))]


def _check(operation: Operation, sql: Sequence[str], rewrites: bool) -> list[Paste] | None:
    if type(operation) is not AddConstraint or not isinstance(
        operation.constraint, CheckConstraint
    ):
        return None
    model, constraint = operation.model_name, operation.constraint
    return [
        Paste(operations=(AddConstraintNotValid(model, constraint),)),
        Paste(operations=(ValidateConstraint(model, constraint.name),)),
    ]


def _unique(operation: Operation, sql: Sequence[str], rewrites: bool) -> list[Paste] | None:
    """A unique index, built concurrently, then made the constraint, which reads nothing."""
    kinds = (AddConstraint, AlterUniqueTogether, AlterField)
    if not isinstance(operation, kinds) or not sql:
        return None
    if isinstance(operation, AddConstraint) and not isinstance(
        operation.constraint, UniqueConstraint
    ):
        return None
    found = [ADDS_UNIQUE.match(each) for each in sql]
    indexes = [each for each in sql if CREATES_INDEX.match(each)]
    if len(indexes) == len(sql):
        return [_concurrent_indexes(indexes, operation)]
    constraints = [match for match in found if match is not None]
    if len(constraints) + len(indexes) < len(sql):
        return None
    builds = [
        RunSQL(f"CREATE UNIQUE INDEX CONCURRENTLY {match[2]} ON {match[1]} {match[3]}")
        for match in constraints
    ]
    builds += [RunSQL(_concurrently(each)) for each in indexes]
    return [
        Paste(atomic=False, operations=tuple(builds)),
        Paste(operations=(_given_index(constraints, operation),)),
    ]


def _given_index(constraints: Sequence["re.Match[str]"], operation: Operation) -> Operation:
    texts = [
        f"ALTER TABLE {match[1]} ADD CONSTRAINT {match[2]} UNIQUE USING INDEX {match[2]}{match[4]}"
        for match in constraints
    ]
    return RunSQL("; ".join(texts), state_operations=[operation])


def _concurrently(sql: str) -> str:
    return sql.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)


def _concurrent_indexes(indexes: Sequence[str], operation: Operation) -> Paste:
    # Each in a RunSQL of its own: several statements in one are one transaction to the server.
    runs = [RunSQL(_concurrently(each)) for each in indexes]
    runs[-1].state_operations = [operation]
    return Paste(atomic=False, operations=tuple(runs))


def _foreign_key(operation: Operation, sql: Sequence[str], rewrites: bool) -> list[Paste] | None:
    match = ADDS_KEY.match(sql[0]) if len(sql) == 1 else None
    if not isinstance(operation, AlterField) or match is None:
        return None
    validate = f"ALTER TABLE {match[1]} VALIDATE CONSTRAINT {match[2]}"
    return [
        Paste(operations=(RunSQL(f"{sql[0]} NOT VALID", state_operations=[operation]),)),
        Paste(operations=(RunSQL(validate),)),
    ]


def _not_null(operation: Operation, sql: Sequence[str], rewrites: bool) -> list[Paste] | None:
    """A valid check that says the same saves SET NOT NULL from reading the rows."""
    if not isinstance(operation, AlterField) or rewrites:
        return None
    if not sql or not all(SETS_NOT_NULL.match(each) or FILLS.match(each) for each in sql):
        return None
    model, name = operation.model_name, operation.name
    given = Q(**{f"{name}__isnull": False})
    check = CheckConstraint(condition=given, name=f"{model}_{name}"[:55] + "_given")
    fills = any(FILLS.match(each) for each in sql)
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


def _added_column(operation: Operation, sql: Sequence[str], rewrites: bool) -> list[Paste] | None:
    if not isinstance(operation, AddField) or not sql:
        return None
    model, name, field = operation.model_name, operation.name, operation.field
    if rewrites:
        return None if field.generated or field.primary_key else _filled(operation)
    unique = ADDS_UNIQUE_COLUMN.match(sql[0])
    indexes = [each for each in sql if CREATES_INDEX.match(each)]
    later = AlterField(model, name, field)
    if unique is not None:
        table, column = unique[1], unique[2]
        quoted = f'"{generated_name(table.strip(chr(34)), column.strip(chr(34)), "key")}"'
        text = f"ALTER TABLE {table} ADD CONSTRAINT {quoted} UNIQUE ({column})"
        rest = _unique(later, [text, *indexes], False)
        return [Paste(operations=(AddField(model, name, _plain(field)),)), *(rest or [])]
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


def _rewritten(operation: Operation, sql: Sequence[str], rewrites: bool) -> list[Paste] | None:
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


def _removed(operation: Operation, sql: Sequence[str], rewrites: bool) -> list[Paste] | None:
    """The release that runs during the migration must not use the column any more."""
    drops = [match for each in sql if (match := DROPS_COLUMN.match(each)) is not None]
    if type(operation) is not RemoveField or len(drops) != 1:
        return None
    table, column = drops[0][1], drops[0][2]
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


Way = Callable[[Operation, Sequence[str], bool], list[Paste] | None]
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
        names = sorted(set(POSTGRES_NAME.findall(body)))
        if names:
            imports.add(f"from {POSTGRES} import {', '.join(names)}")
            body = body.replace(f"{POSTGRES}.", "")
        lines += sorted(imports)
        if not paste.atomic:
            lines.append("atomic = False")
        lines.append(f"operations = [\n{body}]")
    return "\n".join(lines)
