"""CREATE INDEX, and the indexes that constraints make for themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opsmigrate.postgres.lock_modes import SHARE, SHARE_UPDATE_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.commands.exclusion import require_operators
from opsmigrate.preflight.interpret.commands.index_keys import (
    expressions_hold,
    included,
    keys_of,
    predicate_is_immutable,
    predicate_of,
    require_stored,
)
from opsmigrate.preflight.interpret.commands.index_options import require_option
from opsmigrate.preflight.interpret.effects import Question, Right, UnknownError
from opsmigrate.preflight.interpret.index_methods import METHODS
from opsmigrate.preflight.interpret.inheritance import children_of, descendants_of
from opsmigrate.preflight.interpret.lookup import relation_of
from opsmigrate.preflight.interpret.made_names import (
    constraint_names,
    has_constraint,
    of_columns,
    relation_name,
    told_apart,
)
from opsmigrate.preflight.interpret.partition_keys import require_partition_key
from opsmigrate.preflight.interpret.schema import Constraint, Index, Key, Relation
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.preflight.interpret.values import ask_index
from opsmigrate.sql.expressions import same_expression
from opsmigrate.sql.names import Name
from opsmigrate.sql.shown_names import shown_name

MOST_COLUMNS = 32
# The name by which old dumps call gist (DefineIndex).
FORMER_METHODS = {"rtree": "gist"}


@dataclass(kw_only=True)
class Wanted:
    """An index that a statement wants; `kind` is the contype of its constraint, "" for none."""

    name: str = ""
    elements: Sequence[Any] = ()
    include: Sequence[Any] = ()
    method: str = "btree"
    unique: bool = False
    kind: str = ""
    operators: tuple[str, ...] = ()
    where: Any = None
    deferrable: bool = False
    deferred: bool = False
    nulls_distinct: bool = True
    options: Sequence[Any] = ()
    if_not_exists: bool = False
    only: bool = False
    # Of the partitioned table whose index it belongs to: (table, index).
    parent: tuple[Name, str] | None = None
    names: list[str] = field(default_factory=list)


def create_index(step: Step, node: Any) -> None:
    """Do what `node`, an IndexStmt, says."""
    table = relation_of(step, node.relation)
    mode = SHARE_UPDATE_EXCLUSIVE if node.concurrent else SHARE
    step.effects.lock(table.name, mode)
    step.effects.concurrently = bool(node.concurrent)
    step.effects.rights.append(Right(privilege="OWNER", object_kind="relation", name=table.name))
    only = not node.relation.inh
    if table.kind == "p" and not only:
        for each in descendants_of(step.schema, table.name):
            step.effects.lock(each, mode)
            if node.unique:
                _require_no_foreign(step, step.known(each))
    wanted = Wanted(
        name=as_stored(node.idxname),
        elements=[each.index_elem for each in node.index_params],
        include=[each.index_elem for each in node.index_including_params],
        method=node.access_method or "btree",
        unique=node.unique,
        where=node.where_clause if node.HasField("where_clause") else None,
        nulls_distinct=not node.nulls_not_distinct,
        options=node.options,
        if_not_exists=node.if_not_exists,
        only=only,
    )
    look(step, table, wanted)
    if table.kind == "p" and node.concurrent:
        step.refuse("0A000", "concurrently-partitioned", relation=table.name)
    build_index(step, table.name, wanted)


def look(step: Step, table: Relation, wanted: Wanted) -> None:
    """Refuse what is wrong with expressions and predicate, before anything else is looked at."""
    if wanted.where is not None:
        predicate_of(step, table, wanted.where)
    expressions_hold(step, table, wanted.elements)


def build_index(step: Step, name: Name, wanted: Wanted) -> Index | None:
    """Give a table the index, and its constraint if it has one; None where it has it already.

    The checks in the order of DefineIndex() in indexcmds.c.
    """
    table = step.known(name)
    if len(wanted.elements) + len(wanted.include) > MOST_COLUMNS:
        step.refuse("54011", "too-many-columns", relation=name)
    if table.kind not in "rmp":
        step.refuse("42809", "wrong-kind", relation=name, name=table.kind)
    step.effects.rights.append(Right(privilege="CREATE", object_kind="schema", name=(name.schema,)))
    chosen = wanted.name or chosen_index_name(step, name, wanted)
    method = _method(step, wanted)
    _require_features(step, wanted, method)
    if wanted.where is not None:
        predicate_is_immutable(step, table, wanted.where)
    _require_options(step, wanted, method)
    keys, types = keys_of(step, table, wanted.elements, method)
    if wanted.kind == "x":
        pairs = tuple(zip(keys, types, strict=True))
        require_operators(step, table, method, pairs, wanted.operators)
    include = included(step, table, wanted.include)
    _require_one_of_a_kind(step, table, keys, wanted)
    require_stored(step, table, (*wanted.elements, *wanted.include), wanted.where)
    if step.schema.is_taken(Name(name.schema, chosen)):
        if wanted.if_not_exists:
            return None
        step.refuse("42P07", "name-taken", relation=name, name=chosen)
    if wanted.kind and has_constraint(table, chosen):
        step.refuse("42710", "constraint-name-taken", relation=name, name=chosen)
    index = Index(
        name=chosen,
        keys=keys,
        include=include,
        method=method,
        unique=wanted.unique,
        primary=wanted.kind == "p",
        exclusion=wanted.kind == "x",
        immediate=not wanted.deferrable,
        nulls_distinct=wanted.nulls_distinct,
        predicate=predicate_of(step, table, wanted.where) if wanted.where is not None else None,
        parent=Name(wanted.parent[0].schema, wanted.parent[1]) if wanted.parent else None,
        valid=table.kind != "p" or not wanted.only or not children_of(step.schema, name),
    )
    _put(step, table, index, wanted)
    whole = table.kind == "p" and not wanted.only
    if whole and not _build_on_partitions(step, name, index, wanted):
        index = replace(index, valid=False)
        step.put(step.known(name).with_index(index))
    return index


def _require_one_of_a_kind(
    step: Step, table: Relation, keys: Sequence[Key], wanted: Wanted
) -> None:
    if wanted.kind == "p" and any(each.primary for each in table.indexes.values()):
        # Of a partition, which may have one where its table has none.
        step.refuse("42P16", "two-primary-keys", relation=table.name)
    if table.kind == "p" and (wanted.unique or wanted.kind == "x"):
        require_partition_key(step, table, keys, wanted.operators)


def chosen_index_name(step: Step, table: Name, wanted: Wanted) -> str:
    """Return the name that PostgreSQL gives an index without one (ChooseIndexName)."""
    names = [
        as_stored(each.indexcolname or each.name) or shown_name(each.expr) or "expr"
        for each in (*wanted.elements, *wanted.include)
    ]
    labels = {"p": "pkey", "x": "excl", "u": "key", "": "idx"}
    columns = "" if wanted.kind == "p" else of_columns(told_apart(names))
    return relation_name(
        step.schema, table, columns, labels[wanted.kind], constraint=bool(wanted.kind)
    )


def _method(step: Step, wanted: Wanted) -> str:
    method = FORMER_METHODS.get(wanted.method, wanted.method)
    if method not in METHODS:
        if method in step.schema.system.classes:
            raise UnknownError(f"an index by {method}")
        step.refuse("42704", "missing-method", name=method)
    return method


def _require_features(step: Step, wanted: Wanted, method: str) -> None:
    can = METHODS[method]
    for asked, able, kind in (
        (wanted.unique, can.unique, "unique-not-supported"),
        (bool(wanted.include), can.include, "include-not-supported"),
        (len(wanted.elements) > 1, can.several, "several-not-supported"),
        (wanted.kind == "x", can.exclusion, "exclusion-not-supported"),
    ):
        if asked and not able:
            step.refuse("0A000", kind, name=method)


def _require_options(step: Step, wanted: Wanted, method: str) -> None:
    for each in wanted.options:
        require_option(step, method, each.def_elem)


def _put(step: Step, table: Relation, index: Index, wanted: Wanted) -> None:
    changed = table.with_index(index)
    columns = tuple(each.column for each in index.keys if each.column)
    if wanted.kind:
        changed = changed.with_constraint(
            Constraint(
                name=index.name,
                kind=wanted.kind,
                columns=columns,
                deferrable=wanted.deferrable,
                deferred=wanted.deferred,
                index=index.name,
                operators=wanted.operators,
                no_inherit=False,
                local=wanted.parent is None,
                parents=int(wanted.parent is not None),
                parent=wanted.parent,
            )
        )
    step.put(changed)
    if table.kind == "p":
        return
    step.effects.builds.add(Name(table.name.schema, index.name))
    step.effects.scans.add(table.name)
    ask_index(step, table, index)
    if wanted.unique or wanted.kind == "x":
        step.effects.questions.append(
            Question(
                sqlstate="23P01" if wanted.kind == "x" else "23505",
                kind="exclusion" if wanted.kind == "x" else "unique",
                relation=table.name,
                columns=columns,
                expression=index.predicate,
            )
        )


def _build_on_partitions(step: Step, name: Name, index: Index, wanted: Wanted) -> bool:
    """Give each partition its own, or take one that is there; return whether all are valid."""
    valid = True
    for child in children_of(step.schema, name):
        partition = step.known(child)
        if wanted.unique:
            _require_no_foreign(step, partition)
        if partition.kind == "f":
            continue
        found = next(
            (each for each in partition.indexes.values() if _alike(partition, each, index, wanted)),
            None,
        )
        if found is None:
            found = build_index(
                step,
                child,
                replace(wanted, name="", parent=(name, index.name), if_not_exists=False),
            )
        else:
            _attach(step, partition, found, (name, index.name), wanted)
        valid = valid and found is not None and found.valid
    return valid


def _require_no_foreign(step: Step, partition: Relation) -> None:
    if partition.kind == "f":
        step.refuse("42809", "foreign-partition", relation=partition.name)


def _alike(partition: Relation, one: Index, other: Index, wanted: Wanted) -> bool:
    """Return whether an index of a partition may belong to that of its table (CompareIndexInfo)."""
    if one.parent is not None or one.exclusion:
        return False
    # A key that is unique does for a primary one, and the other way round.
    if wanted.kind and one.name not in partition.constraints:
        return False
    return (
        (one.method, one.unique, one.nulls_distinct, one.include)
        == (other.method, other.unique, other.nulls_distinct, other.include)
        and len(one.keys) == len(other.keys)
        and same_expression(one.predicate, other.predicate)
        and all(map(_same_key, one.keys, other.keys))
    )


def _same_key(one: Key, other: Key) -> bool:
    return (
        one.column == other.column
        and same_expression(one.expression, other.expression)
        and (one.operator_class, one.collation) == (other.operator_class, other.collation)
    )


def _attach(
    step: Step, partition: Relation, index: Index, parent: tuple[Name, str], wanted: Wanted
) -> None:
    changed = partition.with_index(replace(index, parent=Name(parent[0].schema, parent[1])))
    if wanted.kind:
        own = partition.constraints[index.name]
        changed = changed.with_constraint(
            replace(own, parent=parent, local=False, parents=own.parents + 1)
        )
    step.put(changed)


def is_free(step: Step, table: Name, name: str) -> bool:
    """Return whether no constraint of the table's schema has this name."""
    return name not in constraint_names(step.schema, table.schema)


COMMANDS: Mapping[str, Command] = {"index_stmt": create_index}
