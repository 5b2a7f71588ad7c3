"""The operators of an EXCLUDE constraint: there, the same both ways, and of the index's class."""

from __future__ import annotations

from collections.abc import Sequence

from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.index_methods import default_class, named_class
from opsmigrate.preflight.interpret.overloads import chosen
from opsmigrate.preflight.interpret.schema import Key, Relation
from opsmigrate.preflight.interpret.step import Step

# Operators that mean the same the other way round, and some that do not (pg_operator.oprcom).
COMMUTATIVE = ("=", "&&", "<>", "-|-", "~=")
ONE_WAY = ("<", ">", "<=", ">=", "<<", ">>", "@>", "<@")


def require_operators(
    step: Step,
    table: Relation,
    method: str,
    keys: Sequence[tuple[Key, str]],
    operators: Sequence[str],
) -> None:
    """Refuse an operator as ComputeIndexAttrs() does; `keys` are those of the index, with types."""
    schema = step.schema
    for (key, type_), name in zip(keys, operators, strict=True):
        visible = ("pg_catalog", *schema.search_path)
        callees = [each for each in schema.system.operators.get(name, ()) if each.schema in visible]
        found = chosen(schema, callees, [type_, type_])
        if not found:
            step.refuse("42883", "missing-operator", relation=table.name, name=name)
        if len(found) > 1 or name not in (*COMMUTATIVE, *ONE_WAY):
            raise UnknownError(f"the operator {name} of an EXCLUDE", table.name)
        if name in ONE_WAY:
            step.refuse("42809", "not-commutative", relation=table.name, name=name)
        own = (
            default_class(schema, method, type_)
            if key.operator_class is None
            else named_class(schema, method, list(key.operator_class), type_)
        )
        if own is None or isinstance(own, str):
            raise UnknownError(f"the operators of {type_}", table.name)
        members = {
            number
            for (family, *_), strategies in schema.system.members.items()
            if family == own.family
            for number in strategies.values()
        }
        if found[0].number not in members:
            step.refuse("42809", "not-of-the-class", relation=table.name, name=name)
