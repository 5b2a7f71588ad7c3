"""The parameters of a function or procedure: interpret_function_parameter_list()."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.expression_types import Place, typed
from opsmigrate.preflight.interpret.lookup import find_type
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.preflight.interpret.typed_values import coerced
from opsmigrate.sql.expressions import references
from opsmigrate.sql.nodes import label
from opsmigrate.sql.types import element_type, without_modifier

INPUTS = ("IN", "INOUT", "VARIADIC", "DEFAULT")
IN_ROW = ("OUT", "INOUT", "TABLE")
# One of them may be called as one of the other.
ONLY_IN, ONLY_OUT = ("IN", "VARIADIC", "DEFAULT"), ("OUT", "TABLE")
ANY = ("anyarray", "anycompatiblearray", "any")
RANGES = frozenset({"anyrange", "anymultirange"})
COMPATIBLE_RANGES = frozenset({"anycompatiblerange", "anycompatiblemultirange"})
ELEMENTS = RANGES | {"anyelement", "anyarray", "anynonarray", "anyenum"}
COMPATIBLE = COMPATIBLE_RANGES | {"anycompatible", "anycompatiblearray", "anycompatiblenonarray"}
# A result of one of them is determined by an argument of one of them.
FAMILIES = (RANGES, COMPATIBLE_RANGES, ELEMENTS, COMPATIBLE, frozenset({"internal"}))


class Parameter(NamedTuple):
    """A parameter: how it is passed, its name, "" for none, and its type without a modifier."""

    mode: str
    name: str
    type: str


def parameters_of(step: Step, node: Any) -> list[Parameter]:
    """Return the parameters of a CreateFunctionStmt; refuse what does not go together (42P13)."""
    found: list[Parameter] = []
    defaults = False
    for each in node.parameters:
        given = each.function_parameter
        made = Parameter(
            label(given, "mode").removeprefix("FUNC_PARAM_"),
            as_stored(given.name),
            without_modifier(find_type(step.schema, given.arg_type)),
        )
        _require_place(step, made, found, is_procedure=node.is_procedure)
        if given.HasField("defexpr"):
            defaults = True
            _require_default(step, made, given.defexpr)
        elif defaults and (made.mode in INPUTS or (node.is_procedure and made.mode == "OUT")):
            step.refuse("42P13", "no-default", name=made.name)
        found.append(made)
    return found


def _require_place(
    step: Step, made: Parameter, before: Sequence[Parameter], *, is_procedure: bool
) -> None:
    last = made.mode in INPUTS or is_procedure
    if last and any(each.mode == "VARIADIC" for each in before):
        step.refuse("42P13", "after-variadic", name=made.name)
    if made.mode == "VARIADIC" and element_type(made.type) is None and made.type not in ANY:
        step.refuse("42P13", "variadic-of-no-array", name=made.name)
    if made.name and any(_clash(made, each) for each in before):
        step.refuse("42P13", "name-twice", name=made.name)


def _clash(one: Parameter, other: Parameter) -> bool:
    modes = (one.mode, other.mode)
    apart = any(each in ONLY_IN for each in modes) and any(each in ONLY_OUT for each in modes)
    return one.name == other.name and not apart


def _require_default(step: Step, made: Parameter, node: Any) -> None:
    if made.mode not in INPUTS:
        step.refuse("42P13", "default-of-output", name=made.name)
    for each in references(node):
        # Unless it is within something that is refused first, as a subquery.
        step.refuse("42703", "missing-column", column=each[-1])
    place = Place(schema=step.schema, table=None, word="default")
    if coerced(place, typed(place, node), made.type, "a") is None:
        step.refuse("42804", "default-of-another-type", name=made.name)


def require_determined(step: Step, results: Sequence[str], inputs: Sequence[str]) -> None:
    """Refuse a result of a pseudo-type that no argument determines (42P13)."""
    for each in results:
        family = next((family for family in FAMILIES if each in family), None)
        if family is not None and family.isdisjoint(inputs):
            step.refuse("42P13", "undetermined-result", name=each)
