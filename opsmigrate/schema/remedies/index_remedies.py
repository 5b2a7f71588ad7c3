"""What to type where an index, uniqueness or a primary key is gone or other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.db.models import Index as DjangosIndex
from django.db.models import UniqueConstraint

from opsmigrate.postgres.catalog import Index, Relation
from opsmigrate.postgres.names import LONGEST_NAME, as_stored, quoted
from opsmigrate.schema.claims import ClaimedIndex
from opsmigrate.schema.remedies.ddl import editing, index_statement
from opsmigrate.schema.remedies.drift_case import DriftCase, Remedy
from opsmigrate.schema.remedies.row_remedies import SAID, all_but_first, first
from opsmigrate.steps import Step, statement

# What REINDEX CONCURRENTLY leaves behind where it stops (documentation of REINDEX).
LEFT_BEHIND = re.compile(r"_cc(new|old)\d*$")
APART = "rows with equal values must be corrected first"
DUPLICATES = f"{APART}; the query lists these values"
AGAIN = "foreign keys depend on {}: drop them, recreate it as described, and add them again"
UPGRADE = "this server is too old to restore it: Django leaves it out, and nothing can be typed"


def index_remedy(case: DriftCase) -> Remedy:
    """Return what makes the index as the model has it, beside or in place of what is there."""
    concurrently = case.relation.kind != "p"
    item = _named(case, DjangosIndex)
    with editing(case) as editor:
        if item is not None:
            text = str(item.create_sql(case.model, editor, concurrently=concurrently))
        else:
            assert isinstance(case.drift.claim, ClaimedIndex)  # noqa: S101 - without a name
            text = index_statement(case, editor, case.drift.claim, concurrently=concurrently)
    return Remedy(None, tuple(_in_its_place(case, text, concurrently=concurrently)))


def unique_remedy(case: DriftCase) -> Remedy:
    """Return what makes the values unique again, after a look for duplicates."""
    item: Any = _named(case, UniqueConstraint)
    claim, there = case.drift.claim, case.drift.there
    with editing(case) as editor:
        if item is not None:
            made = item.create_sql(case.model, editor)
        else:
            assert isinstance(claim, ClaimedIndex)  # noqa: S101 - without a name
            made = _unnamed(case, editor, claim.columns)
        if made is None:
            return Remedy(UPGRADE)
        text = str(made)
    looks = list(_duplicates(case, claim)) if isinstance(claim, ClaimedIndex) else []
    hint = DUPLICATES if looks else APART
    old = there.name if isinstance(there, Index) else ""
    if old and any(item.name == old and item.kind == "u" for item in case.relation.constraints):
        if _rested_on(case, old):
            return Remedy(
                f"foreign keys depend on {old}: drop them, recreate it, and add them again"
            )
        if text.startswith(f"ALTER TABLE {case.where} ADD") and case.drift.name == old:
            return _with_ways(case, hint, looks, (statement(_replacing(case, text, old)),))
    then = tuple(_in_its_place(case, text, concurrently=False))
    return _with_ways(case, hint, looks, then)


def _with_ways(case: DriftCase, hint: str, looks: list[Step], then: tuple[Step, ...]) -> Remedy:
    """Return the remedy with what can be done about duplicates, where there are any."""
    claim = case.drift.claim
    if not looks or not isinstance(claim, ClaimedIndex):
        return Remedy(hint, (*looks, *then))
    steps = first(
        case,
        all_but_first(case, claim.columns, nulls_distinct=claim.nulls_distinct),
        then,
        named="all rows but the first of each",
        emptied=claim.columns if claim.nulls_distinct else (),
    )
    return Remedy(f"{hint}; {SAID}" if steps != then else hint, (*looks, *steps))


def primary_key_remedy(case: DriftCase) -> Remedy:
    """Return what makes the primary key, in the same statement as another one is dropped."""
    claim, there = case.drift.claim, case.drift.there
    assert isinstance(claim, ClaimedIndex)  # noqa: S101 - a primary key is claimed as one
    looks = tuple(_duplicates(case, claim, nulls=True))
    add = f"ADD PRIMARY KEY ({case.columns_of(claim.columns)})"
    if isinstance(there, Index) and there.primary:
        if _rested_on(case, there.name):
            return Remedy(AGAIN.format(there.name))
        add = f"DROP CONSTRAINT {quoted(there.name)}, {add}"
    return Remedy(f"{DUPLICATES}, and every row needs a value", (*looks, case.alter(add)))


def invalid_remedy(case: DriftCase) -> Remedy:
    """Return what makes an INVALID index valid, or takes it away where nobody claims it."""
    there = case.drift.there
    assert isinstance(there, Index)  # noqa: S101 - an INVALID one is there
    name = quoted(case.relation.schema, there.name)
    drop = f"DROP INDEX CONCURRENTLY {name}"
    if case.relation.kind == "p":
        return Remedy(
            "an index of a partitioned table becomes valid once each partition has its own"
        )
    if LEFT_BEHIND.search(there.name):
        return Remedy("an interrupted REINDEX left it behind", (statement(drop),))
    looks = tuple(_duplicates(case, there)) if there.unique else ()
    steps = (*looks, statement(f"REINDEX INDEX CONCURRENTLY {name}"))
    if any(index.name == there.name for index in case.claimed.indexes):
        return Remedy(DUPLICATES if looks else None, steps)
    hint = "decide whether it is needed: no migration creates it"
    return Remedy(
        f"{hint}; {DUPLICATES}" if looks else hint, (*steps, statement(drop, alternative=2))
    )


def _named(case: DriftCase, kind: type[DjangosIndex | UniqueConstraint]) -> Any:
    """Return the index or constraint of the model's options that has the name of the drift."""
    options = case.model._meta
    item: Any
    for item in (*options.indexes, *options.constraints):
        if isinstance(item, kind) and as_stored(item.name) == case.drift.name:
            return item
    return None


