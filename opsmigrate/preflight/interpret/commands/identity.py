"""Identity columns: ADD GENERATED … AS IDENTITY, SET GENERATED, DROP IDENTITY."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from opsmigrate.preflight.interpret.inheritance import descendants_of
from opsmigrate.preflight.interpret.schema import Relation
from opsmigrate.sql.names import Name

IDENTITY_OF_PARTITIONS = 170_000


def _require_whole(altering: Altering, table: Name, column: str) -> None:
    """Refuse a partition alone, or its table without it, where they have one identity."""
    relation = altering.relation(table)
    alone = relation.bound is not None or (relation.kind == "p" and altering.only)
    if alone and altering.step.schema.version >= IDENTITY_OF_PARTITIONS:
        altering.refuse("42P16", "of-the-whole-table", table, column=column)


def _family(altering: Altering, table: Name, column: str) -> tuple[Name, ...]:
    """Return the tables whose column it is: from 17 on, partitions have their table's identity."""
    _require_whole(altering, table, column)
    relation = altering.relation(table)
    if altering.step.schema.version < IDENTITY_OF_PARTITIONS:
        return (table,)
    family = (table, *descendants_of(altering.step.schema, table)) if relation.kind == "p" else ()
    for each in family:
        altering.step.effects.lock(each, altering.mode)
    return family or (table,)


def _prepare_add(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpvf")
    name = as_stored(command.name)
    node = getattr(command, "def").constraint

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
        altering.column(table, name)
        for each in _family(altering, table, name):
            _add_to(altering, each, name, node.generated_when)
        if sequence is not None and sequence.sequence is not None:
            owned = replace(sequence.sequence, owner=(table, name), internal=True)
            step.put(replace(sequence, sequence=owned))

    altering.later(Pass.ADD_OTHER, act)


def _add_to(altering: Altering, table: Name, name: str, kind: str) -> None:
    relation = altering.relation(table)
    found = altering.column(table, name)
    said = not_null_of(relation, name)
    for wrong, word in (
        (not found.not_null, "not-not-null"),
        (said is not None and not said.validated, "not-valid"),
        (found.identity, "identity"),
        (found.default is not None, "default-and-identity"),
    ):
        if wrong:
            altering.refuse("55000", word, table, column=name)
    altering.step.put(relation.with_column(replace(found, identity=kind)))


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

    def act() -> None:
        if name not in SYSTEM_COLUMNS:
            # It is looked up before all else (transformAlterTableStmt).
            altering.column(table, name)
        family = _family(altering, table, name)
        for each in family:
            if not altering.column(each, name).identity:
                altering.refuse("55000", "not-identity", each, column=name)
        sequence = _sequence_of(altering, table, name)
        altering.step.effects.lock(sequence.name, SHARE_ROW_EXCLUSIVE)
        for option in options:
            if option.defname == "generated":
                _become(altering, family, name, chr(option.arg.integer.ival))
            else:
                _set_option(sequence, option)

    altering.later(Pass.MISCELLANEOUS, act)


def _become(altering: Altering, family: Iterable[Name], name: str, kind: str) -> None:
    for each in family:
        relation = altering.relation(each)
        own = relation.columns[name]
        altering.step.put(relation.with_column(replace(own, identity=kind)))


def _set_option(sequence: Relation, option: Any) -> None:
    if option.defname != "restart":
        raise UnknownError(f"{option.defname} of an identity", sequence.name)


def _prepare_drop(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpvf")
    name = as_stored(command.name)

    def act() -> None:
        step = altering.step
        _require_whole(altering, table, name)
        if not altering.column(table, name).identity:
            if not command.missing_ok:
                altering.refuse("55000", "not-identity", table, column=name)
            return
        family = _family(altering, table, name)
        sequence = _sequence_of(altering, table, name)
        _become(altering, family, name, "")
        step.effects.lock(sequence.name, ACCESS_EXCLUSIVE)
        step.schema = step.schema.without(sequence.name)

    altering.later(Pass.DROP, act)


ACTIONS: Mapping[str, Action] = {
    "AT_AddIdentity": Action(prepare=_prepare_add),
    "AT_SetIdentity": Action(prepare=_prepare_set),
    "AT_DropIdentity": Action(prepare=_prepare_drop),
}
