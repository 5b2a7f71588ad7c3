"""ALTER COLUMN: defaults, expressions of generated columns, and what is only kept with a column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import SHARE_UPDATE_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import Action, Altering, Pass
from opsmigrate.preflight.interpret.coercion import facts_of
from opsmigrate.preflight.interpret.commands.column_definition import default_of
from opsmigrate.preflight.interpret.commands.generated import ask_generated
from opsmigrate.preflight.interpret.commands.rebuilding import ask_other_values, remember
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.expression_types import Typed
from opsmigrate.preflight.interpret.inheritance import children_of
from opsmigrate.preflight.interpret.queries import need_of_functions
from opsmigrate.preflight.interpret.schema import Column, Schema
from opsmigrate.preflight.interpret.values import ask_domain, ask_length
from opsmigrate.sql.grammar import deparse
from opsmigrate.sql.names import Name
from opsmigrate.sql.types import without_modifier


def is_nothing(schema: Schema, column: Column, value: Typed) -> bool:
    """Return whether a default of NULL is none: where it needs no cast to a length or a domain."""
    if not value.null or column.generated:
        return False
    facts = facts_of(schema, column.type)
    bare = column.type in ("bpchar", without_modifier(column.type))
    return bare and not (facts and facts.kind == "d")


def _prepare_default(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpvf")
    name = as_stored(command.name)
    definition = getattr(command, "def")
    node = definition if definition.WhichOneof("node") else None
    family = altering.family(table)
    order = Pass.DROP if node is None else Pass.ADD_OTHER

    def act() -> None:
        for each in family:
            _set_default(altering, each, name, node)

    altering.later(order, act)


def _set_default(altering: Altering, table: Name, name: str, node: Any) -> None:
    step = altering.step
    found = altering.column(table, name)
    if found.identity:
        altering.refuse("42601", "identity", table, column=name)
    if found.generated:
        altering.refuse("42601", "generated", table, column=name)
    relation = altering.relation(table)
    text = None
    if node is not None:
        value = default_of(step, relation, found, node)
        text = None if is_nothing(step.schema, found, value) else deparse(node)
    step.put(relation.with_column(replace(found, default=text)))


def _prepare_expression(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpf")
    name = as_stored(command.name)
    node = getattr(command, "def")
    family = altering.family(table)

    def act() -> None:
        for each in family:
            _set_expression(altering, each, name, node)

    altering.later(Pass.SET_EXPRESSION, act)


def _set_expression(altering: Altering, table: Name, name: str, node: Any) -> None:
    step = altering.step
    found = altering.column(table, name)
    if not found.generated:
        altering.refuse("55000", "not-generated", table, column=name)
    relation = altering.relation(table)
    if found.generated == "v":
        raise UnknownError("SET EXPRESSION of a virtual column", table)
    remember(altering, relation, name, during=Pass.SET_EXPRESSION)
    default_of(step, relation, found, node)
    step.put(relation.with_column(replace(found, default=deparse(node))))
    altering.rewrite(table)
    need_of_functions(step, node)
    if relation.kind == "r":
        ask_generated(step, relation, found, node)
        ask_domain(step, table, found)
        ask_length(step, table, found)
        ask_other_values(step, relation, found, deparse(node))


def _prepare_drop_expression(altering: Altering, table: Name, command: Any) -> None:
    relation = altering.allow(table, "rpf")
    name = as_stored(command.name)
    children = children_of(altering.step.schema, table)
    below = any(children_of(altering.step.schema, each) for each in children)
    # That of a child which has children is prepared as with ONLY (ATSimpleRecursion).
    if (altering.only and children) or below:
        altering.refuse("0A000", "children-too", table, column=name)
    column = relation.columns.get(name)
    if column is not None and column.parents:
        altering.refuse("42P16", "inherited-column", table, column=name)
    family = altering.family(table)

    def act() -> None:
        for each in family:
            _drop_expression(altering, each, name, missing_ok=command.missing_ok)

    altering.later(Pass.DROP, act)


def _drop_expression(altering: Altering, table: Name, name: str, *, missing_ok: bool) -> None:
    found = altering.column(table, name)
    if found.generated == "v":
        altering.refuse("0A000", "virtual-column", table, column=name)
    if not found.generated:
        if not missing_ok:
            altering.refuse("55000", "not-generated", table, column=name)
        return
    relation = altering.relation(table)
    altering.step.put(relation.with_column(replace(found, generated="", default=None)))


def _prepare_kept(kinds: str, *, family: bool = False) -> Any:
    """Return what prepares a subcommand that changes nothing that the schema has of a column."""

    def prepare(altering: Altering, table: Name, command: Any) -> None:
        altering.allow(table, kinds)
        tables = altering.family(table) if family else (table,)
        if not command.name:
            raise UnknownError("a column by its number", table)

        def act() -> None:
            for each in tables:
                altering.column(each, as_stored(command.name))

        altering.later(Pass.MISCELLANEOUS, act)

    return prepare


ACTIONS: Mapping[str, Action] = {
    "AT_ColumnDefault": Action(prepare=_prepare_default),
    "AT_SetExpression": Action(prepare=_prepare_expression),
    "AT_DropExpression": Action(prepare=_prepare_drop_expression),
    "AT_SetStatistics": Action(
        prepare=_prepare_kept("rpmf", family=True), lock=SHARE_UPDATE_EXCLUSIVE
    ),
    "AT_SetOptions": Action(prepare=_prepare_kept("rpmf"), lock=SHARE_UPDATE_EXCLUSIVE),
    "AT_ResetOptions": Action(prepare=_prepare_kept("rpmf"), lock=SHARE_UPDATE_EXCLUSIVE),
}
