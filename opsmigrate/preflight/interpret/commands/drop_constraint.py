"""ALTER TABLE … DROP CONSTRAINT, of every kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import Altering, Pass
from opsmigrate.preflight.interpret.dropping import drop
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.inheritance import children_of, descendants_of
from opsmigrate.preflight.interpret.made_names import constraint_named
from opsmigrate.preflight.interpret.schema import Constraint, Relation
from opsmigrate.preflight.interpret.thing import constraint as thing_of
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label

# From this server on ONLY leaves the constraint to the partitions.
DROPS_OF_PARTITIONED_ALONE = 180_000
LEAVES_IT_TO_OTHERS = 180_000


def prepare_drop(altering: Altering, table: Name, command: Any) -> None:
    """Put off DROP CONSTRAINT to its pass."""
    relation = altering.allow(table, "rpf")
    name = as_stored(command.name)
    if relation.kind == "p":
        # Even where it has none of this name (ATCheckPartitionsNotInUse).
        for each in descendants_of(altering.step.schema, table):
            altering.step.effects.lock(each, altering.mode)
    cascade = label(command, "behavior") == "DROP_CASCADE"

    def run() -> None:
        found = constraint_named(altering.relation(table), name)
        if found is None:
            if not command.missing_ok:
                altering.refuse("42704", "missing-constraint", table, name=name)
            return
        drop_constraint(altering, table, found, cascade=cascade)

    altering.later(Pass.DROP, run)


def drop_constraint(
    altering: Altering,
    table: Name,
    constraint: Constraint,
    *,
    cascade: bool = False,
    recursing: bool = False,
) -> None:
    """Drop a constraint, and those of the descendants that came from it."""
    step, relation = altering.step, altering.relation(table)
    if constraint.parents and not recursing:
        altering.refuse("42P16", "inherited-constraint", table, name=constraint.name)
    if constraint.kind == "n":
        [column] = constraint.columns
        key_needs_column(altering, relation, column)
        if relation.columns[column].identity:
            altering.refuse("55000", "identity", table, column=column)
    if constraint.target is not None and constraint.target != table:
        # Even where the constraint has no triggers there (ATExecDropConstraint).
        step.effects.lock(constraint.target, ACCESS_EXCLUSIVE)
    drop(step, [thing_of(table, constraint.name)], cascade=cascade)
    if constraint.kind in "cn" and not constraint.no_inherit:
        _descend(altering, relation, constraint)
    elif constraint.was_copied and relation.kind == "r" and children_of(step.schema, table):
        # Those that inherit are asked for it, and have none.
        raise UnknownError("a key that a partition has kept", table)


def key_needs_column(altering: Altering, table: Relation, column: str) -> None:
    """Refuse where a primary key, or a replica identity, needs that the column has a value."""
    for each in table.indexes.values():
        if column in [key.column for key in each.keys] and (each.primary or each.replica_identity):
            kind = "primary-key" if each.primary else "replica-identity"
            altering.refuse("42P16", kind, table.name, column=column, name=each.name)


def _descend(altering: Altering, table: Relation, constraint: Constraint) -> None:
    step = altering.step
    children = children_of(step.schema, table.name)
    kept = step.schema.version < DROPS_OF_PARTITIONED_ALONE
    if altering.only and table.kind == "p" and children and kept:
        altering.refuse("42P16", "children-too", table.name, name=constraint.name)
    for child in children:
        step.effects.lock(child, altering.mode)
        relation = altering.relation(child)
        found = _inherited(relation, constraint)
        if found is None or not found.parents:
            raise AssertionError(constraint.name)
        if altering.only:
            # It is its own when no other parent has it; before, in any case.
            local = found.local or found.parents == 1 or step.schema.version < LEAVES_IT_TO_OTHERS
            left = replace(found, parents=found.parents - 1, local=local)
            step.put(relation.with_constraint(left))
        elif found.parents == 1 and not found.local:
            altering.lock(child)
            drop_constraint(altering, child, found, recursing=True)
        else:
            step.put(relation.with_constraint(replace(found, parents=found.parents - 1)))


def _inherited(child: Relation, constraint: Constraint) -> Constraint | None:
    if constraint.kind == "n":
        return next(
            (
                each
                for each in child.constraints.values()
                if each.kind == "n" and each.columns == constraint.columns
            ),
            None,
        )
    return child.constraints.get(constraint.name)
