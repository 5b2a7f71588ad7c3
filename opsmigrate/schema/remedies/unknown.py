"""A missing column and an unknown one, which may be the same column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from opsmigrate.postgres.catalog import Column, Relation
from opsmigrate.postgres.names import quoted
from opsmigrate.schema.claims import ClaimedColumn
from opsmigrate.schema.columns import same_shape
from opsmigrate.schema.drift_words import Drift
from opsmigrate.schema.keys import check_drift, foreign_key_drift, index_drift
from opsmigrate.schema.remedies.column_remedies import add_column
from opsmigrate.schema.remedies.constraint_remedies import (
    check_remedy,
    exclusion_remedy,
    foreign_key_remedy,
)
from opsmigrate.schema.remedies.drift_case import DriftCase, Remedy
from opsmigrate.schema.remedies.index_remedies import (
    index_remedy,
    primary_key_remedy,
    unique_remedy,
)
from opsmigrate.schema.remedies.rows import has_rows, has_values
from opsmigrate.steps import Step, statement

OF_KEYS = {
    "drift-check": check_remedy,
    "drift-exclusion": exclusion_remedy,
    "drift-foreign-key": foreign_key_remedy,
    "drift-index": index_remedy,
    "drift-primary-key": primary_key_remedy,
    "drift-unique": unique_remedy,
}
GIVE = "give the model this field, and record the migration that adds it as applied"


def missing_remedy(case: DriftCase) -> Remedy:
    """Return a RENAME of each column that it may be, and last what adds it without its values."""
    column = case.drift.claim
    assert isinstance(column, ClaimedColumn)  # noqa: S101 - that is what is claimed
    names = [
        item.column or ""
        for item in case.others
        if item.id == "drift-column-unknown"
        and _may_be(column, item)
        and not case.applied.may_have_made(case.app_label, item.column)
    ]
    steps = [
        case.alter(f"RENAME COLUMN {quoted(name)} TO {case.column}", alternative=number)
        for number, name in enumerate(names, 1)
    ]
    alternative = len(names) + 1
    rows = has_rows(case.connection, case.relation) is not False
    hint, added = add_column(case, rows=rows, alternative=alternative)
    steps += added
    if added:
        steps += [replace(step, alternative=alternative) for step in _gone_with(case, column)]
    if names:
        hint = (
            f"decide: {column.name} may be {_either(names)} under another name, which no migration "
            f"creates and which has the same type; then rename it. Otherwise {hint or 'add it'}"
        )
    return Remedy(hint, tuple(steps))


def _may_be(column: ClaimedColumn, unknown: Drift) -> bool:
    return isinstance(unknown.there, Column) and same_shape(column, unknown.there)


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _gone_with(case: DriftCase, column: ClaimedColumn) -> Iterator[Step]:
    """Yield what makes the keys, indexes and checks that went with the column."""
    again = Column(
        name=column.name,
        type=column.type or "integer",
        not_null=column.not_null,
        has_default=column.has_default,
        identity=column.numbered,
        generated=bool(column.generated),
        may_reference=True,
        collation=column.collation,
    )
    table = case.relation._replace(columns=(*case.relation.columns, again))
    before = set(_of_keys(case, case.relation))
    for drift in _of_keys(case, table):
        if drift not in before:
            remedy = OF_KEYS[drift.id](replace(case, drift=drift, table=table))
            yield from (step for step in remedy.steps if not step.text.startswith("SELECT "))


def _of_keys(case: DriftCase, table: Relation) -> Iterator[Drift]:
    for drift in (
        *index_drift(case.claimed, table),
        *foreign_key_drift(case.claimed, table, case.live.find),
        *check_drift(case.claimed, table),
    ):
        if drift.id in OF_KEYS:
            yield drift


def unknown_remedy(case: DriftCase) -> Remedy:
    """Return the step that drops the column, only if it is empty, unused and of unknown origin."""
    found = case.drift.there
    assert isinstance(found, Column)  # noqa: S101 - it is there
    by_hand = case.applied.may_have_made(case.app_label, found.name)
    missing = [
        item.column or ""
        for item in case.others
        if item.id == "drift-column-missing"
        and isinstance(item.claim, ClaimedColumn)
        and _may_be(item.claim, case.drift)
    ]
    warning = (
        ". It is NOT NULL without a default, which refuses every INSERT of Django"
        if found.not_null and not (found.has_default or found.identity or found.generated)
        else ""
    )
    if by_hand:
        return Remedy(
            "leave it if code or SQL of an applied migration created it, as some libraries do; "
            f"otherwise {GIVE}{warning}"
        )
    if missing:
        return Remedy(f"it may be {_either(missing)}, which is missing: decide that first{warning}")
    users = list(_users(case, found))
    if users:
        return Remedy(
            f"leave it to the objects that use it ({', '.join(users)}), or {GIVE}{warning}"
        )
    if has_values(case.connection, case.relation, found.name) is not False:
        return Remedy(f"it may have values: {GIVE}; or save them elsewhere first{warning}")
    where, column = case.where, case.column
    return Remedy(
        f"{GIVE}; or drop it: no row has a value in it, as the query confirms{warning}",
        (
            statement(f"SELECT count({column}) AS values_to_lose FROM {where}"),
            case.alter(f"DROP COLUMN {column}", risk="loses the values that the query counted"),
        ),
    )


def _users(case: DriftCase, found: Column) -> Iterator[str]:
    """Yield what uses the column, so that it must not be dropped."""
    relation = case.relation
    if found.inherited:
        yield "the parent table"
    if found.generated or found.identity:
        yield "the server, which computes it"
    yield from (item.name for item in relation.indexes if found.name in item.columns)
    yield from (item.name for item in relation.indexes if found.name in item.include)
    yield from (item.name for item in relation.constraints if found.name in item.columns)
    yield from (name for name, columns in relation.views.items() if found.name in columns)
    yield from (f"{item.kind} {item.name}" for item in relation.dependents.get(found.name, ()))
    if relation.has_triggers:
        yield "a trigger of the table, perhaps"
