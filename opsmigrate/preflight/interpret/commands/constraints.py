"""ALTER TABLE … ADD, VALIDATE and ALTER CONSTRAINT; DROP has a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import (
    ACCESS_EXCLUSIVE,
    ROW_SHARE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
)
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import Action, Altering, Pass
from opsmigrate.preflight.interpret.commands.checks import add_check, ask_check
from opsmigrate.preflight.interpret.commands.drop_constraint import prepare_drop
from opsmigrate.preflight.interpret.commands.foreign_keys import add_foreign_key, ask_key
from opsmigrate.preflight.interpret.commands.keys import (
    KINDS,
    add_key,
    add_using_index,
    require_not_nulls,
    wanted_key,
)
from opsmigrate.preflight.interpret.commands.not_null import (
    add_not_null,
    ask_not_null,
    is_catalogued,
    not_null_of,
)
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.inheritance import children_of, descendants_of
from opsmigrate.preflight.interpret.made_names import constraint_named
from opsmigrate.preflight.interpret.schema import Constraint
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label

KNOWS_NOT_ENFORCED = 180_000
EXCLUDES_IN_PARTS = 170_000
# Before, the keys below one to a partitioned table stay NOT VALID.
VALIDATES_BELOW = 180_000


def _prepare_add(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpf")
    if is_catalogued(altering.step.schema) and not altering.only:
        # Also where nothing of it comes to the descendants.
        for each in descendants_of(altering.step.schema, table):
            altering.step.known(each)
            altering.step.effects.lock(each, altering.mode)
    node = getattr(command, "def").constraint
    if label(node, "contype") == "CONSTR_PRIMARY" and is_catalogued(altering.step.schema):
        _prepare_not_nulls(altering, table, node)
    altering.later(Pass.ADD_CONSTRAINT, lambda: add_constraint(altering, table, node))


def _prepare_not_nulls(altering: Altering, table: Name, node: Any) -> None:
    """Refuse NOT NULLs that do not do for a primary key (ATPrepAddPrimaryKey)."""
    schema = altering.step.schema
    for key in node.keys:
        column = as_stored(key.string.sval)
        known = not_null_of(altering.relation(table), column)
        if known is not None:
            _require_for_key(altering, table, known)
            continue
        for child in children_of(schema, table) if altering.only else ():
            own = not_null_of(altering.relation(child), column)
            if own is None:
                # An internal error.
                altering.refuse("XX000", "nullable-in-child", child, column=column)
            _require_for_key(altering, child, own)
        # It goes on to the descendants, whatever ONLY says.
        for each in descendants_of(schema, table):
            altering.step.effects.lock(each, altering.mode)


def _require_for_key(altering: Altering, table: Name, known: Constraint) -> None:
    if known.no_inherit or not known.validated:
        altering.refuse("55000", "not-null-unfit-for-key", table, name=known.name)


def add_constraint(altering: Altering, table: Name, node: Any, *, validate: bool = True) -> None:
    """Have a constraint added in the pass of its kind."""
    kind = label(node, "contype")
    if kind in (*KINDS, "CONSTR_FOREIGN") and altering.relation(table).kind == "f":
        altering.refuse("0A000", "constraint-of-foreign-table", table)
    if kind in KINDS and node.indexname:
        altering.later(Pass.ADD_INDEX_CONSTRAINT, lambda: add_using_index(altering, table, node))
    elif kind in KINDS:
        add_index_constraint(altering, table, node)
    elif kind == "CONSTR_CHECK":
        altering.later(Pass.ADD_OTHER, lambda: add_check(altering, table, node))
    elif kind == "CONSTR_FOREIGN":
        altering.later(
            Pass.ADD_OTHER,
            lambda: add_foreign_key(
                altering.step, table, node, only=altering.only, validate=validate
            ),
        )
    else:
        altering.later(Pass.COLUMN_ATTRIBUTES, lambda: add_not_null(altering, table, node))


def add_index_constraint(altering: Altering, table: Name, node: Any) -> None:
    """Have the index of a constraint built, and the columns of a primary key made NOT NULL."""
    relation = altering.relation(table)
    columns = tuple(relation.columns)
    excludes = label(node, "contype") == "CONSTR_EXCLUSION"
    if excludes and relation.kind == "p" and altering.step.schema.version < EXCLUDES_IN_PARTS:
        altering.refuse("0A000", "partitioned-exclusion", table)
    wanted = wanted_key(altering.step, table, node, columns)
    altering.later(Pass.COLUMN_ATTRIBUTES, lambda: require_not_nulls(altering, table, wanted))
    altering.later(Pass.ADD_INDEX, lambda: add_key(altering, table, wanted))


def _add_mode(command: Any) -> str:
    kind = label(getattr(command, "def").constraint, "contype")
    return SHARE_ROW_EXCLUSIVE if kind == "CONSTR_FOREIGN" else ACCESS_EXCLUSIVE


def _find(altering: Altering, table: Name, name: str) -> Constraint:
    found = constraint_named(altering.relation(table), name)
    if found is None:
        altering.refuse("42704", "missing-constraint", table, name=name)
    return found


def _prepare_validate(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpf")
    name = as_stored(command.name)
    altering.later(Pass.MISCELLANEOUS, lambda: validate_constraint(altering, table, name))


def validate_constraint(altering: Altering, table: Name, name: str) -> None:
    """Have a constraint hold for all rows."""
    found = _find(altering, table, name)
    kinds = "cfn" if is_catalogued(altering.step.schema) else "cf"
    if found.kind not in kinds:
        altering.refuse("42809", "cannot-be-validated", table, name=name)
    if not found.enforced:
        altering.refuse("55000", "not-enforced", table, name=name)
    if found.validated:
        return
    if found.kind == "f":
        _validate_key(altering, table, found)
        return
    if altering.only and not found.no_inherit and _has_children(altering, table):
        altering.refuse("42P16", "children-too", table, name=name)
    alone = found.no_inherit or altering.only
    below = () if alone else descendants_of(altering.step.schema, table)
    for each in (table, *below):
        # Nobody asks whose it is (QueueCheckConstraintValidation).
        altering.step.effects.lock(each, altering.mode)
        relation = altering.relation(each)
        columns = found.columns
        own = (
            relation.constraints.get(name) if found.kind == "c" else not_null_of(relation, *columns)
        )
        if own is None or own.validated:
            continue
        altering.step.put(relation.with_constraint(replace(own, validated=True)))
        if own.kind == "c":
            ask_check(altering.step, relation, replace(own, validated=True))
        else:
            ask_not_null(altering.step, relation, own.columns[0])


def _has_children(altering: Altering, table: Name) -> bool:
    return any(table in each.parents for each in altering.step.schema.relations.values())


def _validate_key(altering: Altering, table: Name, found: Constraint) -> None:
    relation = altering.relation(table)
    if relation.kind == "p":
        raise UnknownError("VALIDATE of a partitioned table's foreign key", table)
    valid = replace(found, validated=True)
    if found.target is not None:
        altering.step.effects.lock(found.target, ROW_SHARE)
    altering.step.put(relation.with_constraint(valid))
    ask_key(altering.step, relation, valid)
    if altering.step.schema.version >= VALIDATES_BELOW:
        _validate_below(altering, table, valid)


def _validate_below(altering: Altering, table: Name, valid: Constraint) -> None:
    """A key to a partitioned table has one below it for each of the partitions."""
    for each in list(altering.relation(table).constraints.values()):
        if each.parent == (table, valid.name):
            below = replace(each, validated=True)
            altering.step.put(altering.relation(table).with_constraint(below))
            _validate_below(altering, table, below)


def _prepare_alter(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rp")
    node = getattr(command, "def").atalter_constraint
    altering.later(Pass.MISCELLANEOUS, lambda: _alter_constraint(altering, table, node))


def _alter_constraint(altering: Altering, table: Name, node: Any) -> None:
    """ALTER CONSTRAINT: whether a foreign key may be deferred; from 18 on, whether it holds."""
    step = altering.step
    name = as_stored(node.conname)
    known = step.schema.version >= KNOWS_NOT_ENFORCED
    relation = altering.relation(table)
    if known and altering.only and relation.kind == "p":
        altering.refuse("42P16", "children-too", table, name=name)
    found = _find(altering, table, name)
    if node.alter_deferrability and found.kind != "f":
        altering.refuse("42809", "not-a-foreign-key", table, name=name)
    if node.alter_enforceability or node.alter_inheritability:
        raise UnknownError("ALTER CONSTRAINT … ENFORCED or INHERIT", table)
    if found.parent is not None:
        # Before 18, an internal error.
        state = "55000" if known else "XX000"
        altering.refuse(state, "inherited-constraint", table, name=name)
    if relation.kind == "p" and children_of(step.schema, table):
        # Also where it is so already, it goes on to the partitions.
        raise UnknownError("ALTER CONSTRAINT of a partitioned table", table)
    changed = replace(found, deferrable=node.deferrable, deferred=node.initdeferred)
    if (changed.deferrable, changed.deferred) == (found.deferrable, found.deferred):
        return
    step.put(relation.with_constraint(changed))
    # From 18 on, ONLY is for the keys below it, too.
    if not (known and altering.only):
        _alter_below(altering, table, changed)


def _alter_below(altering: Altering, table: Name, changed: Constraint) -> None:
    """A key to a partitioned table has one below it for each of the partitions."""
    for each in list(altering.relation(table).constraints.values()):
        if each.parent == (table, changed.name):
            below = replace(each, deferrable=changed.deferrable, deferred=changed.deferred)
            altering.step.put(altering.relation(table).with_constraint(below))
            _alter_below(altering, table, below)


ACTIONS: Mapping[str, Action] = {
    "AT_AddConstraint": Action(prepare=_prepare_add, lock=_add_mode),
    "AT_DropConstraint": Action(prepare=prepare_drop),
    "AT_ValidateConstraint": Action(prepare=_prepare_validate, lock=SHARE_UPDATE_EXCLUSIVE),
    "AT_AlterConstraint": Action(prepare=_prepare_alter),
}
