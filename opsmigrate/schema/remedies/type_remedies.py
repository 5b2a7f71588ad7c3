"""What to type where a column is of another type: no value is cut, rounded or shifted silently."""

from __future__ import annotations

from typing import Any

from opsmigrate.postgres.catalog import Column
from opsmigrate.postgres.names import quoted
from opsmigrate.schema.casting import casts, casts_explicitly
from opsmigrate.schema.remedies.drift_case import DriftCase, Remedy
from opsmigrate.schema.types import (
    INTEGERS,
    UNPADDED_TEXTS,
    base,
    canonical,
    element,
    is_array,
    modifiers,
    without_modifiers,
)
from opsmigrate.steps import Step, statement

OR_SAY_SO = "or write a migration that describes what exists"
ZONED = frozenset({"timestamp with time zone", "time with time zone"})
# What the text says of these depends on settings of whoever types it.
DAYS = frozenset(
    {"date", "timestamp without time zone", "time without time zone", "interval"} | ZONED
)
DATES = frozenset({"date", "timestamp without time zone", "timestamp with time zone"})
# No operator = is there for them.
INCOMPARABLE = frozenset({"json", "xml", "point", "polygon"})
LOSES_SPACES = "refuses values that are too long, and removes trailing spaces"
CHANGES = "changes the values that the query lists"
NO_DEFAULT = "the column no longer has a default"


def type_remedy(case: DriftCase) -> Remedy:
    """Return what gives the column its type, after a query for the values that it changes."""
    found, claimed = case.drift.there, case.claimed_column
    assert isinstance(found, Column)  # noqa: S101 - it is there, and of another type
    type_ = claimed.type or "bigint"
    hint = f"decide: give the column its type, while the table is locked; {OR_SAY_SO}"
    obstacle = in_the_way(case, found)
    if obstacle:
        return Remedy(
            f"{obstacle} of this column: drop that, give the column the type {type_}, and recreate "
            f"it; {OR_SAY_SO}"
        )
    collate = f" COLLATE {quoted(claimed.collation)}" if claimed.collation else ""
    old, new = base(found.type), base(type_)
    if old != new and (old in ZONED or new in ZONED):
        return _through_zone(case, found, type_)
    if keeps(found.type, type_):
        return Remedy(hint, (case.alter_column(f"TYPE {type_}{collate}"),))
    if (old in UNPADDED_TEXTS) and new in DAYS:
        return Remedy(
            f"decide how these texts are converted to {type_}, and convert them with a query"
        )
    there_and_back = (found.type, type_), (type_, found.type)
    if not all(casts_explicitly(case.connection, *pair) for pair in there_and_back):
        return Remedy(
            f"PostgreSQL casts no {old} to {new} and back: decide what each value becomes, with "
            f"ALTER TYPE and USING; {OR_SAY_SO}"
        )
    look = _changed(case, found, f"{case.column}::{type_}", case.column)
    if casts(case.connection, found.type, type_):
        risk = LOSES_SPACES if old in UNPADDED_TEXTS and new in UNPADDED_TEXTS else CHANGES
        return Remedy(hint, (look, case.alter_column(f"TYPE {type_}{collate}", risk=risk)))
    using = f"TYPE {type_}{collate} USING {case.column}::{type_}"
    steps: tuple[Step, ...] = (look, case.alter_column(using, risk=CHANGES))
    if found.has_default and not found.identity:
        steps = (look, case.alter_column("DROP DEFAULT", risk=NO_DEFAULT), steps[-1])
    return Remedy(hint, steps)


def in_the_way(case: DriftCase, found: Column) -> str | None:
    """Return what forbids it (documentation of ALTER TABLE), None where nothing does."""
    if found.inherited:
        return "the parent table decides"
    views = [name for name, columns in case.relation.views.items() if found.name in columns]
    users = [
        f"{item.kind} {item.name}"
        for item in case.relation.dependents.get(found.name, ())
        if item.kind != "index"
    ]
    names = [*(f"view {name}" for name in sorted(views)), *users]
    return f"it is used by {', '.join(names)}" if names else None


def keeps(old: str, new: str) -> bool:
    """Return whether ALTER TYPE, without USING, either keeps each value as it is or refuses."""
    if is_array(old) and is_array(new):
        return keeps(element(old), element(new))
    old, new = canonical(old), canonical(new)
    before, after = without_modifiers(old), without_modifiers(new)
    sizes = modifiers(new)
    if before in INTEGERS:
        return after in INTEGERS or after == "numeric" or after in UNPADDED_TEXTS
    if before == after == "numeric":
        scale = modifiers(old)
        return not sizes or (bool(scale) and _scale(sizes) >= _scale(scale))
    if before in UNPADDED_TEXTS:
        # What does not fit is refused, but for spaces at the end (documentation, Character Types).
        longest = modifiers(old)
        return after in UNPADDED_TEXTS and (not sizes or (bool(longest) and longest[0] <= sizes[0]))
    if before == "uuid" or before == "boolean" or before == "inet":
        return after in UNPADDED_TEXTS
    return (before, after) in {("jsonb", "json"), ("date", "timestamp without time zone")} or (
        before == after and not sizes and before not in ("interval", "bit")
    )


def _scale(sizes: tuple[int, ...]) -> int:
    return sizes[1] if len(sizes) > 1 else 0


def _changed(case: DriftCase, found: Column, after: str, before: str) -> Step:
    """Return the query for values that do not come back from the other type as they were."""
    back = f"({after})::{found.type}"
    if base(found.type) in INCOMPARABLE:
        back, compared = f"{back}::text", f"{before}::text"
    else:
        compared = before
    return statement(
        f"SELECT {before}, {after} FROM {case.where} WHERE {back} IS DISTINCT FROM {compared}"
    )


def _through_zone(case: DriftCase, found: Column, type_: str) -> Remedy:
    """Return what converts by the time zone in which Django writes, whoever types it."""
    old, new = base(found.type), base(type_)
    if old not in DATES or new not in DATES:
        return Remedy(f"decide in which time zone the values are, and convert them to {type_}")
    zone = str(case.connection.timezone_name)
    shift = f"AT TIME ZONE '{zone}'"
    hint = (
        f"decide in which time zone the values are; Django reads and writes here in {zone}. "
        f"Then give the column its type, {OR_SAY_SO}"
    )
    risk = f"changes the values to times of {zone}"
    column: Any = case.column
    if new in ZONED:
        plain = column if old != "date" else f"{column}::timestamp"
        return Remedy(hint, (case.alter_column(f"TYPE {type_} USING {plain} {shift}", risk=risk),))
    local = f"({column} {shift})"
    if new != "date":
        return Remedy(hint, (case.alter_column(f"TYPE {type_} USING {local}", risk=risk),))
    look = statement(
        f"SELECT {column}, {local}::date FROM {case.where}"
        f" WHERE {local}::date::timestamp IS DISTINCT FROM {local}"
    )
    cut = f"{risk}, and cuts off the time of day"
    return Remedy(hint, (look, case.alter_column(f"TYPE {type_} USING {local}::date", risk=cut)))
