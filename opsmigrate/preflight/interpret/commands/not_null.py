"""SET NOT NULL and DROP NOT NULL: a flag of the column, and from PostgreSQL 18 a constraint too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import Action, Altering, Pass
from opsmigrate.preflight.interpret.commands.drop_constraint import (
    drop_constraint,
    key_needs_column,
)
from opsmigrate.preflight.interpret.effects import Question, RefusedError, UnknownError
from opsmigrate.preflight.interpret.inheritance import children_of, descendants_of
from opsmigrate.preflight.interpret.made_names import constraint_name, has_constraint
from opsmigrate.preflight.interpret.schema import Constraint, Relation, Schema
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.expressions import not_null_columns
from opsmigrate.sql.grammar import parse_expression
from opsmigrate.sql.names import Name

# From this server on a NOT NULL is a constraint with a name.
CATALOGUED = 180_000
NO_INHERIT = "no-inherit"


def is_catalogued(schema: Schema) -> bool:
    """Return whether a NOT NULL is a constraint with a name (PostgreSQL 18)."""
    return schema.version >= CATALOGUED


def not_null_of(table: Relation, column: str) -> Constraint | None:
    """Return the constraint that says that a column has a value."""
    return next(
        (
            each
            for each in table.constraints.values()
            if each.kind == "n" and each.columns == (column,)
        ),
        None,
    )


def proven(table: Relation, column: str) -> bool:
    """Return whether a valid CHECK says that the column has a value: then no row is read."""
    return any(
        each.kind == "c"
        and each.validated
        and column in not_null_columns(parse_expression(each.condition or "true"))
        for each in table.constraints.values()
    )


def put_not_null(
    step: Step,
    table: Name,
    column: str,
    constraint: Constraint | None = None,
    *,
    others: Collection[str] = (),
) -> str:
    """Have a column say that it has a value; return the constraint's name ("" before 18).

    `constraint` says what is special about it; without a name it gets one.
    """
    relation = step.known(table)
    changed = relation.with_column(replace(relation.columns[column], not_null=True))
    name = ""
    if is_catalogued(step.schema):
        made = constraint or Constraint(name="", kind="n", columns=(column,))
        name = made.name or constraint_name(step.schema, table, column, "not_null", others)
        if has_constraint(relation, name):
            step.refuse("42710", "constraint-name-taken", relation=table, name=name)
        changed = changed.with_constraint(replace(made, name=name, columns=(column,)))
    step.put(changed)
    return name


def ask_not_null(step: Step, table: Relation, column: str) -> None:
    """Note that the rows are read for a column that has no value."""
    if table.kind == "r" and not proven(table, column):
        step.effects.scans.add(table.name)
        step.effects.questions.append(
            Question(sqlstate="23502", kind="not-null", relation=table.name, columns=(column,))
        )


def set_not_null(
    altering: Altering,
    table: Name,
    column: str,
    name: str = "",
    *,
    ask: bool = True,
    whole: bool = False,
) -> None:
    """Have a column, and those of its descendants, say that they have a value.

    `ask` says that rows may be in the way. The constraint gets the name, or one is made up. With
    `whole` it goes on to the descendants, whatever ONLY says.
    """
    if not is_catalogued(altering.step.schema):
        _set_flags(altering, table, column, ask=ask)
        return
    if whole:
        altering = replace(altering, only=False)
        _require_inheritable(altering, table, column)
    _set_catalogued(altering, table, column, name, recursing=False, ask=ask)


def _set_flags(altering: Altering, table: Name, column: str, *, ask: bool) -> None:
    step, is_partitioned = altering.step, altering.relation(table).kind == "p"
    if altering.column(table, column).not_null and is_partitioned:
        return
    if altering.only and is_partitioned:
        # All that are below are looked at, and locked for it.
        for below in replace(altering, only=False).family(table)[1:]:
            if not step.known(below).columns[column].not_null:
                altering.refuse("42P16", "children-too", table, column=column)
    # What inherits may say less than its parent (ATPrepSetNotNull).
    for each in altering.family(table):
        found = altering.column(each, column)
        if not found.not_null:
            if ask:
                ask_not_null(step, altering.relation(each), column)
            put_not_null(step, each, column)


def _set_catalogued(
    altering: Altering, table: Name, column: str, name: str, *, recursing: bool, ask: bool = True
) -> None:
    step = altering.step
    altering.column(table, column)
    relation = altering.relation(table)
    known = not_null_of(relation, column)
    if known is not None:
        if known.no_inherit and not altering.only:
            altering.refuse("55000", NO_INHERIT, table, name=known.name)
        _keep(altering, relation, known, recursing=recursing)
        return
    children = children_of(step.schema, table)
    if altering.only and children and relation.kind == "p":
        altering.refuse("42P16", "children-too", table, column=column)
    made = Constraint(
        name=name,
        kind="n",
        columns=(column,),
        no_inherit=altering.only and bool(children),
        local=not recursing,
        parents=int(recursing),
    )
    if ask:
        ask_not_null(step, relation, column)
    name = put_not_null(step, table, column, made)
    for child in () if altering.only else children:
        altering.lock(child)
        _set_catalogued(altering, child, column, name, recursing=True, ask=ask)


def add_not_null(altering: Altering, table: Name, node: Any) -> None:
    """ADD [CONSTRAINT name] NOT NULL column, of PostgreSQL 18."""
    column = as_stored(node.keys[0].string.sval)
    if node.is_no_inherit and altering.relation(table).kind == "p":
        # Before the column is looked for (transformTableConstraint).
        altering.refuse("0A000", "no-inherit-partitioned", table, column=column)
    altering.column(table, column)
    made = Constraint(
        name=as_stored(node.conname),
        kind="n",
        columns=(column,),
        no_inherit=bool(node.is_no_inherit),
        validated=not node.skip_validation,
    )
    say_not_null(altering, table, made)


def say_not_null(altering: Altering, table: Name, made: Constraint) -> None:
    """Add a NOT NULL that a statement says, or a primary key for it (18)."""
    step, relation = altering.step, altering.relation(table)
    [column] = made.columns
    known = not_null_of(relation, column)
    if known is not None:
        _require_the_same(altering, table, known, made)
        step.put(relation.with_constraint(replace(known, local=True)))
        return
    children = () if made.no_inherit else children_of(step.schema, table)
    if children and altering.only:
        altering.refuse("42P16", "children-too", table, column=column)
    if made.validated:
        ask_not_null(step, relation, column)
    name = put_not_null(step, table, column, made)
    if children and not made.validated:
        raise UnknownError("NOT NULL … NOT VALID of descendants", table, *children)
    _require_inheritable(altering, table, column)
    for child in children:
        altering.lock(child)
        _set_catalogued(altering, child, column, name, recursing=True)


def _require_inheritable(altering: Altering, table: Name, column: str) -> None:
    """Refuse where a descendant has one that is NO INHERIT (AdjustNotNullInheritance)."""
    for each in descendants_of(altering.step.schema, table):
        own = not_null_of(altering.relation(each), column)
        if own is not None and own.no_inherit:
            altering.refuse("55000", "no-inherit", each, name=own.name)


def _require_the_same(altering: Altering, table: Name, known: Constraint, made: Constraint) -> None:
    for wrong, kind in (
        (known.no_inherit != made.no_inherit, "no-inherit"),
        (made.name not in ("", known.name), "two-not-nulls"),
        (made.validated and not known.validated, "not-valid"),
    ):
        if wrong:
            altering.refuse("55000", kind, table, name=known.name)


def _keep(altering: Altering, table: Relation, known: Constraint, *, recursing: bool) -> None:
    step = altering.step
    if recursing:
        step.put(table.with_constraint(replace(known, parents=known.parents + 1)))
    elif not known.local:
        step.put(table.with_constraint(replace(known, local=True)))
    elif not known.validated:
        for each in altering.family(table.name):
            relation = altering.relation(each)
            found = not_null_of(relation, known.columns[0])
            if found is not None and not found.validated:
                ask_not_null(step, relation, known.columns[0])
                step.put(relation.with_constraint(replace(found, validated=True)))


def drop_not_null(altering: Altering, table: Name, column: str) -> None:
    """Have a column no longer say that it has a value."""
    found = altering.column(table, column)
    relation = altering.relation(table)
    catalogued = is_catalogued(altering.step.schema)
    if catalogued and not found.not_null:
        return
    if found.identity:
        altering.refuse("42601", "identity", table, column=column)
    if not catalogued:
        _drop_flag(altering, relation, column)
        return
    constraint = not_null_of(relation, column)
    if constraint is None:
        raise AssertionError(column)
    drop_constraint(altering, table, constraint)


def _parent_is_nullable(altering: Altering, table: Relation, column: str) -> None:
    """Refuse to take from a partition what its table says."""
    if table.bound is None:
        return
    for parent in table.parents:
        found = altering.relation(parent).columns.get(column)
        if found is not None and found.not_null:
            altering.refuse("42P16", "not-null-in-parent", table.name, column=column)


def _drop_flag(altering: Altering, table: Relation, column: str) -> None:
    step = altering.step
    for each in altering.family(table.name):
        relation = altering.relation(each)
        found = altering.column(each, column)
        if found.identity:
            altering.refuse("42601", "identity", each, column=column)
        key_needs_column(altering, relation, column)
        _parent_is_nullable(altering, relation, column)
        step.put(relation.with_column(replace(found, not_null=False)))


def _prepare_set(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpf")
    name = as_stored(command.name)
    altering.later(Pass.COLUMN_ATTRIBUTES, lambda: _set(altering, table, name))


def _set(altering: Altering, table: Name, column: str) -> None:
    try:
        set_not_null(altering, table, column)
    except RefusedError as refused:
        if refused.refusal.kind == NO_INHERIT:
            altering.refuse("0A000", NO_INHERIT, table, column=column)
        raise


def _prepare_drop(altering: Altering, table: Name, command: Any) -> None:
    relation = altering.allow(table, "rpf")
    name = as_stored(command.name)
    alone = altering.only and relation.kind == "p" and not is_catalogued(altering.step.schema)
    if alone and children_of(altering.step.schema, table):
        altering.refuse("42P16", "children-too", table, column=name)
    altering.later(Pass.DROP, lambda: drop_not_null(altering, table, name))


ACTIONS: Mapping[str, Action] = {
    "AT_SetNotNull": Action(prepare=_prepare_set),
    "AT_DropNotNull": Action(prepare=_prepare_drop),
}
