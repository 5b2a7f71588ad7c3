"""Indexes, foreign keys and checks: what is claimed against what does the same, under any name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from opsmigrate.postgres.catalog import Constraint, Index, Relation
from opsmigrate.schema.claims import ClaimedCheck, ClaimedForeignKey, ClaimedIndex, ClaimedTable
from opsmigrate.schema.drift_words import Drift

ON_DELETE = {"a": "", "r": " ON DELETE RESTRICT", "c": " ON DELETE CASCADE"}
ON_DELETE |= {"n": " ON DELETE SET NULL", "d": " ON DELETE SET DEFAULT"}


def index_drift(claimed: ClaimedTable, table: Relation) -> Iterator[Drift]:
    """Compare primary key, unique constraints and indexes; yield also each INVALID index."""
    reported = set()
    columns = {"", *(column.name for column in table.columns)}
    names = {index.name for index in claimed.indexes}
    on_columns = defaultdict(list)
    for item in table.indexes:
        on_columns[_in_order(item)].append(item)
    for index in claimed.indexes:
        if not columns.issuperset(index.columns):
            continue  # Gone with its column.
        alike = on_columns.get(_in_order(index), ())
        if _is_among(alike, index, names):
            continue
        fitting = [item for item in alike if _may_be(item, index, names)]
        valid = [item for item in fitting if item.valid]
        if fitting and not valid:
            continue  # What is INVALID is said below.
        there = next(iter(valid), None) or _namesake(index, table)
        drift = _missing(index, table, there)
        said = replace(drift, claim=None)
        if said not in reported:
            reported.add(said)
            yield drift
    for item in table.indexes:
        if not item.valid:
            yield Drift(
                id="drift-index-invalid",
                table=table.label,
                name=item.name,
                claimed="no INVALID index",
                live=f"the INVALID index {item.name}",
                there=item,
            )


def _is_among(alike: Iterable[Index], index: ClaimedIndex, names: Container[str | None]) -> bool:
    for item in alike:
        if item.valid and _may_be(item, index, names) and _same_details(index, item):
            return True
    return False


def _may_be(item: Index, index: ClaimedIndex, names: Container[str | None]) -> bool:
    """Return whether it is meant: what bears the name of another claim belongs to that one."""
    return (item.name == index.name or item.name not in names) and _same_keys(index, item)


def _in_order(index: ClaimedIndex | Index) -> tuple[str, ...]:
    return tuple(sorted(index.columns)) if len(index.columns) > 1 else index.columns


def _namesake(index: ClaimedIndex, table: Relation) -> Index | None:
    """Return what bears the name of the index, or is the primary key where it should be."""
    for item in table.indexes:
        if item.name == index.name or (index.primary and item.primary):
            return item
    return None


def _missing(index: ClaimedIndex, table: Relation, there: Index | None) -> Drift:
    columns = [column for column in index.columns if column]
    column = columns[0] if len(index.columns) == len(columns) == 1 else None
    name = index.name or (there.name if there else None)
    drift = Drift(
        id="drift-index",
        table=table.label,
        column=column,
        name=name,
        claimed=_claimed_words(index),
        live=_live_words(there) if there else None,
        claim=index,
        there=there,
    )
    if index.primary:
        return replace(drift, id="drift-primary-key")
    return replace(drift, id="drift-unique") if index.unique else drift


def _same_keys(claimed: ClaimedIndex, live: Index) -> bool:
    """Compare two on the same columns."""
    if (claimed.primary and not live.primary) or (claimed.unique and not live.unique):
        return False
    if claimed.method != live.method or claimed.partial != (live.predicate is not None):
        return False
    # The order of columns matters to queries, not to what is unique.
    same = claimed.unique or claimed.columns == live.columns
    return same and _same_opclasses(claimed, live) and _names_same(claimed, live)


def _same_opclasses(claimed: ClaimedIndex, live: Index) -> bool:
    if claimed.opclasses and not claimed.like:
        return tuple(map(str.lower, claimed.opclasses)) == live.opclasses
    patterns = _patterns(live.opclasses)
    if claimed.like:
        return patterns == len(live.opclasses)
    return not patterns or "" in claimed.columns


@lru_cache(maxsize=256)
def _patterns(opclasses: tuple[str, ...]) -> int:
    """Return how many of the operator classes are for patterns."""
    return sum(name.endswith("_pattern_ops") for name in opclasses)


def _names_same(claimed: ClaimedIndex, live: Index) -> bool:
    """Return whether live and claimed condition and expressions name the same columns."""
    if not claimed.named:
        return True
    text = f"{live.predicate or ''} {live.expressions or ''}"
    return all(re.search(rf"\b{re.escape(column)}\b", text) for column in claimed.named)


def _same_details(claimed: ClaimedIndex, live: Index) -> bool:
    if claimed.unique:
        immediate = claimed.deferrable != live.immediate
        return (
            (immediate or claimed.primary)
            and claimed.nulls_distinct == live.nulls_distinct
            and set(claimed.include) == set(live.include)
        )
    return set(claimed.include) == set(live.include) and (
        claimed.descending is None
        or claimed.method != "btree"
        or claimed.descending == live.descending
    )


def _claimed_words(index: ClaimedIndex) -> str:
    keys = ", ".join(column or "an expression" for column in index.columns)
    what = "a primary key" if index.primary else "uniqueness" if index.unique else "an index"
    details = [
        "of text patterns" if index.like else "",
        f"by {index.method}" if index.method != "btree" else "",
        f"including {', '.join(index.include)}" if index.include else "",
        "deferrable" if index.deferrable else "",
        "for some rows" if index.partial else "",
        "" if index.nulls_distinct else "NULLS NOT DISTINCT",
        "descending" if any(index.descending or ()) else "",
    ]
    return " ".join([f"{what} on ({keys})", *filter(None, details)])


def _live_words(index: Index) -> str:
    keys = ", ".join(column or "an expression" for column in index.columns)
    details = [
        f"by {index.method}" if index.method != "btree" else "",
        f"including {', '.join(index.include)}" if index.include else "",
        "" if index.immediate else "deferrable",
        "for some rows" if index.predicate else "",
        "" if index.nulls_distinct else "NULLS NOT DISTINCT",
        "descending" if any(index.descending) else "",
    ]
    kind = "unique " if index.unique else ""
    return " ".join([f"{kind}index {index.name} on ({keys})", *filter(None, details)])


def foreign_key_drift(
    claimed: ClaimedTable, table: Relation, find: Callable[[str], Relation | None]
) -> Iterator[Drift]:
    """Compare foreign keys by their columns and targets; yield also those not validated."""
    columns = {column.name for column in table.columns}
    for key in claimed.foreign_keys:
        target = find(key.to_table)
        if key.column not in columns or target is None or not _has(target, key.to_column):
            continue  # Gone with its column or table.
        found = [item for item in table.constraints if _is_on(item, key)]
        there = next((item for item in found if _fits(item, key, target)), None)
        on_delete = ON_DELETE[key.on_delete]
        if there is None:
            yield Drift(
                id="drift-foreign-key",
                table=table.label,
                column=key.column,
                name=found[0].name if found else None,
                claimed=f"a foreign key to {key.to_table} ({key.to_column}){on_delete}",
                live=f"{found[0].name}, which points elsewhere or does otherwise ON DELETE"
                if found
                else None,
                claim=key,
                there=found[0] if found else None,
            )
        elif not there.validated:
            yield _not_validated(there, table, key.column)


def _not_validated(there: Constraint, table: Relation, column: str | None) -> Drift:
    return Drift(
        id="drift-not-validated",
        table=table.label,
        column=column,
        name=there.name,
        claimed=f"the constraint {there.name}, validated",
        live="it NOT VALID",
        there=there,
    )


def _has(table: Relation, column: str) -> bool:
    return any(item.name == column for item in table.columns)


def _is_on(constraint: Constraint, key: ClaimedForeignKey) -> bool:
    return constraint.kind == "f" and constraint.columns == (key.column,)


def _fits(constraint: Constraint, key: ClaimedForeignKey, target: Relation) -> bool:
    return (
        constraint.references == target.oid
        and constraint.to_columns == (key.to_column,)
        and constraint.on_delete == key.on_delete
    )


def check_drift(claimed: ClaimedTable, table: Relation) -> Iterator[Drift]:
    """Compare checks and exclusion constraints: first by name, then by columns, then by number."""
    free = [item for item in table.constraints if item.kind in ("c", "x")]
    found: list[Constraint] = []
    waiting = list(claimed.checks)
    for matches in (_same_name, _same_columns, _same_kind):
        for check in list(waiting):
            there = next((item for item in free if matches(check, item)), None)
            if there is not None:
                free.remove(there)
                waiting.remove(check)
                found.append(there)
    columns = {column.name for column in table.columns}
    for check in waiting:
        if columns.issuperset(check.columns or ()):
            yield _no_check(check, table)
    for there in found:
        if not there.validated:
            yield _not_validated(there, table, _only(frozenset(there.columns)))


def _no_check(check: ClaimedCheck, table: Relation) -> Drift:
    named = f" {check.name}" if check.name else ""
    if check.exclusion:
        return Drift(
            id="drift-exclusion",
            table=table.label,
            name=check.name,
            claimed=f"the exclusion constraint{named}",
            claim=check,
        )
    return Drift(
        id="drift-check",
        table=table.label,
        column=_only(check.columns),
        name=check.name,
        claimed=f"the check{named}" if named else "a check of its values",
        claim=check,
    )


def _only(columns: frozenset[str] | None) -> str | None:
    return next(iter(columns)) if columns is not None and len(columns) == 1 else None


def _same_kind(check: ClaimedCheck, live: Constraint) -> bool:
    """Return whether it could be the same: only where the columns of the claim are not known."""
    return (live.kind == "x") is check.exclusion and check.columns is None


def _same_name(check: ClaimedCheck, live: Constraint) -> bool:
    return (live.kind == "x") is check.exclusion and live.name == check.name


def _same_columns(check: ClaimedCheck, live: Constraint) -> bool:
    return (live.kind == "x") is check.exclusion and frozenset(live.columns) == check.columns
