"""FOREIGN KEY: the unique index it rests on, the operators, the locks of both tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from opsmigrate.postgres.lock_modes import SHARE_ROW_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS
from opsmigrate.preflight.interpret.coercion import POLYMORPHIC, base_type, how
from opsmigrate.preflight.interpret.effects import Question, Right, UnknownError
from opsmigrate.preflight.interpret.index_methods import default_class, equality, named_class
from opsmigrate.preflight.interpret.inheritance import children_of, descendants_of
from opsmigrate.preflight.interpret.lookup import relation_of
from opsmigrate.preflight.interpret.made_names import (
    constraint_name,
    constraint_names,
    has_constraint,
    of_columns,
)
from opsmigrate.preflight.interpret.schema import Constraint, Index, Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.names import Name

KNOWS_NOT_VALID_OF_PARTITIONED = 180_000
NUMBERS_NAMES = 180_000
MOST_COLUMNS = 32
SETS_NULL_OR_DEFAULT = "nd"


def add_foreign_key(step: Step, name: Name, node: Any, *, only: bool, validate: bool) -> None:
    """Add a foreign key to a table, in the order of ATAddForeignKeyConstraint() in tablecmds.c.

    `validate` says that rows are there which it may not hold for.
    """
    table = step.known(name)
    if node.fk_with_period or node.pk_with_period:
        raise UnknownError("a foreign key with PERIOD")
    columns = tuple(as_stored(each.string.sval) for each in node.fk_attrs)
    chosen = as_stored(node.conname)
    if chosen and has_constraint(table, chosen):
        step.refuse("42710", "constraint-name-taken", relation=name, name=chosen)
    if not chosen:
        chosen = constraint_name(step.schema, name, of_columns(columns), "fkey")
    target = relation_of(step, node.pktable)
    step.effects.lock(target.name, SHARE_ROW_EXCLUSIVE)
    table = step.known(name)
    _require_tables(step, table, target, node, only=only)
    _require_columns(step, table, columns)
    to_columns, index = _index_of(step, target, node)
    step.effects.rights.append(
        Right(privilege="REFERENCES", object_kind="relation", name=target.name, columns=to_columns)
    )
    need_of_owner(step, target)
    _require_stored(step, table, columns, node)
    if len(columns) != len(to_columns):
        step.refuse("42830", "other-number-of-columns", relation=name)
    _require_operators(step, table, columns, target, (to_columns, index))
    made = Constraint(
        name=chosen,
        kind="f",
        columns=columns,
        target=target.name,
        to_columns=to_columns,
        on_update=node.fk_upd_action or "a",
        on_delete=node.fk_del_action or "a",
        match=node.fk_matchtype or "s",
        deferrable=node.deferrable,
        deferred=node.initdeferred,
        validated=not node.skip_validation or bool(node.initially_valid),
        enforced=bool(node.is_enforced),
        index=index.name,
    )
    _put(step, table, made, validate=validate)


def need_of_owner(step: Step, table: Relation) -> None:
    """Note that a table's owner has to find it: rows are compared in his name (ri_PerformCheck).

    And to read and lock its rows, which he may have taken from himself.
    """
    if table.owner == step.schema.role:
        return
    for privilege, kind, name in (
        ("USAGE", "schema", (table.name.schema,)),
        ("SELECT", "relation", table.name),
        ("UPDATE", "relation", table.name),
    ):
        right = Right(privilege=privilege, object_kind=kind, name=tuple(name), role=table.owner)
        step.effects.may_need(right)


def _require_tables(
    step: Step, table: Relation, target: Relation, node: Any, *, only: bool
) -> None:
    about = {"relation": table.name, "name": target.name.name}
    not_valid = node.skip_validation and not node.initially_valid and node.is_enforced
    if table.kind == "p":
        if only:
            step.refuse("42809", "only-of-partitioned", **about)
        if not_valid and step.schema.version < KNOWS_NOT_VALID_OF_PARTITIONED:
            step.refuse("42809", "not-valid-of-partitioned", **about)
    if target.kind not in "rp":
        step.refuse("42809", "wrong-kind", **about)
    if table.persistence != target.persistence and table.persistence == "p":
        step.refuse("42P16", "other-persistence", **about)
    if target.name in descendants_of(step.schema, table.name) and table.kind == "p":
        raise UnknownError("a foreign key to a partition of its own", table.name, target.name)
    if target.kind == "p" and children_of(step.schema, target.name):
        raise UnknownError("a foreign key to a partitioned table", table.name, target.name)


def _require_columns(step: Step, table: Relation, columns: Sequence[str]) -> None:
    for name in columns:
        if name in SYSTEM_COLUMNS:
            step.refuse("0A000", "system-column", relation=table.name, column=name)
        if name not in table.columns:
            step.refuse("42703", "missing-column", relation=table.name, column=name)
    if len(columns) > MOST_COLUMNS:
        step.refuse("54011", "too-many-columns", relation=table.name)


def _index_of(step: Step, target: Relation, node: Any) -> tuple[tuple[str, ...], Index]:
    """Return the columns that are referred to, and the unique index on them."""
    if not node.pk_attrs:
        index = next((each for each in target.indexes.values() if each.primary), None)
        if index is None or not index.valid:
            step.refuse("42704", "no-primary-key", relation=target.name)
        if not index.immediate:
            step.refuse("55000", "deferrable-index", relation=target.name, name=index.name)
        return tuple(key.column or "" for key in index.keys), index
    named = tuple(as_stored(each.string.sval) for each in node.pk_attrs)
    _require_columns(step, target, named)
    if len(set(named)) < len(named):
        step.refuse("42830", "column-twice", relation=target.name)
    suiting = [each for each in target.indexes.values() if _suits(each, named)]
    if not suiting:
        step.refuse("42830", "no-unique-index", relation=target.name)
    index = next((each for each in suiting if each.immediate), None)
    if index is None:
        step.refuse("55000", "deferrable-index", relation=target.name)
    return named, index


def _suits(index: Index, columns: Sequence[str]) -> bool:
    return (
        index.unique
        and index.valid
        and index.predicate is None
        and all(key.column for key in index.keys)
        and len(index.keys) == len(columns)
        and {key.column for key in index.keys} == set(columns)
    )


def _require_stored(step: Step, table: Relation, columns: Sequence[str], node: Any) -> None:
    """Refuse what would write to a generated column, or read one that is not stored."""
    for name in columns:
        generated = table.columns[name].generated
        if not generated:
            continue
        writes = node.fk_upd_action in ("n", "d", "c") or node.fk_del_action in ("n", "d")
        if writes:
            step.refuse("42601", "generated-column", relation=table.name, column=name)
        if generated == "v":
            step.refuse("0A000", "virtual-column", relation=table.name, column=name)
    for each in node.fk_del_set_cols:
        name = as_stored(each.string.sval)
        if name not in table.columns:
            step.refuse("42703", "missing-column", relation=table.name, column=name)
        if name not in columns:
            step.refuse("42P10", "not-of-the-key", relation=table.name, column=name)


def _require_operators(
    step: Step,
    table: Relation,
    columns: Sequence[str],
    target: Relation,
    on: tuple[Sequence[str], Index],
) -> None:
    to_columns, index = on
    for name, other in zip(columns, to_columns, strict=True):
        key = next(each for each in index.keys if each.column == other)
        ours, theirs = table.columns[name].type, target.columns[other].type
        classes = tuple(key.operator_class) if key.operator_class else None
        if not _comparable(step, ours, theirs, classes):
            step.refuse("42804", "not-comparable", relation=table.name, column=name)


def require_comparable(step: Step, table: Relation, made: Constraint) -> None:
    """Refuse a foreign key whose columns cannot be compared with those that they refer to."""
    target = step.known(made.target) if made.target else table
    unique = next((each for each in target.indexes.values() if _suits(each, made.to_columns)), None)
    if unique is None:
        raise UnknownError("the index of a foreign key", table.name)
    _require_operators(step, table, made.columns, target, (made.to_columns, unique))


def _comparable(step: Step, ours: str, theirs: str, classes: tuple[str, ...] | None) -> bool:
    """Return whether a key of one type may refer to another, by the operators of its index."""
    schema = step.schema
    if classes is None:
        found = default_class(schema, "btree", theirs)
    else:
        named = named_class(schema, "btree", list(classes), theirs)
        found = named if not isinstance(named, str) else None
    if found is None:
        raise UnknownError(f"the operators of {theirs}")
    one, other = base_type(schema, ours), base_type(schema, theirs)
    if found.type in POLYMORPHIC:
        return one == other
    if equality(schema, found, one) is not None:
        return True
    return (
        how(schema, ours, found.type, "i") is not None
        and how(schema, theirs, found.type, "i") is not None
    )


def _put(step: Step, table: Relation, made: Constraint, *, validate: bool) -> None:
    step.put(step.known(table.name).with_constraint(made))
    ask_key(step, table, made, validate=validate)
    if table.kind != "p":
        return
    for child in children_of(step.schema, table.name):
        partition = step.known(child)
        step.effects.lock(child, SHARE_ROW_EXCLUSIVE)
        if any(
            each.kind == "f" and each.columns == made.columns
            for each in partition.constraints.values()
        ):
            raise UnknownError("which foreign key of a partition is attached", child, table.name)
        name = made.name
        if name in partition.constraints:
            name = _another(step, child, made)
        inherited = replace(made, name=name, local=False, parents=1, parent=(table.name, made.name))
        _put(step, partition, inherited, validate=validate)


def _another(step: Step, child: Name, made: Constraint) -> str:
    """Return the name of a partition's key where that of the table is taken there."""
    if step.schema.version < NUMBERS_NAMES:
        return constraint_name(step.schema, child, of_columns(made.columns), "fkey")
    taken = constraint_names(step.schema, child.schema)
    return next(name for number in count(1) if (name := f"{made.name}_{number}") not in taken)


def ask_key(step: Step, table: Relation, made: Constraint, *, validate: bool = True) -> None:
    """Note that the rows of both tables are compared.

    One that the plan itself makes is taken for empty: then nothing is looked up in the other.
    """
    if not (validate and made.validated and made.target) or table.kind != "r":
        return
    step.effects.scans |= {table.name} if table.live is None else {table.name, made.target}
    step.effects.questions.append(
        Question(
            sqlstate="23503",
            kind="foreign-key",
            relation=table.name,
            columns=made.columns,
            target=made.target,
            to_columns=made.to_columns,
        )
    )