def _unnamed(case: DriftCase, editor: Any, columns: tuple[str, ...]) -> Any:
    """Return what unique or unique_together of the model makes."""
    if len(columns) == 1:
        # As CREATE TABLE and ADD COLUMN do: PostgreSQL makes up the name.
        return f"ALTER TABLE {case.where} ADD UNIQUE ({case.columns_of(columns)})"
    return editor._create_unique_sql(case.model, [case.field(column) for column in columns])


def _in_its_place(case: DriftCase, create: str, *, concurrently: bool) -> Iterator[Step]:
    """Yield the steps; what has the name of the index makes room first, and goes last."""
    there = case.drift.there
    if not isinstance(there, Index) or there.name != case.drift.name:
        yield statement(create)
        return
    schema = case.relation.schema
    former = _former(case, there.name)
    yield statement(f"ALTER INDEX {quoted(schema, there.name)} RENAME TO {quoted(former)}")
    yield statement(create)
    if all(item.name != there.name for item in case.relation.constraints):
        drop = "DROP INDEX CONCURRENTLY" if concurrently else "DROP INDEX"
        yield statement(f"{drop} {quoted(schema, former)}")


def _former(case: DriftCase, name: str) -> str:
    room = LONGEST_NAME - len("_former") - 2
    short = name.encode()[:room].decode(errors="ignore")
    return case.live.unused(case.relation.schema, f"{short}_former")


def _replacing(case: DriftCase, add: str, old: str) -> str:
    """Return one statement for both, so that nothing comes in between."""
    head = f"ALTER TABLE {case.where} "
    return f"{head}DROP CONSTRAINT {quoted(old)}, {add.removeprefix(head)}"


def _rested_on(case: DriftCase, index: str) -> bool:
    return any(_rests_on(table, case.relation, index) for table in case.live.catalog.relations)


def _rests_on(table: Relation, target: Relation, index: str) -> bool:
    return any(
        item.kind == "f" and item.references == target.oid and item.rests_on == index
        for item in table.constraints
    )


def _duplicates(
    case: DriftCase, claim: ClaimedIndex | Index, *, nulls: bool = False
) -> Iterator[Step]:
    """Yield the query for what stands on several rows, where all rows and plain columns count."""
    if claim.partial or "" in claim.columns:
        return
    columns = case.columns_of(claim.columns)
    counts = "" if nulls or not claim.nulls_distinct else _all_there(claim.columns)
    also = "".join(f" OR {quoted(name)} IS NULL" for name in claim.columns) if nulls else ""
    yield statement(
        f"SELECT {columns}, count(*) FROM {case.where}{counts} GROUP BY {columns} "
        f"HAVING count(*) > 1{also}"
    )


def _all_there(columns: tuple[str, ...]) -> str:
    return " WHERE " + " AND ".join(f"{quoted(name)} IS NOT NULL" for name in columns)
