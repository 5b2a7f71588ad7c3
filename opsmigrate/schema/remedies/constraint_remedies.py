"""What to type where a foreign key, a check or an exclusion constraint is gone or other."""

from __future__ import annotations

from typing import Any

from opsmigrate.postgres.catalog import Constraint
from opsmigrate.postgres.names import as_stored, quoted
from opsmigrate.schema.claims import ClaimedForeignKey
from opsmigrate.schema.remedies.ddl import editing
from opsmigrate.schema.remedies.drift_case import DriftCase, Remedy
from opsmigrate.schema.remedies.row_remedies import SAID, first
from opsmigrate.steps import Step, statement

CORRECT = "rows that violate it must be corrected first"
# The suffix of Django's names for foreign keys (BaseDatabaseSchemaEditor).
SUFFIX = "_fk_%(to_table)s_%(to_column)s"
VALIDATION = "New rows are checked as soon as it exists, existing rows by the last step"


def foreign_key_remedy(case: DriftCase) -> Remedy:
    """Return what adds the foreign key, after a look for rows that point nowhere."""
    key, there = case.drift.claim, case.drift.there
    assert isinstance(key, ClaimedForeignKey)  # noqa: S101 - that is what is claimed
    target = case.live.find(key.to_table)
    assert target is not None  # noqa: S101 - else the foreign key is gone with it
    with editing(case) as editor:
        text = str(editor._create_fk_sql(case.model, case.field(key.column), SUFFIX))
    look = _orphans(case, key.column, quoted(target.schema, target.name), key.to_column)
    hint = f"{CORRECT}; the query lists the values without a target"
    if isinstance(there, Constraint):
        head = f"ALTER TABLE {case.where} "
        text = f"{head}DROP CONSTRAINT {quoted(there.name)}, {text.removeprefix(head)}"
        then: tuple[Step, ...] = (statement(text),)
    else:
        hint, then = f"{hint}. {VALIDATION}", _in_two(case, text)
    where = quoted(target.schema, target.name)
    return _with_ways(case, hint, look, (key.column, where, key.to_column), then)


def _with_ways(
    case: DriftCase, hint: str, look: Step, key: tuple[str, str, str], then: tuple[Step, ...]
) -> Remedy:
    """Return the remedy with what can be done about rows that point nowhere."""
    column, target, to_column = key
    mine = f"{quoted(case.relation.name)}.{quoted(column)}"
    nowhere = (
        f"{mine} IS NOT NULL AND NOT EXISTS (SELECT FROM {target} t"
        f" WHERE t.{quoted(to_column)} = {mine})"
    )
    steps = first(case, nowhere, then, emptied=(column,))
    return Remedy(f"{hint}; {SAID}" if steps != then else hint, (look, *steps))


def not_validated_remedy(case: DriftCase) -> Remedy:
    """Return what validates the constraint, after a look for rows that point nowhere."""
    there = case.drift.there
    assert isinstance(there, Constraint)  # noqa: S101 - what is NOT VALID is there
    validate = case.alter(f"VALIDATE CONSTRAINT {quoted(there.name)}")
    target = next(
        (item for item in case.live.catalog.relations if item.oid == there.references), None
    )
    if target is None or len(there.columns) != 1 or len(there.to_columns) != 1:
        return Remedy(CORRECT, (validate,))
    where = quoted(target.schema, target.name)
    look = _orphans(case, there.columns[0], where, there.to_columns[0])
    hint = f"{CORRECT}; the query lists the values without a target"
    key = (there.columns[0], where, there.to_columns[0])
    return _with_ways(case, hint, look, key, (validate,))


def check_remedy(case: DriftCase) -> Remedy:
    """Return what adds the check, or puts it in the place of another one."""
    item, there = _constraint(case), case.drift.there
    with editing(case) as editor:
        if item is not None:
            text = str(item.create_sql(case.model, editor))
        else:
            # As CREATE TABLE does: PostgreSQL makes up the name.
            field = case.field(case.drift.column or "")
            check = field.db_parameters(case.connection)["check"]
            text = f"ALTER TABLE {case.where} ADD CHECK ({check})"
    if isinstance(there, Constraint):
        head = f"ALTER TABLE {case.where} "
        text = f"{head}DROP CONSTRAINT {quoted(there.name)}, {text.removeprefix(head)}"
        return Remedy(CORRECT, (statement(text),))
    if item is None:
        return Remedy(CORRECT, (statement(text),))
    return Remedy(f"{CORRECT}. {VALIDATION}", _in_two(case, text))


def exclusion_remedy(case: DriftCase) -> Remedy:
    """Return what adds the exclusion constraint."""
    item = _constraint(case)
    with editing(case) as editor:
        text = str(item.create_sql(case.model, editor))
    return Remedy(CORRECT, (statement(text),))


def _constraint(case: DriftCase) -> Any:
    """Return the constraint of the model's options that has the name of the drift."""
    for item in case.model._meta.constraints:
        if as_stored(item.name) == case.drift.name:
            return item
    return None


def _in_two(case: DriftCase, add: str) -> tuple[Step, ...]:
    """Return the steps that block no session while the rows are read."""
    name = add.split(" CONSTRAINT ", 1)[1]
    end = name.index('"', 1) + 1
    return (
        statement(f"{add} NOT VALID"),
        case.alter(f"VALIDATE CONSTRAINT {name[:end]}"),
    )


def _orphans(case: DriftCase, column: str, target: str, to_column: str) -> Step:
    """Return the query for values that the target does not have."""
    own, referenced = f"f.{quoted(column)}", f"t.{quoted(to_column)}"
    return statement(
        f"SELECT DISTINCT {own} FROM {case.where} f WHERE {own} IS NOT NULL"
        f" AND NOT EXISTS (SELECT FROM {target} t WHERE {referenced} = {own})"
    )
