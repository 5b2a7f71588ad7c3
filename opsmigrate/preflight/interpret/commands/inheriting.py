"""INHERIT and NO INHERIT, and what a table has from a parent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import SHARE_UPDATE_EXCLUSIVE
from opsmigrate.preflight.interpret.altering import Action, Altering, Pass
from opsmigrate.preflight.interpret.commands.checks import is_other_check
from opsmigrate.preflight.interpret.commands.not_null import not_null_of
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.inheritance import descendants_of
from opsmigrate.preflight.interpret.lookup import opened, relation_of
from opsmigrate.preflight.interpret.schema import Column, Constraint, Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.expressions import same_expression
from opsmigrate.sql.names import Name

# From this server on a child may compute a generated column otherwise, but not alone.
MAY_DIFFER = 160_000


def with_parent(step: Step, parent: Relation, child: Relation) -> Relation:
    """Return a table with a parent more, whose columns and checks it must have already."""
    about = {"relation": child.name}
    for each in parent.columns.values():
        own = child.columns.get(each.name)
        if own is None:
            step.refuse("42804", "missing-column", column=each.name, **about)
        alone = step.schema.version < MAY_DIFFER and not each.generated
        if own.type != each.type or (own.generated != each.generated and not alone):
            step.refuse("42804", "other-type", column=each.name, **about)
        if own.collation != each.collation:
            step.refuse("42P21", "other-collation", column=each.name, **about)
        if _hands_down(parent, each) and not own.not_null:
            step.refuse("42804", "nullable", column=each.name, **about)
        same = step.schema.version >= MAY_DIFFER or same_expression(own.default, each.default)
        if each.generated and not same:
            step.refuse("42804", "other-expression", column=each.name, **about)
        local = own.local and parent.kind != "p"
        child = child.with_column(replace(own, parents=own.parents + 1, local=local))
    for constraint in parent.constraints.values():
        if constraint.kind in "cn" and not constraint.no_inherit:
            child = _with_parents_check(step, child, constraint, parent)
    return replace(child, parents=(*child.parents, parent.name))


def _hands_down(parent: Relation, column: Column) -> bool:
    """Return whether a child's column must have values as the parent's has."""
    own = not_null_of(parent, column.name)
    return column.not_null and not (own is not None and own.no_inherit)


def _with_parents_check(
    step: Step, child: Relation, constraint: Constraint, parent: Relation
) -> Relation:
    named = child.constraints.get(constraint.name)
    if constraint.kind == "n":
        named = next(
            (
                each
                for each in child.constraints.values()
                if each.kind == "n" and each.columns == constraint.columns
            ),
            None,
        )
    if named is None or named.kind != constraint.kind:
        step.refuse("42804", "missing-check", relation=child.name, name=constraint.name)
    if constraint.kind == "c" and is_other_check(child.name, named, constraint):
        step.refuse("42804", "other-check", relation=child.name, name=constraint.name)
    if named.no_inherit or (constraint.validated and not named.validated):
        raise UnknownError("a check that is not as the parent's", child.name)
    local = named.local and parent.kind != "p"
    return child.with_constraint(replace(named, parents=named.parents + 1, local=local))


def without_parent(parent: Relation, child: Relation) -> Relation:
    """Return a table with a parent less: what it had from there is its own now."""
    columns = {
        name: _freed(each) if name in parent.columns and each.parents else each
        for name, each in child.columns.items()
    }
    constraints = {}
    for name, each in child.constraints.items():
        of_parent = each.parent is not None and each.parent[0] == parent.name
        named = each.kind == "c" and name in parent.constraints
        not_null = each.kind == "n" and any(
            other.kind == "n" and other.columns == each.columns
            for other in parent.constraints.values()
        )
        inherits = of_parent or ((named or not_null) and each.parents)
        if inherits:
            was_copied = each.was_copied or of_parent
            constraints[name] = replace(_freed(each), parent=None, was_copied=was_copied)
        else:
            constraints[name] = each
    parents = tuple(each for each in child.parents if each != parent.name)
    return replace(child, columns=columns, constraints=constraints, parents=parents)


def _freed(part: Any) -> Any:
    return replace(part, parents=part.parents - 1, local=part.local or part.parents == 1)


def _inherit(altering: Altering, table: Name, command: Any) -> None:
    step = altering.step
    child = altering.allow(table, "rp")
    altering.not_typed(table)
    if child.kind == "p" or child.bound is not None:
        step.refuse("42809", "partitioned", relation=table)
    parent = relation_of(step, getattr(command, "def").range_var)
    step.effects.lock(parent.name, SHARE_UPDATE_EXCLUSIVE)
    step.effects.need("OWNER", "relation", parent.name)
    if parent.kind == "p" or parent.bound is not None:
        step.refuse("42809", "partitioned", relation=table)
    if parent.kind != "r":
        step.refuse("42809", "wrong-kind", relation=parent.name)
    if parent.name in child.parents:
        step.refuse("42P07", "parent-twice", relation=table)
    if parent.name in (table, *descendants_of(step.schema, table)):
        step.refuse("42P07", "circle", relation=table)
    altering.later(
        Pass.MISCELLANEOUS,
        lambda: step.put(with_parent(step, parent, altering.relation(table))),
    )


def _no_inherit(altering: Altering, table: Name, command: Any) -> None:
    step = altering.step
    child = altering.allow(table, "rp")
    if child.bound is not None:
        step.refuse("42809", "partition", relation=table)
    parent = opened(step, getattr(command, "def").range_var)
    if parent.name not in child.parents:
        step.refuse("42P01", "no-parent", relation=table)
    altering.later(
        Pass.MISCELLANEOUS, lambda: step.put(without_parent(parent, altering.relation(table)))
    )


ACTIONS: Mapping[str, Action] = {
    "AT_AddInherit": Action(prepare=_inherit),
    "AT_DropInherit": Action(prepare=_no_inherit),
}
