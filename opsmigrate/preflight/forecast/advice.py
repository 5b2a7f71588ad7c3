"""Safer ways to the same schema, as text to paste into a migration, and a better order."""

import re
from collections.abc import Iterable, Mapping
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
    RemoveConstraint,
    RemoveField,
    RemoveIndex,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.writer import OperationWriter
from django.db.models import CheckConstraint, Q, UniqueConstraint

from opsmigrate.preflight.forecast.outlook import Forecast, Weight

ALONE = "# in a migration of its own:\natomic = False\n"
NEXT = "# in the next migration:\n"


def alternative(weight: Weight, operation: Operation | None) -> str | None:
    """Return what to paste instead of the operation, None where nothing is safer.

    Of an operation with several statements, the one in `weight` is what is to be avoided.
    """
    effects, sql = weight.effects, weight.sql
    heavy = effects.rewrites or effects.scans or effects.builds
    if isinstance(operation, AddIndex) and effects.builds:
        return f"{ALONE}{_text(AddIndexConcurrently(operation.model_name, operation.index))}"
    if isinstance(operation, RemoveIndex) and "CONCURRENTLY" not in sql:
        return f"{ALONE}{_text(RemoveIndexConcurrently(operation.model_name, operation.name))}"
    if isinstance(operation, AddConstraint) and heavy:
        return _constraint(operation, sql)
    if isinstance(operation, RemoveField):
        return (
            "# first release: code that does not use the field any more\n"
            f"migrations.SeparateDatabaseAndState(state_operations=[\n{_text(operation)}\n])\n"
            "# next release: the column itself\n"
            f"migrations.SeparateDatabaseAndState(database_operations=[\n{_text(operation)}\n])"
        )
    if isinstance(operation, (AddField, AlterField)) and heavy:
        return _field(operation, sql, rewritten=bool(effects.rewrites))
    return None


def _text(operation: Operation) -> str:
    text: str = OperationWriter(operation, indentation=0).serialize()[0].rstrip(",\n")
    return text


def _constraint(operation: AddConstraint, sql: str) -> str | None:
    constraint: Any = operation.constraint
    if isinstance(constraint, CheckConstraint):
        return "\n".join(
            [
                _text(AddConstraintNotValid(operation.model_name, constraint)) + ",",
                f"{NEXT}{_text(ValidateConstraint(operation.model_name, constraint.name))}",
            ]
        )
    if isinstance(constraint, UniqueConstraint):
        return _unique(sql, constraint.name, operation)
    return None


def _unique(sql: str, name: str, operation: Operation) -> str | None:
    """A unique index built concurrently, then made the constraint, which reads nothing."""
    added = re.match(r"ALTER TABLE (.+?) ADD CONSTRAINT (.+?) UNIQUE (\(.+?\))(.*)$", sql)
    if added is None:
        return f"{ALONE}{_run(sql.replace('INDEX', 'INDEX CONCURRENTLY', 1))}"
    table, quoted, columns, rest = added.groups()
    return "\n".join(
        [
            f"{ALONE}{_run(f'CREATE UNIQUE INDEX CONCURRENTLY {quoted} ON {table} {columns}')}",
            f"{NEXT}migrations.SeparateDatabaseAndState(",
            "    database_operations=[",
            f"        {_run(f'ALTER TABLE {table} ADD CONSTRAINT {quoted} UNIQUE USING INDEX {quoted}{rest}')},",  # noqa: E501
            "    ],",
            f"    state_operations=[\n{_text(operation)}\n    ],",
            ")",
        ]
    )


def _run(sql: str) -> str:
    return f"migrations.RunSQL({sql!r})"


