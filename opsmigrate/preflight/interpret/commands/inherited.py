"""What a new table takes over from those that it INHERITS (MergeAttributes in tablecmds.c)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opsmigrate.postgres.lock_modes import SHARE_UPDATE_EXCLUSIVE
from opsmigrate.preflight.interpret.commands.checks import local_too, require_same_check
from opsmigrate.preflight.interpret.effects import Right, UnknownError
from opsmigrate.preflight.interpret.lookup import relation_of
from opsmigrate.preflight.interpret.schema import Column, Constraint, Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.expressions import same_expression
from opsmigrate.sql.names import Name


@dataclass(kw_only=True)
class Inherited:
    """Columns, CHECKs and, by column, NOT NULLs of the parents, as they will be in the child."""

    parents: list[Name] = field(default_factory=list)
    columns: dict[str, Column] = field(default_factory=dict)
    checks: list[Constraint] = field(default_factory=list)
    not_nulls: dict[str, Constraint] = field(default_factory=dict)

    def merged(self, step: Step, parent: Column, own: Column) -> Column:
        """Return a column that the table has of its own and from a parent."""
        about = {"column": own.name}
        if parent.type != own.type:
            step.refuse("42804", "other-type", **about)
        if own.collation != parent.collation:
            step.refuse("42P21", "other-collation", **about)
        if parent.generated or own.generated or own.identity:
            raise UnknownError("a generated column that is inherited")
        return replace(own, number=parent.number, parents=parent.parents, default=parent.default)

    def merged_check(
        self, step: Step, table: Relation, known: Constraint, made: Constraint
    ) -> Constraint:
        """Return a CHECK of the name of a parent's; refuse another of that name."""
        if not known.parents:
            step.refuse("42710", "constraint-name-taken", name=made.name)
        require_same_check(step, table, known, made)
        if made.no_inherit:
            step.refuse("42P17", "no-inherit", name=made.name)
        return local_too(step, table, known, made)


def inherit(step: Step, table: Relation, parents: Sequence[Any]) -> Inherited:
    """Return what the parents bring; lock them, and refuse what the server does not take."""
    found = Inherited()
    # All have to be there, and each once, before any is looked at (DefineRelation).
    named = [relation_of(step, each.range_var) for each in parents]
    if len({each.name for each in named}) < len(named):
        step.refuse("42P07", "parent-twice", relation=table.name)
    for parent in named:
        step.effects.lock(parent.name, SHARE_UPDATE_EXCLUSIVE)
        step.effects.rights.append(
            Right(privilege="OWNER", object_kind="relation", name=parent.name)
        )
        about = {"relation": table.name, "name": parent.name.name}
        if parent.kind not in "rpf" or parent.kind == "p" or parent.bound is not None:
            step.refuse("42809", "wrong-kind", **about)
        if table.persistence == "p" and parent.persistence == "t":
            step.refuse("42809", "temporary-parent", **about)
        found.parents.append(parent.name)
        _take(step, found, parent)
    return found


def _take(step: Step, found: Inherited, parent: Relation) -> None:
    for column in sorted(parent.columns.values(), key=lambda each: each.number):
        known = found.columns.get(column.name)
        if known is None:
            found.columns[column.name] = replace(
                column,
                number=len(found.columns) + 1,
                local=False,
                parents=1,
                identity="",
                not_null=False,
            )
        else:
            _take_again(step, found, known, column)
    for constraint in parent.constraints.values():
        if constraint.no_inherit:
            continue
        if constraint.kind == "c":
            _take_check(step, found, parent, constraint)
        elif constraint.kind == "n":
            _take_not_null(found, constraint)
    for column in parent.columns.values():
        # Before 18 it is only a flag.
        if column.not_null and step.schema.version < 180_000:
            found.not_nulls[column.name] = Constraint(
                name="", kind="n", columns=(column.name,), local=False
            )


def _take_again(step: Step, found: Inherited, known: Column, column: Column) -> None:
    if known.type != column.type:
        step.refuse("42804", "other-type", column=column.name)
    if known.collation != column.collation:
        step.refuse("42P21", "other-collation", column=column.name)
    if known.generated or column.generated or not same_expression(known.default, column.default):
        raise UnknownError("defaults of several parents")
    found.columns[column.name] = replace(known, parents=known.parents + 1)


def _take_check(step: Step, found: Inherited, parent: Relation, constraint: Constraint) -> None:
    for place, each in enumerate(found.checks):
        if each.name == constraint.name:
            require_same_check(step, parent, each, constraint)
            enforced = each.enforced or constraint.enforced
            found.checks[place] = replace(
                each, parents=each.parents + 1, enforced=enforced, validated=enforced
            )
            return
    found.checks.append(replace(constraint, local=False, parents=1, validated=constraint.enforced))


def _take_not_null(found: Inherited, constraint: Constraint) -> None:
    [column] = constraint.columns
    known = found.not_nulls.get(column)
    if known is not None:
        found.not_nulls[column] = replace(known, parents=known.parents + 1)
        return
    found.not_nulls[column] = replace(constraint, local=False, parents=1, validated=True)
