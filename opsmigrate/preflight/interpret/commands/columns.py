"""ADD COLUMN, DROP COLUMN and RENAME COLUMN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS, Action, Altering, Pass
from opsmigrate.preflight.interpret.coercion import base_type
from opsmigrate.preflight.interpret.commands.column_definition import (
    Definition,
    column_of,
    default_of,
    is_filled_anew,
    make_sequence,
    next_value,
    read_definition,
)
from opsmigrate.preflight.interpret.commands.constraints import add_constraint
from opsmigrate.preflight.interpret.commands.defaults import is_nothing
from opsmigrate.preflight.interpret.commands.generated import ask_generated
from opsmigrate.preflight.interpret.commands.not_null import set_not_null
from opsmigrate.preflight.interpret.dropping import drop
from opsmigrate.preflight.interpret.effects import Question, UnknownError
from opsmigrate.preflight.interpret.expression_types import Place, typed
from opsmigrate.preflight.interpret.inheritance import children_of, descendants_of
from opsmigrate.preflight.interpret.made_names import relation_name
from opsmigrate.preflight.interpret.partition_keys import columns_in_key
from opsmigrate.preflight.interpret.queries import need_of_functions
from opsmigrate.preflight.interpret.rewriting import require_no_column_of, require_not_within
from opsmigrate.preflight.interpret.schema import Column, Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.preflight.interpret.thing import column as thing_of
from opsmigrate.preflight.interpret.values import (
    ask_domain,
    ask_length,
    has_value,
    may_fail_to_become,
    may_raise,
)
from opsmigrate.sql.grammar import deparse
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label

MOST_COLUMNS = 1600


def _prepare_add(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpf")
    altering.not_typed(table)
    node = getattr(command, "def").column_def

    def act() -> None:
        name = as_stored(node.colname)
        if altering.relation(table).bound is not None:
            altering.refuse("42809", "column-of-a-partition", table, column=name)
        if _is_there(altering, table, name, missing_ok=command.missing_ok):
            return
        definition = read_definition(altering.step, node)
        add_column(altering, table, definition)

    altering.later(Pass.ADD_COLUMN, act)


def _is_there(altering: Altering, table: Name, name: str, *, missing_ok: bool) -> bool:
    if name in SYSTEM_COLUMNS:
        altering.refuse("42701", "system-column", table, column=name)
    if name not in altering.relation(table).columns:
        return False
    if not missing_ok:
        altering.refuse("42701", "column-exists", table, column=name)
    return True


def add_column(altering: Altering, table: Name, definition: Definition) -> None:
    """Add a column to a table and to those that descend from it, and what it says besides."""
    step = altering.step
    relation = altering.relation(table)
    if definition.identity and relation.kind == "p":
        made = relation_name(step.schema, table, definition.name, "seq")
        raise UnknownError("the identity of a partitioned table", table, Name(table.schema, made))
    children = children_of(step.schema, table)
    sequence = None
    if definition.serial or definition.identity:
        if children and definition.identity:
            raise UnknownError("an identity for a table and its descendants", table)
        sequence = make_sequence(step, relation, definition, relation.owner)
    _add_keys(altering, table, definition)
    _add_here(altering, table, definition, local=True)
    if children and altering.only:
        altering.refuse("42P16", "children-too", table, column=definition.name)
    for child in children:
        _add_to_child(altering, child, definition)
    if sequence is not None:
        _own(step, table, definition, sequence)
    if definition.not_null:
        altering.later(Pass.COLUMN_ATTRIBUTES, lambda: _say_not_null(altering, table, definition))
    _add_constraints(altering, table, definition)


def _own(step: Step, table: Name, definition: Definition, sequence: Relation) -> None:
    """Have the column refer to its sequence, and the sequence belong to the column."""
    for each in (table, *descendants_of(step.schema, table)) if definition.serial else ():
        relation = step.known(each)
        column = relation.columns[definition.name]
        step.put(relation.with_column(replace(column, default=next_value(sequence.name))))
    if sequence.sequence is not None:
        owned = replace(
            sequence.sequence,
            owner=(table, definition.name),
            internal=bool(definition.identity),
        )
        step.put(replace(sequence, sequence=owned))


def _add_keys(altering: Altering, table: Name, definition: Definition) -> None:
    """Look at the keys while the column is not there yet, as transformIndexConstraints does."""
    primary = [each for each in definition.keys if label(each, "contype") == "CONSTR_PRIMARY"]
    if len(primary) > 1:
        altering.refuse("42P16", "two-primary-keys", table)


def _add_here(
    altering: Altering, table: Name, definition: Definition, *, local: bool, parents: int = 0
) -> None:
    step = altering.step
    relation = altering.relation(table)
    if len(relation.columns) >= MOST_COLUMNS:
        altering.refuse("54011", "too-many-columns", table)
    column = replace(
        column_of(step, definition, relation.last_number + 1),
        not_null=False,
        local=local,
        parents=parents,
    )
    require_not_within(step, table, column.type)
    step.put(relation.with_column(column))
    ask_domain(step, table, column)
    if definition.default is None:
        if definition.serial or definition.identity or is_filled_anew(step, column.type, None):
            altering.rewrite(table)
        elif definition.not_null and relation.kind == "r":
            step.effects.scans.add(table)
            _ask(step, table, definition.name)
        return
    _add_default(altering, table, column, definition)


def _ask(step: Step, table: Name, column: str) -> None:
    step.effects.questions.append(
        Question(sqlstate="23502", kind="not-null", relation=table, columns=(column,))
    )


def _add_default(altering: Altering, table: Name, column: Column, definition: Definition) -> None:
    step = altering.step
    relation = altering.relation(table)
    value = default_of(step, relation, column, definition.default)
    nothing = is_nothing(step.schema, column, value)
    text = None if nothing else deparse(definition.default)
    step.put(relation.with_column(replace(column, default=text)))
    if column.generated != "v" and not nothing and relation.kind == "r":
        need_of_functions(step, definition.default)
    if column.generated == "s" or (
        not column.generated and is_filled_anew(step, column.type, value)
    ):
        altering.rewrite(table)
        if column.generated:
            ask_generated(step, relation, column, definition.default)
    if not nothing and relation.kind == "r":
        # Whether or not rows are written anew for it (ATRewriteTables).
        altering.later(Pass.ROWS, lambda: require_no_column_of(step, table))
    # It is computed at once; what is volatile, or generated, for each row.
    kind = "cast" if column.generated or value.volatility == "v" else "default"
    if relation.kind == "r" and not column.generated:
        _ask_value(step, relation, column, definition.default, kind)
    if not value.null:
        ask_length(step, table, column, kind)
    if definition.not_null and (column.generated or not has_value(step.schema, definition.default)):
        _ask(step, table, column.name)


def _ask_value(step: Step, table: Relation, column: Column, node: Any, kind: str) -> None:
    value = typed(Place(schema=step.schema, table=None, word="default"), node)
    # Whether a sequence is used up is not asked.
    raises = may_raise(step.schema, node) and "nextval" not in value.calls
    if raises or may_fail_to_become(value.type, base_type(step.schema, column.type)):
        step.effects.questions.append(Question(sqlstate="22", kind=kind, relation=table.name))


def _say_not_null(altering: Altering, table: Name, definition: Definition) -> None:
    """Have the new column say that it has a value; its rows were asked for already."""
    node = definition.not_null_node
    name = as_stored(node.conname) if node is not None else ""
    inheritable = node is None or not (node.is_no_inherit or node.skip_validation)
    if not inheritable:
        raise UnknownError("NOT NULL with words after it", table)
    set_not_null(altering, table, definition.name, name, ask=False)


def _add_to_child(altering: Altering, child: Name, definition: Definition) -> None:
    step = altering.step
    altering.lock(child)
    relation = altering.relation(child)
    known = relation.columns.get(definition.name)
    if known is not None:
        if known.type != definition.type:
            altering.refuse("42804", "other-type", child, column=definition.name)
        if known.collation != definition.collation:
            altering.refuse("42P21", "other-collation", child, column=definition.name)
        if definition.not_null or known.generated or definition.generated:
            raise UnknownError("merging a column into that of a child", child)
        step.put(relation.with_column(replace(known, parents=known.parents + 1)))
        return
    _add_here(altering, child, definition, local=False, parents=1)
    for grandchild in children_of(step.schema, child):
        _add_to_child(altering, grandchild, definition)


def _add_constraints(altering: Altering, table: Name, definition: Definition) -> None:
    """Have the constraints of the column added, each in its pass."""
    has_value = bool(definition.default is not None or definition.serial or definition.identity)
    for each in definition.keys:
        each.keys.add().string.sval = definition.name
    for each in definition.references:
        each.fk_attrs.add().string.sval = definition.name
    for each in (*definition.keys, *definition.checks, *definition.references):
        add_constraint(altering, table, each, validate=has_value)


def _prepare_drop(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpf")
    altering.not_typed(table)
    name = as_stored(command.name)
    cascade = label(command, "behavior") == "DROP_CASCADE"

    def act() -> None:
        found = altering.relation(table).columns.get(name)
        if found is None and command.missing_ok and name not in SYSTEM_COLUMNS:
            return
        altering.column(table, name)
        things = [thing_of(table, name)]
        _drop_column(altering, table, name, things)
        drop(altering.step, things, cascade=cascade)

    altering.later(Pass.DROP, act)


def _drop_column(
    altering: Altering, table: Name, name: str, things: list[Any], *, recursing: bool = False
) -> None:
    """Find the columns of descendants that go along; they are dropped together."""
    relation = altering.relation(table)
    step = altering.step
    if relation.columns[name].parents and not recursing:
        altering.refuse("42P16", "inherited-column", table, column=name)
    if relation.partition_key and name in columns_in_key(relation.partition_key):
        altering.refuse("42P16", "partition-key", table, column=name)
    children = children_of(step.schema, table)
    if children and altering.only and relation.kind == "p":
        altering.refuse("42P16", "children-too", table, column=name)
    for child in children:
        step.effects.lock(child, altering.mode)
        own = altering.relation(child).columns[name]
        if not altering.only and own.parents == 1 and not own.local:
            altering.lock(child)
            things.append(thing_of(child, name))
            _drop_column(altering, child, name, things, recursing=True)
            continue
        _leave_to_child(altering, child, own)


def _leave_to_child(altering: Altering, child: Name, own: Column) -> None:
    """The child's column no longer comes from this parent; its constraints are left as they are."""
    step = altering.step
    relation = altering.relation(child)
    kept = replace(own, parents=own.parents - 1, local=own.local or altering.only)
    step.put(relation.with_column(kept))


ACTIONS: Mapping[str, Action] = {
    "AT_AddColumn": Action(prepare=_prepare_add),
    "AT_DropColumn": Action(prepare=_prepare_drop),
}