def _field(operation: AddField | AlterField, sql: str, *, rewritten: bool) -> str | None:
    model, name = operation.model_name, operation.name
    if " FOREIGN KEY " in sql:
        added = re.match(r"ALTER TABLE (.+?) ADD CONSTRAINT (.+?) FOREIGN KEY", sql)
        assert added is not None  # noqa: S101 - Django's own template
        return "\n".join(
            [
                _run(f"{sql} NOT VALID"),
                NEXT + _run(f"ALTER TABLE {added[1]} VALIDATE CONSTRAINT {added[2]}"),
            ]
        )
    if "CREATE INDEX" in sql:
        return f"{ALONE}{_run(sql.replace('INDEX', 'INDEX CONCURRENTLY', 1))}\n{_state(operation)}"
    if " UNIQUE (" in sql and " ADD CONSTRAINT " in sql:
        return _unique(sql, "", operation)
    if "SET NOT NULL" in sql and not rewritten:
        check = CheckConstraint(
            condition=Q(**{f"{name}__isnull": False}), name=f"{model}_{name}_nn"
        )
        return "\n".join(
            [
                _text(AddConstraintNotValid(model, check)) + ",",
                f"{NEXT}{_text(ValidateConstraint(model, check.name))},",
                "# then this reads no row:",
                _text(operation) + ",",
                _text(RemoveConstraint(model, check.name)),
            ]
        )
    if rewritten:
        return (
            f"# add a new column without a default ({model}.{name}: null=True), fill it in "
            "batches, then\n# set the default and NOT NULL"
            if isinstance(operation, AddField)
            else f"# add a new column beside {model}.{name} with null=True, fill it in batches, "
            "then\n# rename the two"
        )
    return None


def _state(operation: Operation) -> str:
    return f"{NEXT}migrations.SeparateDatabaseAndState(state_operations=[\n{_text(operation)}\n])"


def order_advice(forecast: Forecast) -> list[dict[str, str]]:
    """Return what another order would save, for each live table."""
    return [*_indexes_built_twice(forecast), *_rewritten_twice(forecast)]


def _indexes_built_twice(forecast: Forecast) -> Iterable[dict[str, str]]:
    made: dict[str, Weight] = {}
    said: set[str] = set()
    for weight in forecast.weights:
        for label in weight.effects.rewrites:
            if label in made and label not in said:
                said.add(label)
                yield {
                    "table": label,
                    "advice": f"{_place(weight)} rewrites {label} after {_place(made[label])} made "
                    "an index on it, which is then built again: put the rewrite first",
                }
        for label in weight.effects.builds:
            if label not in weight.effects.rewrites:
                made.setdefault(label, weight)


def _rewritten_twice(forecast: Forecast) -> Iterable[dict[str, str]]:
    found: dict[str, list[Weight]] = {}
    for weight in forecast.weights:
        for label in weight.effects.rewrites:
            found.setdefault(label, []).append(weight)
    for label, weights in found.items():
        actions = [_actions(weight.sql) for weight in weights]
        if len(weights) > 1:
            places = ", ".join(_place(weight) for weight in weights)
            one = f"ALTER TABLE {_table(weights[0].sql)} {', '.join(filter(None, actions))}"
            yield {
                "table": label,
                "advice": f"{len(weights)} statements rewrite {label} ({places}); one ALTER TABLE "
                "with all of them rewrites it once (migrations.RunSQL, with the operations as "
                f"state_operations): {one}"
                if all(actions)
                else f"{len(weights)} statements rewrite {label} ({places})",
            }


def _table(sql: str) -> str:
    return " ".join(sql.split()[2:3])


def _actions(sql: str) -> str:
    match = re.match(r"ALTER TABLE \S+ (.+?);?$", sql.partition(";")[0], re.DOTALL)
    return match[1] if match else ""


def _place(weight: Weight) -> str:
    return f"{weight.migration} {weight.operation}"


def operation_of(weight: Weight, migrations: Mapping[str, Any]) -> Operation | None:
    """Return the operation of the migration files that the statement comes from."""
    number = (weight.operation or "").partition(":")[0]
    migration = migrations.get(weight.migration or "")
    if migration is None or not number.isdigit():
        return None
    operation: Operation = migration.operations[int(number)]
    return operation
