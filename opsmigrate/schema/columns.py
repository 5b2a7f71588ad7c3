"""Columns: what is claimed against what is there."""

from __future__ import annotations

from collections.abc import Iterator

from opsmigrate.postgres.catalog import Column, Relation
from opsmigrate.postgres.names import quoted
from opsmigrate.schema.claims import ClaimedColumn, ClaimedTable
from opsmigrate.schema.drift_words import Drift
from opsmigrate.schema.types import INTEGERS, base, canonical

GENERATED = {"": "a plain column", "s": "a stored generated one", "v": "a virtual generated one"}


def column_drift(claimed: ClaimedTable, table: Relation) -> Iterator[Drift]:
    """Yield each column that is missing, unknown, or other than claimed."""
    columns = {column.name: column for column in table.columns}
    for column in claimed.columns:
        found = columns.pop(column.name, None)
        if found is None:
            yield _missing(column, table)
        elif not _same(column, found):
            yield from _of_values(column, found, table)
            yield from _of_origin(column, found, table)
    for unknown in columns.values():
        yield Drift(
            id="drift-column-unknown",
            table=table.label,
            column=unknown.name,
            live=unknown.type + (" NOT NULL" if unknown.not_null else ""),
            there=unknown,
        )


def _missing(column: ClaimedColumn, table: Relation) -> Drift:
    return Drift(
        id="drift-column-missing",
        table=table.label,
        column=column.name,
        claimed=f"a column {column.type or 'integer'}" + (" NOT NULL" if column.not_null else ""),
        claim=column,
    )


def _same(claimed: ClaimedColumn, found: Column) -> bool:
    return same_shape(claimed, found) and (
        found.has_default or found.identity or not (claimed.numbered or claimed.has_default)
    )


def same_shape(claimed: ClaimedColumn, found: Column) -> bool:
    """Return whether the column holds what is claimed, wherever its values come from."""
    return (
        (claimed.type == found.type or _same_type(claimed, found))
        and (claimed.not_null == found.not_null or _same_null(claimed, found))
        and claimed.collation == found.collation
        and claimed.generated == _generated(found)
    )


def _same_type(claimed: ClaimedColumn, found: Column) -> bool:
    if claimed.type is None:
        return base(found.type) in INTEGERS
    return claimed.type == found.type or canonical(claimed.type) == canonical(found.type)


def _same_null(claimed: ClaimedColumn, found: Column) -> bool:
    """Compare NOT NULL, which Django never gives to a generated column."""
    return claimed.not_null == found.not_null or bool(claimed.generated)


def _generated(column: Column) -> str:
    return ("v" if column.virtual else "s") if column.generated else ""


def _of_values(claimed: ClaimedColumn, found: Column, table: Relation) -> Iterator[Drift]:
    """Yield differences in what the column may hold."""
    if not _same_type(claimed, found):
        yield Drift(
            id="drift-type",
            table=table.label,
            column=found.name,
            claimed=claimed.type or "bigint",
            live=found.type,
            claim=claimed,
            there=found,
        )
    if not _same_null(claimed, found):
        yield Drift(
            id="drift-null",
            table=table.label,
            column=found.name,
            claimed="NOT NULL" if claimed.not_null else "NULL allowed",
            live="NOT NULL" if found.not_null else "NULL allowed",
            claim=claimed,
            there=found,
        )
    if claimed.collation != found.collation:
        yield Drift(
            id="drift-collation",
            table=table.label,
            column=found.name,
            claimed=_collation(claimed.collation),
            live=_collation(found.collation),
            claim=claimed,
            there=found,
        )


def _collation(name: str | None) -> str:
    return f"collation {quoted(name)}" if name else "the type's own collation"


def _of_origin(claimed: ClaimedColumn, found: Column, table: Relation) -> Iterator[Drift]:
    """Yield differences in where the values come from."""
    generated = _generated(found)
    if claimed.generated != generated:
        yield Drift(
            id="drift-generated",
            table=table.label,
            column=found.name,
            claimed=GENERATED[claimed.generated],
            live=GENERATED[generated],
            claim=claimed,
            there=found,
        )
    elif claimed.numbered and not (found.identity or found.has_default):
        yield Drift(
            id="drift-identity",
            table=table.label,
            column=found.name,
            claimed="numbering by an identity or a sequence",
            claim=claimed,
            there=found,
        )
    elif claimed.has_default and not found.has_default:
        yield Drift(
            id="drift-default",
            table=table.label,
            column=found.name,
            claimed="a database default",
            claim=claimed,
            there=found,
        )
