"""CHECK constraints: what they may say, how they are called, and those of the descendants."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS, Altering
from opsmigrate.preflight.interpret.effects import Question, UnknownError
from opsmigrate.preflight.interpret.expression_types import Place, condition
from opsmigrate.preflight.interpret.inheritance import children_of
from opsmigrate.preflight.interpret.made_names import constraint_name, has_constraint
from opsmigrate.preflight.interpret.queries import need_of_functions
from opsmigrate.preflight.interpret.schema import Constraint, Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.preflight.interpret.values import ask_expression
from opsmigrate.sql.expressions import other_numbers, same_expression
from opsmigrate.sql.grammar import deparse, parse_expression
from opsmigrate.sql.names import Name

CAST = "::"


def check_of(step: Step, table: Relation, node: Any, others: Collection[str] = ()) -> Constraint:
    """Return the constraint that a CHECK says; refuse what the server does not take.

    Its columns are in the order in which the expression names them.
    """
    value = condition(Place(schema=step.schema, table=table, word="check"), node.raw_expr)
    named = tuple(dict.fromkeys(value.columns))
    columns = tuple(name for name in named if name not in SYSTEM_COLUMNS)
    name = as_stored(node.conname)
    if not name:
        part = named[0] if len(named) == 1 else ""
        name = constraint_name(step.schema, table.name, part, "check", others)
    return Constraint(
        name=name,
        kind="c",
        columns=columns,
        validated=not node.skip_validation and bool(node.is_enforced),
        enforced=bool(node.is_enforced),
        no_inherit=bool(node.is_no_inherit),
        condition=deparse(node.raw_expr),
    )


def add_check(altering: Altering, table: Name, node: Any) -> None:
    """Add a CHECK to a table and to those that descend from it."""
    step, relation = altering.step, altering.relation(table)
    made = check_of(step, relation, node)
    known = relation.constraints.get(made.name)
    if known is not None and _becomes_local(step, relation, known, made):
        step.put(relation.with_constraint(local_too(step, relation, known, made)))
        return
    if has_constraint(relation, made.name):
        altering.refuse("42710", "constraint-name-taken", table, name=made.name)
    if made.no_inherit and relation.kind == "p":
        altering.refuse("42P16", "no-inherit-partitioned", table, name=made.name)
    step.put(relation.with_constraint(made))
    ask_check(step, relation, made)
    if made.no_inherit:
        return
    if altering.only and children_of(step.schema, table):
        altering.refuse("42P16", "children-too", table, name=made.name)
    _descend(altering, table, made)


def _becomes_local(step: Step, table: Relation, known: Constraint, made: Constraint) -> bool:
    """Return whether it is one that the table has from a parent only: then it has it itself, too.

    As MergeWithExistingConstraint() does.
    """
    if known.kind != "c" or known.local or table.bound is not None:
        return False
    require_mergeable(step, table, known, made, ours=True)
    if made.no_inherit:
        step.refuse("42P17", "no-inherit", relation=table.name, name=made.name)
    return True


def local_too(step: Step, table: Relation, known: Constraint, made: Constraint) -> Constraint:
    """Return a parent's CHECK that the table has itself as well: it is enforced if that is."""
    if known.enforced and not made.enforced:
        step.refuse("42P17", "not-enforced", relation=table.name, name=made.name)
    # What is enforced from now on counts as validated, and no row is read for it.
    now = made.enforced and not known.enforced
    return replace(known, local=True, enforced=made.enforced, validated=now or known.validated)


def _descend(altering: Altering, table: Name, made: Constraint) -> None:
    step = altering.step
    for child in children_of(step.schema, table):
        altering.lock(child)
        relation = altering.relation(child)
        known = relation.constraints.get(made.name)
        if known is None and has_constraint(relation, made.name):
            altering.refuse("42710", "constraint-name-taken", child, name=made.name)
        if known is None:
            step.put(relation.with_constraint(replace(made, local=False, parents=1)))
            ask_check(step, relation, made)
            _descend(altering, child, made)
            continue
        require_mergeable(step, relation, known, made)
        # That of a partition is its table's from now on.
        local = known.local and relation.bound is None
        step.put(relation.with_constraint(replace(known, parents=known.parents + 1, local=local)))


def require_mergeable(
    step: Step, child: Relation, known: Constraint, made: Constraint, *, ours: bool = False
) -> None:
    """Refuse where a child has another constraint of the name of a parent's.

    With `ours`, the known one is the parent's, and the other one the child's own.
    """
    about = {"relation": child.name, "name": made.name}
    require_same_check(step, child, known, made)
    if known.no_inherit:
        step.refuse("42P17", "no-inherit", **about)
    if made.validated and known.enforced and not known.validated:
        step.refuse("42P17", "not-valid", **about)
    if not ours and made.enforced and not known.enforced:
        step.refuse("42P17", "not-enforced", **about)


def require_same_check(step: Step, child: Relation, known: Constraint, made: Constraint) -> None:
    """Refuse two constraints of one name that do not say the same."""
    about = {"relation": child.name, "name": made.name}
    if known.kind != "c":
        step.refuse("42710", "constraint-name-taken", **about)
    if is_other_check(child.name, known, made):
        step.refuse("42710", "constraint-name-taken", **about)


def is_other_check(table: Name, known: Constraint, made: Constraint) -> bool:
    """Return whether two checks differ; end the statement as unknown where only the server can."""
    was, now = known.condition or "", made.condition or ""
    numbers = other_numbers(was, now)
    if any(numbers):
        return True
    if not same_expression(was, now):
        if {*known.columns} == {*made.columns}:
            # They may be the same all the same: PostgreSQL compares them as it understands them.
            raise UnknownError("whether two conditions are the same", table)
        return True
    if was != now and (CAST in now or numbers):
        raise UnknownError("whether two conditions with casts are the same", table)
    return False


def ask_check(step: Step, table: Relation, made: Constraint) -> None:
    """Note that the rows are read for one that contradicts."""
    if made.validated and table.kind == "r":
        step.effects.scans.add(table.name)
        condition = parse_expression(made.condition or "true")
        need_of_functions(step, condition)
        ask_expression(step, table, condition)
        step.effects.questions.append(
            Question(
                sqlstate="23514",
                kind="check",
                relation=table.name,
                columns=made.columns,
                expression=made.condition,
            )
        )
