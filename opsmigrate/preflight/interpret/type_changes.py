"""Whether ALTER TYPE writes every row anew (ATColumnChangeRequiresRewrite in tablecmds.c)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.coercion import (
    base_type,
    facts_of,
    has_domain_constraints,
    how,
)
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.lookup import find_type
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.sql.types import element_type, without_modifier

ZONED, PLAIN = "timestamp with time zone", "timestamp without time zone"
# Where the session's offset is none, both are the same (TimestampTimestampTzRequiresRewrite).
WITHOUT_OFFSET = frozenset({
    "utc", "gmt", "uct", "zulu", "universal", "greenwich", "gmt0", "gmt+0", "gmt-0", "<+00>-00",
})  # fmt: skip
# Types whose length only has to grow, as their support functions have it.
GROWING = ("character varying", "bit varying")
TIMES = frozenset({ZONED, PLAIN, "time with time zone", "time without time zone"})
MOST_FRACTION = 6


def writes_anew(schema: Schema, old: str, new: str, column: str, using: Any) -> bool:
    """Return whether a column's values are another after its type is `new`.

    `using` is the expression that they are made by, None for the column as it is.
    """
    types = [old]
    if using is not None:
        chain = casts_of(schema, using, column)
        if chain is None:
            return True
        types += chain
    types.append(new)
    return any(_changes(schema, one, other) for one, other in pairwise(types))


def casts_of(schema: Schema, node: Any, column: str) -> list[str] | None:
    """Return the types that a column is cast to, in order; None where it is more than casts."""
    found: list[str] = []
    while node.WhichOneof("node") == "type_cast":
        found.insert(0, find_type(schema, node.type_cast.type_name))
        node = node.type_cast.arg
    if node.WhichOneof("node") != "column_ref":
        return None
    return found if as_stored(node.column_ref.fields[-1].string.sval) == column else None


def _changes(schema: Schema, old: str, new: str) -> bool:
    if old == new:
        return False
    if has_domain_constraints(schema, new):
        return True
    ours, theirs = (without_modifier(each) for each in (old, new))
    if ours != theirs:
        if _is_domain(schema, ours) or _is_domain(schema, theirs):
            return _changes_domain(schema, old, new)
        by = how(schema, ours, theirs, "e")
        zoned = {ours, theirs} == {ZONED, PLAIN}
        if (zoned and _has_offset(schema.time_zone)) or (not zoned and by != "b"):
            return True
        if element_type(ours) is not None:
            return True
        # After a cast nothing is known of the length.
        old = theirs
    return _length_changes(old, new)


def _has_offset(zone: str) -> bool:
    if zone.lower().removeprefix("etc/") in WITHOUT_OFFSET:
        return False
    # As "ABC0", which may be written with any letters.
    if not zone or "0" in zone:
        raise UnknownError("the session's time zone")
    return True


def _is_domain(schema: Schema, type_: str) -> bool:
    facts = facts_of(schema, type_)
    return facts is not None and facts.kind == "d"


def _changes_domain(schema: Schema, old: str, new: str) -> bool:
    ours, theirs = base_type(schema, old), base_type(schema, new)
    has_length = any("(" in each for each in _through(schema, old) + _through(schema, new))
    if has_length:
        raise UnknownError("a domain of a type with a length")
    return _changes(schema, ours, theirs)


def _through(schema: Schema, shown: str) -> list[str]:
    found = [shown]
    while (facts := facts_of(schema, found[-1])) and facts.kind == "d":
        from opsmigrate.preflight.interpret.coercion import user_type_of

        domain = user_type_of(schema, without_modifier(found[-1]))
        if domain is None or domain.base is None:
            break
        found.append(domain.base)
    return found


def numbers_of(shown: str) -> tuple[int, ...]:
    """Return what stands in the brackets of a type."""
    before, opened, rest = shown.removesuffix("[]").partition("(")
    if not opened or '"' in before:
        return ()
    return tuple(int(each) for each in rest.partition(")")[0].split(","))


def _length_changes(old: str, new: str) -> bool:
    """Return whether values are cut, filled or rounded, for types that differ in lengths only."""
    before, after = numbers_of(old), numbers_of(new)
    base = without_modifier(new)
    if base.startswith("interval"):
        if old == new or new == "interval":
            return False
        raise UnknownError("the fields of an interval")
    if not after or before == after:
        return False
    if base in GROWING:
        return not before or before[0] > after[0]
    if base == "numeric":
        return not before or before[1] != after[1] or before[0] > after[0]
    if base in TIMES:
        return after[0] != MOST_FRACTION and (not before or before[0] > after[0])
    return True
