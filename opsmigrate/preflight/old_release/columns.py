"""What became of the columns that a model from before the plan names, and which came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Field

from opsmigrate.preflight.old_release.changes import Change, Kind
from opsmigrate.preflight.old_release.table_pair import TablePair
from opsmigrate.preflight.walk.fields import is_auto
from opsmigrate.preflight.walk.type_compatibility import always_casts
from opsmigrate.schema.types import base, canonical, element, is_array, modifiers

# Within one of these, what is read is of the kind that a field from before the plan expects.
SAME_KIND = (
    frozenset({"smallint", "integer", "bigint", "numeric"}),
    frozenset({"character varying", "character", "text", "citext"}),
)
SHOWN_CHOICES = 3


def column_changes(pair: TablePair) -> Iterator[Change]:
    """Yield what the plan does to the columns of a model's fields."""
    for column, field in pair.fields.items():
        if column not in pair.before.types:
            continue
        if column not in pair.after.types:
            yield _gone(pair, column, field)
            continue
        yield from _type(pair, column, field)
        yield from _choices(pair, column, field)
        if pair.model._meta.managed:
            yield from _writes(pair, column, field)


def new_columns(pair: TablePair) -> Iterator[Change]:
    """Yield the columns that the model does not know, and that every INSERT must name."""
    for column in pair.after.types:
        had_to = column in pair.before.types and pair.needs_value(column, before=True)
        if column not in pair.fields and pair.needs_value(column) and not had_to:
            words = f"column {column} is NOT NULL without a default, and its INSERT does not set it"
            yield Change(pair.model, Kind.NEEDS_VALUE, words, column=column)


def _gone(pair: TablePair, column: str, field: Field[Any, Any]) -> Change:
    now = pair.name_after(column)
    if now is None:
        words = f"column {column} is dropped"
        return Change(pair.model, Kind.COLUMN_GONE, words, field, column)
    words = f"column {column} is renamed to {now}"
    return Change(pair.model, Kind.COLUMN_RENAMED, words, field, column, now=now)


def _type(pair: TablePair, column: str, field: Field[Any, Any]) -> Iterator[Change]:
    before, after = canonical(pair.before.types[column]), canonical(pair.after.types[column])
    claimed = canonical(str(field.db_parameters(connection=pair.connection)["type"]))
    if after in (before, claimed):
        return
    if not is_same_kind(before, after):
        words = f"column {column} is {after} instead of {before}"
        yield Change(pair.model, Kind.OTHER_TYPE, words, field, column)
    elif pair.model._meta.managed and not takes_all(before, after):
        words = f"column {column} takes {after} only, and no longer every {before}"
        yield Change(pair.model, Kind.NARROWED, words, field, column)


def is_same_kind(before: str, after: str) -> bool:
    """Return whether a field for the one type gets from the other what it expects."""
    if is_array(before) or is_array(after):
        return (
            is_array(before) and is_array(after) and is_same_kind(element(before), element(after))
        )
    kinds = {base(before), base(after)}
    return len(kinds) == 1 or any(kinds <= family for family in SAME_KIND)


def takes_all(before: str, after: str) -> bool:
    """Return whether a column of the one type takes every value of the other, unchanged."""
    if is_array(before) and is_array(after):
        return takes_all(element(before), element(after))
    if base(after) == "numeric":
        return _digits_suffice(before, after)
    if base(before) == base(after) == "character":
        return modifiers(before) <= modifiers(after)
    return base(after) == "citext" or always_casts(before, after)


def _digits_suffice(before: str, after: str) -> bool:
    if not modifiers(after):
        return True
    whole, fraction = _digits(after)
    if base(before) != "numeric":
        return whole >= {"smallint": 5, "integer": 10, "bigint": 19}.get(base(before), 1 << 16)
    if not modifiers(before):
        return False
    needed, needed_fraction = _digits(before)
    return whole >= needed and fraction >= needed_fraction


def _digits(numeric: str) -> tuple[int, int]:
    """Return how many digits stand before and behind the point."""
    precision, scale = (*modifiers(numeric), 0)[:2]
    return precision - scale, scale


def _choices(pair: TablePair, column: str, field: Field[Any, Any]) -> Iterator[Change]:
    """Yield the values that the models after the plan have a name for, and this one has not."""
    later = pair.fields_after.get(column)
    known, named = _values(field), _values(later)
    new = [value for value in named if value not in known]
    if known and new:
        words = ", ".join(map(repr, new[:SHOWN_CHOICES]))
        words += f" and {len(new) - SHOWN_CHOICES} more" if len(new) > SHOWN_CHOICES else ""
        words = f"column {column} may hold {words}, which is not among its choices"
        yield Change(pair.model, Kind.NEW_CHOICE, words, field, column)


def _values(field: Field[Any, Any] | None) -> list[Any]:
    return [value for value, _ in getattr(field, "flatchoices", ())]


def _writes(pair: TablePair, column: str, field: Field[Any, Any]) -> Iterator[Change]:
    before, after = pair.before, pair.after
    if column in after.generated and column not in before.generated and not field.generated:
        words = f"column {column} is generated, and nothing else may be written to it"
        yield Change(pair.model, Kind.BECAME_GENERATED, words, field, column)
    elif field.null and column in after.not_null and column not in before.not_null:
        words = f"column {column} no longer takes NULL"
        yield Change(pair.model, Kind.BECAME_NOT_NULL, words, field, column)
    gave = before.defaults | before.identities
    if column in gave and column not in after.defaults | after.identities | after.generated:
        if field.has_db_default():
            words = f"column {column} has lost its default"
            yield Change(pair.model, Kind.LOST_DEFAULT, words, field, column)
        elif is_auto(field):
            words = f"column {column} no longer counts its values itself"
            yield Change(pair.model, Kind.LOST_DEFAULT, words, field, column)
