"""PARTITION OF, ATTACH and DETACH PARTITION."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import (
    ACCESS_EXCLUSIVE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
)
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS, Action, Altering, Pass
from opsmigrate.preflight.interpret.commands.identity import IDENTITY_OF_PARTITIONS
from opsmigrate.preflight.interpret.commands.inheriting import with_parent, without_parent
from opsmigrate.preflight.interpret.commands.partition_bounds import (
    DEFAULT,
    new_bound,
    require_bound,
)
from opsmigrate.preflight.interpret.commands.triggers import ROW
from opsmigrate.preflight.interpret.dependents import owning_constraint
from opsmigrate.preflight.interpret.effects import Question, UnknownError
from opsmigrate.preflight.interpret.inheritance import children_of, descendants_of
from opsmigrate.preflight.interpret.lookup import opened, relation_of
from opsmigrate.preflight.interpret.made_names import (
    has_constraint,
    parts_of_index_name,
    relation_name,
)
from opsmigrate.preflight.interpret.schema import Column, Constraint, Index, Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.expressions import columns_used_by, same_expression
from opsmigrate.sql.names import Name

# Before, at least in 14, DETACH takes the parts of a partition's own key for those of its table.
TELLS_KEYS_APART = 160_000
WRONG_KIND_FIRST = 180_000


def partition(step: Step, node: Any, table: Relation) -> Relation:
    """Return the new table with what PARTITION OF gives it; the schema has it then."""
    parent = relation_of(step, node.inh_relations[0].range_var)
    if parent.kind not in "rpf":
        step.refuse("42809", "wrong-kind", relation=parent.name)
    _require_keys(step, parent, node)
    if step.schema.is_taken(table.name):
        step.refuse("42P07", "name-taken", relation=table.name)
    if table.name in step.schema.types:
        step.refuse("42710", "name-taken", relation=table.name)
    if parent.kind != "p":
        step.refuse("42P17", "not-partitioned", relation=parent.name)
    step.effects.need("OWNER", "relation", parent.name)
    _need_functions(step, parent)
    if node.table_elts:
        raise UnknownError("a partition with columns of its own", table.name, parent.name)
    step.effects.lock(parent.name, ACCESS_EXCLUSIVE)
    bound = new_bound(step, parent, table.name, node.partbound)
    columns = sorted(parent.columns.values(), key=lambda each: each.number)
    table = replace(
        table,
        parents=(parent.name,),
        bound=bound,
        columns={
            each.name: _inherited(step, each, number) for number, each in enumerate(columns, 1)
        },
        last_number=len(columns),
        constraints={
            each.name: replace(each, local=False, parents=1, validated=each.enforced)
            for each in parent.constraints.values()
            if each.kind in "cn"
        },
    )
    step.put(table)
    for index in parent.indexes.values():
        _clone_index(step, parent, table.name, index)
    _clone_keys(step, parent, table.name)
    _clone_triggers(step, parent, table.name)
    return step.known(table.name)


def _require_keys(step: Step, parent: Relation, node: Any) -> None:
    """Refuse keys of its own on columns that there are not (transformIndexConstraint)."""
    for each in node.table_elts:
        for key in each.constraint.keys if each.WhichOneof("node") == "constraint" else ():
            name = as_stored(key.string.sval)
            if name not in parent.columns and name not in SYSTEM_COLUMNS:
                step.refuse("42703", "missing-column", relation=parent.name, column=name)


def _inherited(step: Step, column: Column, number: int) -> Column:
    kept = step.schema.version >= IDENTITY_OF_PARTITIONS
    identity = column.identity if kept else ""
    return replace(column, number=number, local=False, parents=1, identity=identity)


def _clone_index(step: Step, parent: Relation, table: Name, index: Index) -> None:
    if not index.named and any(key.column is None for key in index.keys):
        raise UnknownError("an index with an expression", table, parent.name)
    own = owning_constraint(parent, index.name)
    column, label = parts_of_index_name(index, own.kind if own is not None else "")
    if label == "pkey" and any(each.primary for each in step.known(table).indexes.values()):
        step.refuse("42P16", "two-primary-keys", relation=table)
    name = relation_name(step.schema, table, column, label, constraint=own is not None)
    copy = replace(
        index,
        name=name,
        parent=Name(parent.name.schema, index.name),
        valid=True,
        replica_identity=False,
        clustered=False,
    )
    step.effects.builds.add(Name(table.schema, name))
    made = step.known(table).with_index(copy)
    if own is not None:
        made = made.with_constraint(
            replace(
                own, name=name, index=name, local=False, parents=1, parent=(parent.name, own.name)
            )
        )
    step.put(made)
    for child in children_of(step.schema, table):
        _clone_index(step, step.known(table), child, copy)


def _clone_keys(step: Step, parent: Relation, table: Name) -> None:
    for key in parent.constraints.values():
        if key.kind != "f" or key.target is None:
            continue
        if key.target == table:
            step.refuse("0A000", "referenced-by-the-parent", relation=table, name=key.name)
        if step.known(key.target).kind == "p":
            raise UnknownError("a foreign key among partitioned tables", table, parent.name)
        step.effects.lock(key.target, SHARE_ROW_EXCLUSIVE)
        own = step.known(table)
        if any(_same_key(key, each) for each in own.constraints.values()):
            raise UnknownError("a foreign key like the parent's", table, parent.name)
        if key.name in own.constraints:
            raise UnknownError("a constraint with the name of the parent's", table, parent.name)
        step.put(
            own.with_constraint(
                replace(key, local=False, parents=1, parent=(parent.name, key.name))
            )
        )
        step.effects.questions.append(
            Question(
                sqlstate="23503",
                kind="foreign-key",
                relation=table,
                columns=key.columns,
                target=key.target,
                to_columns=key.to_columns,
            )
        )


def _same_key(one: Constraint, other: Constraint) -> bool:
    return other.kind == "f" and (one.columns, one.target) == (other.columns, other.target)


def _need_functions(step: Step, parent: Relation) -> None:
    """Note that the functions of the triggers that a partition gets may be called."""
    for each in parent.triggers.values():
        if each.type & ROW:
            step.effects.need("EXECUTE", "function", each.function)


def _clone_triggers(step: Step, parent: Relation, table: Name) -> None:
    own = step.known(table)
    copies = {
        each.name: replace(each, parent=parent.name, constraint_name="")
        for each in parent.triggers.values()
        if each.type & ROW
    }
    if taken := copies.keys() & own.triggers.keys():
        step.refuse("42710", "name-taken", relation=table, name=min(taken))
    for name, each in copies.items():
        if each.constraint and has_constraint(own, name):
            step.refuse("23505", "name-taken", relation=table, name=name)
    step.put(replace(own, triggers={**own.triggers, **copies}))


def _partitioned(altering: Altering, table: Name) -> Relation:
    if altering.step.schema.version < WRONG_KIND_FIRST and altering.relation(table).kind == "r":
        altering.refuse("42P17", "not-partitioned", table)
    return altering.allow(table, "p")


def _attach(altering: Altering, table: Name, command: Any) -> None:
    step, given = altering.step, getattr(command, "def").partition_cmd
    parent = _partitioned(altering, table)
    require_bound(step, parent, given.bound)
    child = relation_of(step, given.name)
    step.effects.lock(child.name, ACCESS_EXCLUSIVE)
    step.effects.need("OWNER", "relation", child.name)
    if child.of_type is not None:
        step.refuse("42809", "typed-table", relation=child.name)
    if child.kind not in "rp" or child.bound is not None or child.parents:
        step.refuse("42809", "wrong-kind", relation=child.name)
    if child.kind == "r" and children_of(step.schema, child.name):
        step.refuse("42809", "has-children", relation=child.name)
    if (child.persistence == "t") != (parent.persistence == "t"):
        step.refuse("42809", "other-persistence", relation=child.name)
    if child.kind == "p":
        raise UnknownError("ATTACH of a partitioned table", child.name, table)
    _require_columns(step, parent, child)
    bound = new_bound(step, parent, child.name, given.bound)
    altering.later(Pass.MISCELLANEOUS, lambda: _attached(step, parent, child, bound))


def _require_columns(step: Step, parent: Relation, child: Relation) -> None:
    for each in sorted(child.columns.values(), key=lambda one: one.number):
        if each.identity and step.schema.version >= IDENTITY_OF_PARTITIONS:
            step.refuse("55000", "identity-column", relation=child.name, column=each.name)
        if each.name not in parent.columns:
            step.refuse("42804", "column-too-many", relation=child.name, column=each.name)


def _attached(step: Step, parent: Relation, child: Relation, bound: str) -> None:
    child = with_parent(step, parent, child)
    if step.schema.version >= IDENTITY_OF_PARTITIONS:
        for each in parent.columns.values():
            own = child.columns[each.name]
            child = child.with_column(replace(own, identity=each.identity))
    step.put(replace(child, bound=bound))
    step.effects.scans.add(child.name)
    step.effects.questions.append(Question(sqlstate="23514", kind="partition", relation=child.name))
    for index in parent.indexes.values():
        _attach_index(step, parent, child.name, index)
    _clone_keys(step, parent, child.name)
    _need_functions(step, parent)
    _clone_triggers(step, parent, child.name)


def _attach_index(step: Step, parent: Relation, table: Name, index: Index) -> None:
    child = step.known(table)
    own = owning_constraint(parent, index.name)
    for each in child.indexes.values():
        theirs = owning_constraint(child, each.name)
        kinds = [None if key is None else key.kind for key in (own, theirs)]
        if each.parent is None and _alike(index, each) and kinds[0] in (None, kinds[1]):
            child = child.with_index(replace(each, parent=Name(parent.name.schema, index.name)))
            if own is not None and theirs is not None:
                child = child.with_constraint(
                    replace(theirs, local=False, parents=1, parent=(parent.name, own.name))
                )
            step.put(child)
            return
    _clone_index(step, parent, table, index)


def _alike(one: Index, other: Index) -> bool:
    """Return whether an index may belong to another (CompareIndexInfo)."""
    facts = ("include", "method", "unique", "nulls_distinct")
    if one.exclusion or not other.valid:
        return False
    if any(getattr(one, fact) != getattr(other, fact) for fact in facts):
        return False
    bare = [
        [replace(key, expression=None, descending=False, nulls_first=False) for key in each.keys]
        for each in (one, other)
    ]
    written = [[each.predicate, *(key.expression for key in each.keys)] for each in (one, other)]
    if bare[0] != bare[1] or any((a is None) != (b is None) for a, b in zip(*written, strict=True)):
        return False
    if all(same_expression(a, b) for a, b in zip(*written, strict=True)):
        return True
    if all(a is None or _names(a) != _names(b) for a, b in zip(*written, strict=True)):
        return False
    # They may be the same all the same, once casts are looked at.
    raise UnknownError("whether two expressions of indexes are the same")


def _names(expression: str | None) -> tuple[str, ...]:
    return columns_used_by(expression or "true")


def _detach(altering: Altering, table: Name, command: Any) -> None:
    step, given = altering.step, getattr(command, "def").partition_cmd
    parent = _partitioned(altering, table)
    child = opened(step, given.name)
    if given.concurrent:
        raise UnknownError("DETACH PARTITION CONCURRENTLY", child.name, table)
    step.effects.lock(child.name, ACCESS_EXCLUSIVE)
    for each in children_of(step.schema, table):
        if step.known(each).bound == DEFAULT:
            step.effects.lock(each, ACCESS_EXCLUSIVE)
    if table not in child.parents:
        step.refuse("42P01", "no-partition-of-it", relation=child.name)
    if any(
        key.target == table
        for each in step.schema.relations.values()
        for key in each.constraints.values()
    ):
        raise UnknownError("a partitioned table with foreign keys to it", child.name, table)
    altering.later(Pass.MISCELLANEOUS, lambda: _detached(step, parent, child))


def _without_clones(step: Step, child: Name) -> None:
    """What is below a partition loses the triggers that it had from above it, too."""
    for name in descendants_of(step.schema, child):
        own = step.known(name)
        kept = {key: each for key, each in own.triggers.items() if each.parent is None}
        step.put(replace(own, triggers=kept))


def _detached(step: Step, parent: Relation, child: Relation) -> None:
    below = children_of(step.schema, child.name)
    copies = [each for each in child.constraints.values() if each.kind == "f" and each.parent]
    # Others are below a key of its own, to a partitioned table.
    keys = [key for key in copies if key.parent is not None and key.parent[0] == parent.name]
    if len(keys) < len(copies) and step.schema.version < TELLS_KEYS_APART:
        raise UnknownError("a partition's own key to a partitioned table", child.name, parent.name)
    if any(each.parent == parent.name for each in child.triggers.values()):
        if any(each.parent is None for each in child.triggers.values()) and below:
            raise UnknownError("triggers of a partition and of its parent", child.name)
        _without_clones(step, child.name)
    for name in descendants_of(step.schema, child.name) if child.kind == "p" else ():
        step.effects.lock(name, ACCESS_EXCLUSIVE)
    for target in (key.target for key in keys if key.target is not None):
        if step.known(target).kind == "p" and children_of(step.schema, target):
            raise UnknownError("a foreign key to a partitioned table", child.name, parent.name)
        step.effects.lock(target, SHARE_ROW_EXCLUSIVE)
    child = without_parent(parent, child)
    keeps = step.schema.version < IDENTITY_OF_PARTITIONS
    step.put(
        replace(
            child,
            bound=None,
            columns={
                name: replace(each, identity=each.identity if keeps else "")
                for name, each in child.columns.items()
            },
            indexes={name: replace(each, parent=None) for name, each in child.indexes.items()},
            triggers={
                name: each for name, each in child.triggers.items() if each.parent != parent.name
            },
        )
    )


ACTIONS: Mapping[str, Action] = {
    "AT_AttachPartition": Action(prepare=_attach, lock=SHARE_UPDATE_EXCLUSIVE),
    "AT_DetachPartition": Action(prepare=_detach, lock=ACCESS_EXCLUSIVE),
}
