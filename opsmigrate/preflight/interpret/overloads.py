"""Which of the functions or operators of a name PostgreSQL takes for arguments of given types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opsmigrate.preflight.interpret.coercion import (
    POLYMORPHIC,
    UNKNOWN,
    base_type,
    facts_of,
    how,
)
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.preflight.interpret.system import Callee
from opsmigrate.sql.types import element_type, without_modifier

STRING = "S"


def chosen(schema: Schema, callees: Iterable[Callee], given: Sequence[str]) -> list[Callee]:
    """Return the one that is taken; none where none fits, several where it is ambiguous.

    Func_select_candidate() in parse_func.c, which the documentation tells as Function Type
    Resolution and Operator Type Resolution.
    """
    types = [without_modifier(each) for each in given]
    arity = [full for each in callees if (full := _of_arity(each, len(types))) is not None]
    exact = [each for each in arity if list(each.arguments) == types]
    if exact:
        return exact[:1]
    if len(types) == 2 and UNKNOWN in types and arity and arity[0].kind == "o":
        # An operator with one literal is first looked for with the type of the other side.
        other = base_type(schema, next((each for each in types if each != UNKNOWN), UNKNOWN))
        same = [each for each in arity if each.arguments == (other, other)]
        if same and other != UNKNOWN:
            return same[:1]
    possible = [each for each in arity if _fits(schema, each, types)]
    return _narrowed(schema, possible, [base_type(schema, each) for each in types])


def _of_arity(callee: Callee, count: int) -> Callee | None:
    takes = callee.arguments
    if callee.variadic:
        # PostgreSQL's own take an array of one type, or "any".
        element = element_type(takes[-1]) or takes[-1]
        if count >= len(takes):
            more = (element,) * (count - len(takes) + 1)
            return callee._replace(arguments=takes[:-1] + more)
        return None
    if len(takes) - callee.defaults <= count <= len(takes):
        return callee._replace(arguments=takes[:count])
    return None


def _fits(schema: Schema, callee: Callee, types: Sequence[str]) -> bool:
    if not all(
        how(schema, given, taken, "i") for given, taken in zip(types, callee.arguments, strict=True)
    ):
        return False
    # Those of one polymorphic family are the same, but for anycompatible.
    same = [
        element_type(base_type(schema, given)) or given if "array" in taken else given
        for given, taken in zip(types, callee.arguments, strict=True)
        if taken in POLYMORPHIC
        and "compatible" not in taken
        and taken.strip('"') != "any"
        and given != UNKNOWN
    ]
    return len({base_type(schema, each) for each in same}) < 2


def _narrowed(schema: Schema, possible: list[Callee], types: list[str]) -> list[Callee]:
    best = _most(possible, lambda each: _exact(each, types))
    best = _most(best, lambda each: _exact_or_preferred(schema, each, types))
    best = _by_category(schema, best, types)
    known = {each for each in types if each != UNKNOWN}
    if len(known) == 1:
        [only] = known
        alike = [
            each for each in best if all(how(schema, only, taken, "i") for taken in each.arguments)
        ]
        if len(alike) == 1:
            return alike
    return best


def _most(callees: list[Callee], weight: object) -> list[Callee]:
    weights = [weight(each) for each in callees]  # type: ignore[operator]
    return [each for each, one in zip(callees, weights, strict=True) if one == max(weights)]


def _exact(callee: Callee, types: Sequence[str]) -> int:
    return sum(
        given == taken
        for given, taken in zip(types, callee.arguments, strict=True)
        if given != UNKNOWN
    )


def _exact_or_preferred(schema: Schema, callee: Callee, types: Sequence[str]) -> int:
    found = 0
    for given, taken in zip(types, callee.arguments, strict=True):
        ours, theirs = facts_of(schema, given), facts_of(schema, taken)
        preferred = ours and theirs and ours.category == theirs.category and theirs.preferred
        found += given == taken or bool(preferred)
    return found


def _by_category(schema: Schema, best: list[Callee], types: Sequence[str]) -> list[Callee]:
    """Narrow by the literals: as text where one takes it, else by the category they all have."""
    wanted: dict[int, tuple[str, bool]] = {}
    for position in (at for at, given in enumerate(types) if given == UNKNOWN):
        taken = {_category(schema, each.arguments[position]) for each in best}
        categories = {category for category, _ in taken}
        if STRING not in categories and len(categories) > 1:
            # Then the other literals do not count either.
            return best
        category = STRING if STRING in categories else next(iter(categories), "")
        wanted[position] = category, (category, True) in taken
    kept = [
        each
        for each in best
        if all(_category(schema, each.arguments[at]) == one for at, one in wanted.items())
    ]
    return kept or best


def _category(schema: Schema, shown: str) -> tuple[str, bool]:
    """Return the category of a type, and whether it is preferred among those of it."""
    facts = facts_of(schema, shown)
    return (facts.category, facts.preferred) if facts is not None else ("", False)
