"""Which rules came to hold of the rows that a model from before the plan writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opsmigrate.postgres.catalog import Index
from opsmigrate.preflight.old_release.changes import Change, Kind
from opsmigrate.preflight.old_release.table_pair import TablePair
from opsmigrate.preflight.walk.simulated_table import CHECK, EXCLUSION, SimulatedForeignKey

AN_EXPRESSION = ""
NO_RULE = ("name", "violation_error_code", "violation_error_message")


def constraint_changes(pair: TablePair) -> Iterator[Change]:
    """Yield the unique indexes, checks, exclusions and foreign keys that came."""
    yield from _uniques(pair)
    yield from _checks(pair)
    yield from _foreign_keys(pair)


def _uniques(pair: TablePair) -> Iterator[Change]:
    said: set[tuple[str, ...]] = set()
    for name, index in pair.after.indexes.items():
        if not index.unique or index.columns in said or _held(pair, name, index):
            continue
        # Where one is NULL or differs by itself, no two rows are alike. What is generated is an
        # expression of what the model writes.
        known = pair.fields.keys() | pair.after.generated
        others = [each for each in index.columns if each and each not in known]
        nulls = not index.nulls_distinct
        if not all(pair.is_same_in_every_row(each, nulls=nulls) for each in others):
            continue
        said.add(index.columns)
        keys = ", ".join(each or "an expression" for each in index.columns)
        words = f"{keys} must be unique ({name})"
        if all(index.columns) and len(others) == len(index.columns):
            words += ", and its INSERT gives every row the same value"
        yield Change(pair.model, Kind.UNIQUE, words, name=name)


def _held(pair: TablePair, name: str, index: Index) -> bool:
    """Return whether rows had to be unique in the same way before the plan."""
    if _is_other(pair, name):
        return False
    columns = set(index.columns)
    for there, each in pair.before.indexes.items():
        if not each.unique:
            continue
        if each.nulls_distinct and not index.nulls_distinct and not columns <= pair.after.not_null:
            continue
        now = {pair.name_after(column) or column for column in each.columns}
        whole = not (each.partial or AN_EXPRESSION in now)
        if whole and now <= columns:
            return True
        # One that only says it of some rows, or of an expression, is known by its name alone.
        renamed = there not in pair.after.indexes and now == columns
        renamed = renamed and not _is_other(pair, name, there)
        if there == name or (renamed and each.partial == index.partial):
            return True
    return False


def _checks(pair: TablePair) -> Iterator[Change]:
    for name, (kind, columns) in pair.after.constraints.items():
        if kind not in (CHECK, EXCLUSION) or not (
            set(columns) & set(pair.fields) or kind == EXCLUSION
        ):
            continue
        before = {
            there: (its_kind, {pair.name_after(column) or column for column in its})
            for there, (its_kind, its) in pair.before.constraints.items()
        }
        renamed = (kind, set(columns)) in (
            it
            for there, it in before.items()
            if there not in pair.after.constraints and not _is_other(pair, name, there)
        )
        if _is_other(pair, name) or not (name in before or renamed):
            what = "the check" if kind == CHECK else "the exclusion constraint"
            about = f" of {', '.join(columns)}" if columns else ""
            words = f"{what} {name}{about} may reject what it writes"
            yield Change(pair.model, Kind.CHECK, words, name=name)


def _is_other(pair: TablePair, name: str, there: str | None = None) -> bool:
    """Return whether the models say something else than before the plan, there under that name."""
    before = _said(pair.model, there or name)
    after = next(filter(None, (_said(model, name) for model in pair.successors)), None)
    if before is None or after is None:
        # Of another name, it is a rule of somebody else.
        return there is not None and before is not after
    return bool(before != after)


def _said(model: Any, name: str) -> Any:
    """Return what a constraint says, without its name and the words for people."""
    for item in model._meta.constraints:
        if item.name == name:
            _, arguments, options = item.deconstruct()
            return type(item), arguments, {k: v for k, v in options.items() if k not in NO_RULE}
    return None


def _foreign_keys(pair: TablePair) -> Iterator[Change]:
    before, after = pair.schemas
    held = {
        (_named(pair, key), key.target.origin)
        for key in before.foreign_keys
        if key.table is pair.before
    }
    for key in after.foreign_keys:
        of_it = key.table is pair.after and not key.copied and set(key.columns) <= set(pair.fields)
        if of_it and (key.columns, key.target.origin) not in held:
            words = f"{', '.join(key.columns)} must be in {key.target.label} ({key.name})"
            yield Change(pair.model, Kind.FOREIGN_KEY, words, name=key.name)


def _named(pair: TablePair, key: SimulatedForeignKey) -> tuple[str, ...]:
    return tuple(pair.name_after(column) or column for column in key.columns)
