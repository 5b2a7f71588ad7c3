"""Identity columns: ADD GENERATED … AS IDENTITY, SET GENERATED, DROP IDENTITY."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE, SHARE_ROW_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS, Action, Altering, Pass
from opsmigrate.preflight.interpret.commands.column_definition import (
    Definition,
    make_sequence,
)
from opsmigrate.preflight.interpret.commands.not_null import not_null_of
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.inheritance import children_of
from opsmigrate.preflight.interpret.made_names import relation_name
from opsmigrate.preflight.interpret.schema import Relation
from opsmigrate.sql.names import Name


def _not_partitioned(altering: Altering, table: Name, column: str) -> None:
    """Partitions have the identity of their table from 17 on: not interpreted."""
    relation = altering.relation(table)
    if (relation.kind == "p" and children_of(altering.step.schema, table)) or relation.bound:
        made = relation_name(altering.step.schema, table, column, "seq")
        sequence = Name(table.schema, made)
        raise UnknownError("the identity of a partitioned table", table, sequence)


def _prepare_add(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpvf")
    name = as_stored(command.name)
    node = getattr(command, "def").constraint
    _not_partitioned(altering, table, name)

    def act() -> None:
        step = altering.step
        relation = altering.relation(table)
        column = relation.columns.get(name)
        sequence = None
        if name in SYSTEM_COLUMNS:
            altering.refuse("22023", "identity-of-another-type", table, column=name)
        if column is not None:
            definition = Definition(
                name=name,
                type=column.type,
                identity=node.generated_when,
                options=node.options,
            )
            sequence = make_sequence(step, relation, definition, relation.owner)
        found = altering.column(table, name)
        for wrong, kind in (
            (not found.not_null, "not-not-null"),
            (found.identity, "identity"),
            (found.default is not None, "default-and-identity"),
        ):
            if wrong:
                altering.refuse("55000", kind, table, column=name)
        not_null = not_null_of(relation, name)
        if not_null is not None and not not_null.validated:
            altering.refuse("55000", "not-valid", table, column=name)
        step.put(relation.with_column(replace(found, identity=node.generated_when)))
        if sequence is not None and sequence.sequence is not None:
            owned = replace(sequence.sequence, owner=(table, name), internal=True)
            step.put(replace(sequence, sequence=owned))

    altering.later(Pass.ADD_OTHER, act)


def _sequence_of(altering: Altering, table: Name, column: str) -> Relation:
    return next(
        each
        for each in altering.step.schema.relations.values()
        if each.sequence is not None
        and each.sequence.owner == (table, column)
        and each.sequence.internal
    )


def _prepare_set(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpvf")
    name = as_stored(command.name)
    options = [each.def_elem for each in getattr(command, "def").list.items]
    _not_partitioned(altering, table, name)

    def act() -> None:
        found = altering.column(table, name)
        if not found.identity:
            altering.refuse("55000", "not-identity", table, column=name)
        sequence = _sequence_of(altering, table, name)
        altering.step.effects.lock(sequence.name, SHARE_ROW_EXCLUSIVE)
        for each in options:
            if each.defname == "generated":
                kind = chr(each.arg.integer.ival)
                relation = altering.relation(table)
                altering.step.put(relation.with_column(replace(found, identity=kind)))
            else:
                _set_option(altering, sequence, each)

    altering.later(Pass.MISCELLANEOUS, act)


def _set_option(altering: Altering, sequence: Relation, option: Any) -> None:
    facts = sequence.sequence
    if facts is None or option.defname not in ("restart", "start", "increment", "cache"):
        raise UnknownError(f"{option.defname} of an identity", sequence.name)
    if option.defname == "restart":
        return
    raise UnknownError(f"{option.defname} of an identity", sequence.name, altering.table)


def _prepare_drop(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpvf")
    name = as_stored(command.name)
    _not_partitioned(altering, table, name)

    def act() -> None:
        step = altering.step
        found = altering.column(table, name)
        if not found.identity:
            if not command.missing_ok:
                altering.refuse("55000", "not-identity", table, column=name)
            return
        relation = altering.relation(table)
        sequence = _sequence_of(altering, table, name)
        step.put(relation.with_column(replace(found, identity="")))
        step.effects.lock(sequence.name, ACCESS_EXCLUSIVE)
        step.schema = step.schema.without(sequence.name)

    altering.later(Pass.DROP, act)


ACTIONS: Mapping[str, Action] = {
    "AT_AddIdentity": Action(prepare=_prepare_add),
    "AT_SetIdentity": Action(prepare=_prepare_set),
    "AT_DropIdentity": Action(prepare=_prepare_drop),
}
