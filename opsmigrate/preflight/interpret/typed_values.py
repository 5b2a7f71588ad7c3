"""An expression as its type, its volatility and what it names; and what it becomes by a cast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opsmigrate.preflight.interpret.coercion import (
    UNKNOWN,
    base_type,
    facts_of,
    how,
)
from opsmigrate.preflight.interpret.effects import Refusal, RefusedError, UnknownError
from opsmigrate.preflight.interpret.literals import literal_fits
from opsmigrate.preflight.interpret.schema import Relation, Schema
from opsmigrate.sql.types import element_type, without_modifier

# The functions of casts to these, and from them as well, depend on the session (pg_cast).
STABLE_TARGETS = frozenset({"time with time zone", "regclass", "xml"})
STABLE_EITHER = frozenset({"timestamp with time zone", "money"})
# Their values are written and read alike in every session (provolatile of typoutput and typinput).
STEADY = frozenset({
    "bigint", "bit", "bit varying", "boolean", "box", "bytea", "\"char\"", "character",
    "character varying", "cid", "cidr", "circle", "double precision", "inet", "integer", "json",
    "jsonb", "jsonpath", "line", "lseg", "macaddr", "macaddr8", "name", "numeric", "oid", "path",
    "pg_lsn", "point", "polygon", "real", "smallint", "text", "tid", "tsquery", "tsvector", "uuid",
    "xid", "xid8",
})  # fmt: skip
STEADY_TO_WRITE = frozenset({"time with time zone", "time without time zone", "xml"})


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an expression stands: `table` whose columns it may name, None where it may name none.

    `word` is what it is part of. `generated` columns may be named unless it says otherwise.
    """

    schema: Schema
    table: Relation | None
    word: str


@dataclass(frozen=True, kw_only=True)
class Typed:
    """An expression: its type with what is in its brackets, and the worst volatility in it."""

    type: str
    volatility: str = "i"
    # Of a literal or NULL: nothing to compute.
    constant: bool = False
    null: bool = False
    text: str | None = None
    columns: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    # It calls a function in SQL, which may be put in its place: what that leaves is not known.
    unclear: bool = False

    def settled(self) -> str:
        """Return the volatility; end the statement as unknown where that is not known."""
        if self.unclear and self.volatility != "i":
            raise UnknownError("what is left of a function in SQL")
        return self.volatility


def refuse(sqlstate: str, kind: str, **about: Any) -> RefusedError:
    """Return the error that ends a statement as the server would."""
    return RefusedError(Refusal(sqlstate=sqlstate, kind=kind, **about))


def joined(parts: Sequence[Typed], shown: str, volatility: str = "i") -> Typed:
    """Return what is made of these parts: a value of the type `shown`, as volatile as the worst."""
    worst = max([volatility, *(each.volatility for each in parts)], key="isv".index)
    return Typed(
        type=shown,
        volatility=worst,
        columns=tuple(dict.fromkeys(name for each in parts for name in each.columns)),
        calls=tuple(name for each in parts for name in each.calls),
        unclear=any(each.unclear for each in parts),
    )


def coerced(place: Place, value: Typed, target: str, context: str) -> Typed | None:
    """Return the value as another type, None where it does not become one in this context."""
    schema = place.schema
    if value.type == UNKNOWN:
        if value.text is not None:
            fits = literal_fits(schema, value.text, target)
            if fits is None:
                raise UnknownError(f"whether {value.text!r} is a {target}")
            if isinstance(fits, str):
                raise refuse(fits, "literal", name=value.text)
        return Typed(type=target, constant=True, null=value.null, text=value.text)
    found = how(schema, value.type, target, context)
    if found is None:
        return None
    volatility, unclear = value.volatility, value.unclear
    before, after = _converted(base_type(schema, value.type), base_type(schema, target))
    if found == "f" and (after in STABLE_TARGETS or {before, after} & STABLE_EITHER):
        volatility = max(volatility, "s", key="isv".index)
    elif found == "i" and not (before in STEADY | STEADY_TO_WRITE and after in STEADY):
        volatility = max(volatility, "s", key="isv".index)
        # What an extension makes of its own type, it alone says.
        unclear = unclear or _is_plain(schema, before) or _is_plain(schema, after)
    return Typed(
        type=target,
        volatility=volatility,
        constant=value.constant and found == "b" and (value.type == target or not value.null),
        # A cast is kept as it is written.
        null=value.null and value.type == target,
        columns=value.columns,
        calls=value.calls,
        unclear=unclear,
    )


def _converted(before: str, after: str) -> tuple[str, str]:
    """Return the types between which a cast is: those of the elements, of two arrays."""
    elements = element_type(before), element_type(after)
    return (elements[0], elements[1]) if elements[0] and elements[1] else (before, after)


def _is_plain(schema: Schema, shown: str) -> bool:
    """Return whether it is neither of the server's own nor an enum, a row or a range."""
    facts = facts_of(schema, shown)
    return facts is None or (facts.kind == "b" and "." in shown)


def common_type(place: Place, parts: Sequence[Typed]) -> str | None:
    """Return the type that several values become together (select_common_type); None for none."""
    schema = place.schema
    known = [each.type for each in parts if each.type != UNKNOWN]
    if not known:
        return "text"
    if len({without_modifier(each) for each in known}) == 1:
        return known[0] if len(set(known)) == 1 else without_modifier(known[0])
    taken = base_type(schema, known[0])
    for each in known[1:]:
        other = base_type(schema, each)
        ours, theirs = facts_of(schema, taken), facts_of(schema, other)
        if ours is None or theirs is None or ours.category != theirs.category:
            return None
        forwards = how(schema, taken, other, "i")
        if not ours.preferred and forwards and not how(schema, other, taken, "i"):
            taken = other
    return taken if all(how(schema, each, taken, "i") for each in known) else None
