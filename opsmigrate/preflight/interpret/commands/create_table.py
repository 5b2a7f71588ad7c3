"""CREATE TABLE: columns, sequences, constraints and indexes, in the server's own order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS
from opsmigrate.preflight.interpret.commands.checks import check_of
from opsmigrate.preflight.interpret.commands.column_definition import (
    Definition,
    column_of,
    default_of,
    make_sequence,
    next_value,
    read_definition,
    require_type,
)
from opsmigrate.preflight.interpret.commands.create_index import Wanted, build_index, look
from opsmigrate.preflight.interpret.commands.defaults import is_nothing
from opsmigrate.preflight.interpret.commands.foreign_keys import add_foreign_key
from opsmigrate.preflight.interpret.commands.inherited import Inherited, inherit
from opsmigrate.preflight.interpret.commands.keys import (
    KINDS,
    merged,
    wanted_key,
)
from opsmigrate.preflight.interpret.commands.not_null import (
    put_not_null,
)
from opsmigrate.preflight.interpret.commands.objects import need_of_relation
from opsmigrate.preflight.interpret.commands.partitions import partition
from opsmigrate.preflight.interpret.commands.table_options import options_of
from opsmigrate.preflight.interpret.dependents import owning_constraint
from opsmigrate.preflight.interpret.effects import Right, UnknownError
from opsmigrate.preflight.interpret.lookup import home_of
from opsmigrate.preflight.interpret.partition_keys import partition_key_of, require_partition_key
from opsmigrate.preflight.interpret.schema import Column, Constraint, Relation
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.grammar import deparse
from opsmigrate.sql.names import Name, range_name
from opsmigrate.sql.nodes import label

EXCLUDES_IN_PARTS = 170_000


@dataclass(kw_only=True)
class Elements:
    """What stands between the brackets of CREATE TABLE, kind by kind, each in its order."""

    columns: list[Definition] = field(default_factory=list)
    checks: list[Any] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)
    references: list[Any] = field(default_factory=list)
    not_nulls: list[tuple[str, Any]] = field(default_factory=list)


def create_table(step: Step, node: Any) -> None:
    """Do what `node`, a CreateStmt, says."""
    name = Name(home_of(step, node.relation), as_stored(node.relation.relname))
    step.effects.rights.append(Right(privilege="CREATE", object_kind="schema", name=(name.schema,)))
    if node.if_not_exists and step.schema.is_taken(name):
        return
    _require_understood(node)
    empty = Relation(
        name=name,
        kind="p" if node.HasField("partspec") else "r",
        owner=step.schema.role,
        persistence=node.relation.relpersistence or "p",
    )
    if node.HasField("partbound"):
        _put_partition(step, node, empty)
        return
    if empty.kind == "p" and node.inh_relations:
        step.refuse("42P17", "partitioned-child", relation=name)
    elements = _read(step, node)
    inherited = inherit(step, empty, node.inh_relations)
    known = (*inherited.columns, *(each.name for each in elements.columns))
    wanted = merged(_wanted(step, name, elements, known))
    excludes = any(each.kind == "x" for each in wanted)
    if excludes and empty.kind == "p" and step.schema.version < EXCLUDES_IN_PARTS:
        step.refuse("0A000", "partitioned-exclusion", relation=name)
    sequences = {
        each.name: make_sequence(step, empty, each, empty.owner)
        for each in elements.columns
        if each.serial or each.identity
    }
    table = _put_columns(step, empty, elements, inherited)
    _require_free(step, name)
    table = replace(
        table,
        options=options_of(step, node.options),
        partition_key=partition_key_of(step, table, node.partspec) if table.kind == "p" else None,
    )
    step.put(table)
    for each in elements.columns:
        _put_default(step, name, each, sequences.get(each.name))
    _put_checks(step, name, elements, inherited)
    _put_not_nulls(step, name, elements, inherited, wanted)
    for key in wanted:
        look(step, step.known(name), key)
        build_index(step, name, key)
    for each in elements.references:
        add_foreign_key(step, name, each, only=False, validate=False)
    _forget_rows(step, name)


def _forget_rows(step: Step, table: Name) -> None:
    """A new table has no rows to read or to ask."""
    effects = step.effects
    effects.questions = [each for each in effects.questions if each.relation != table]
    effects.scans.discard(table)
    indexes = step.known(table).indexes
    effects.builds -= {Name(table.schema, each) for each in indexes}


def _put_partition(step: Step, node: Any, empty: Relation) -> None:
    table = partition(step, node, empty)
    key = partition_key_of(step, table, node.partspec) if table.kind == "p" else None
    table = replace(table, options=options_of(step, node.options), partition_key=key)
    step.put(table)
    for index in table.indexes.values() if table.kind == "p" else ():
        if index.unique or index.exclusion:
            own = owning_constraint(table, index.name)
            operators = own.operators if own is not None else ()
            require_partition_key(step, table, index.keys, operators)
    _forget_rows(step, table.name)


def _require_understood(node: Any) -> None:
    if node.HasField("of_typename"):
        raise UnknownError("a typed table")
    if node.tablespacename:
        raise UnknownError("TABLESPACE")
    if node.access_method not in ("", "heap"):
        raise UnknownError(f"USING {node.access_method}")
    if label(node, "oncommit") != "ONCOMMIT_NOOP":
        raise UnknownError("ON COMMIT")


def _read(step: Step, node: Any) -> Elements:
    found = Elements()
    for each in node.table_elts:
        kind = each.WhichOneof("node")
        if kind == "column_def":
            definition = read_definition(step, each.column_def)
            _read_column(step, found, definition)
        elif kind == "constraint":
            _read_constraint(found, each.constraint)
        else:
            raise _like(step, node, each.table_like_clause.relation)
    for name, not_null in found.not_nulls if node.HasField("partspec") else ():
        if not_null is not None and not_null.is_no_inherit:
            step.refuse("0A000", "no-inherit-partitioned", column=name)
    return found


def _like(step: Step, node: Any, other: Any) -> UnknownError:
    """Return the end of a statement with LIKE, whose rights are told where it has nothing else."""
    found = step.schema.visible(*range_name(other))
    like = step.schema.at(found) if found is not None else None
    if like is not None and like.kind == "c":
        step.effects.need("USAGE", "type", like.name)
    else:
        need_of_relation(step, other, "SELECT")
    for column in like.columns.values() if like is not None else ():
        require_type(step, column.type)
    alone = len(node.table_elts) == 1 and not node.inh_relations and not node.HasField("partspec")
    return UnknownError("LIKE in CREATE TABLE", rights_told=alone)


def _read_column(step: Step, found: Elements, definition: Definition) -> None:
    found.columns.append(definition)
    for each in definition.keys:
        each.keys.add().string.sval = definition.name
    for each in definition.references:
        each.fk_attrs.add().string.sval = definition.name
    found.checks += definition.checks
    found.keys += definition.keys
    found.references += definition.references
    if definition.not_null:
        found.not_nulls.append((definition.name, definition.not_null_node))


def _read_constraint(found: Elements, said: Any) -> None:
    kind = label(said, "contype")
    # What the statement says stays as it is.
    node = type(said)()
    node.CopyFrom(said)
    if kind == "CONSTR_CHECK":
        # In a new table every constraint holds (transformCheckConstraints, transformFKConstraints).
        node.skip_validation = not node.is_enforced
        found.checks.append(node)
    elif kind in KINDS:
        found.keys.append(node)
    elif kind == "CONSTR_FOREIGN":
        node.initially_valid = node.is_enforced
        found.references.append(node)
    else:
        found.not_nulls.append((as_stored(node.keys[0].string.sval), node))


def _wanted(step: Step, table: Name, elements: Elements, known: tuple[str, ...]) -> list[Wanted]:
    found = [wanted_key(step, table, each, known) for each in elements.keys]
    if sum(each.kind == "p" for each in found) > 1:
        step.refuse("42P16", "two-primary-keys", relation=table)
    return found


def _put_columns(step: Step, table: Relation, elements: Elements, inherited: Inherited) -> Relation:
    """Return the table with its columns, those of its parents first."""
    columns: dict[str, Column] = dict(inherited.columns)
    own: set[str] = set()
    for each in elements.columns:
        if each.name in own:
            step.refuse("42701", "column-twice", relation=table.name, column=each.name)
        own.add(each.name)
        number = columns[each.name].number if each.name in columns else len(columns) + 1
        column = replace(column_of(step, each, number), not_null=False)
        if each.name in columns:
            column = inherited.merged(step, columns[each.name], column)
        columns[each.name] = column
    for name in columns:
        if name in SYSTEM_COLUMNS:
            step.refuse("42701", "system-column", relation=table.name, column=name)
    return replace(
        table, columns=columns, last_number=len(columns), parents=tuple(inherited.parents)
    )


def _require_free(step: Step, name: Name) -> None:
    if step.schema.is_taken(name):
        step.refuse("42P07", "name-taken", relation=name)
    if name in step.schema.types:
        step.refuse("42710", "type-name-taken", relation=name)


def _put_default(
    step: Step, table: Name, definition: Definition, sequence: Relation | None
) -> None:
    relation = step.known(table)
    column = relation.columns[definition.name]
    if sequence is not None and sequence.sequence is not None:
        owned = replace(
            sequence.sequence,
            owner=(table, definition.name),
            internal=bool(definition.identity),
        )
        step.put(replace(sequence, sequence=owned))
    if sequence is not None and definition.serial:
        step.put(relation.with_column(replace(column, default=next_value(sequence.name))))
    elif definition.default is not None:
        value = default_of(step, relation, column, definition.default)
        text = None if is_nothing(step.schema, column, value) else deparse(definition.default)
        step.put(relation.with_column(replace(column, default=text)))


def _put_checks(step: Step, table: Name, elements: Elements, inherited: Inherited) -> None:
    for constraint in inherited.checks:
        step.put(step.known(table).with_constraint(constraint))
    for each in elements.checks:
        relation = step.known(table)
        made = check_of(step, relation, each)
        if made.no_inherit and relation.kind == "p":
            step.refuse("42P16", "no-inherit-partitioned", relation=table, name=made.name)
        if made.name in relation.constraints:
            made = inherited.merged_check(step, relation, relation.constraints[made.name], made)
        step.put(relation.with_constraint(made))


def _put_not_nulls(
    step: Step, table: Name, elements: Elements, inherited: Inherited, wanted: list[Wanted]
) -> None:
    """Have the columns say that they have values, and give names to that (18)."""
    keys = {each.name: None for key in wanted if key.kind == "p" for each in key.elements}
    _require_one_not_null(step, table, [*elements.not_nulls, *keys.items()])
    for name, node in _named_first(elements.not_nulls):
        relation = step.known(table)
        if name not in relation.columns:
            step.refuse("42703", "missing-column", relation=table, column=name)
        _put_not_null(step, table, name, node, inherited)
    for name, constraint in inherited.not_nulls.items():
        relation = step.known(table)
        if not relation.columns[name].not_null:
            # A primary key makes it the table's own as well, with a name of its own.
            own = name in keys
            named = "" if own or constraint.name in relation.constraints else constraint.name
            put_not_null(step, table, name, replace(constraint, local=own, name=named))
    for name in keys:
        if not step.known(table).columns[name].not_null:
            put_not_null(step, table, name)


def _require_one_not_null(step: Step, table: Name, not_nulls: list[tuple[str, Any]]) -> None:
    """Refuse two of a column that do not say the same (AddRelationNotNullConstraints)."""
    known: dict[str, tuple[bool, str]] = {}
    for column, node in not_nulls:
        alone = bool(node is not None and node.is_no_inherit)
        name = as_stored(node.conname) if node is not None else ""
        before, named = known.setdefault(column, (alone, name))
        if before != alone:
            step.refuse("42601", "no-inherit", relation=table, column=column)
        if name and named not in ("", name):
            step.refuse("42601", "two-not-nulls", relation=table, column=column)
        known[column] = (alone, named or name)


def _named_first(not_nulls: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return each column once, with the constraint that names it where one does."""
    found: dict[str, Any] = {}
    for name, node in not_nulls:
        if name not in found or found[name] is None or not found[name].conname:
            found[name] = node if node is not None else found.get(name)
    return list(found.items())


def _put_not_null(step: Step, table: Name, column: str, node: Any, inherited: Inherited) -> None:
    parent = inherited.not_nulls.get(column)
    if parent is not None and node is not None and node.is_no_inherit:
        step.refuse("42804", "no-inherit", relation=table, column=column)
    # It has a name of its own, whatever the parent's is.
    name = as_stored(node.conname) if node is not None else ""
    made = Constraint(
        name=name,
        kind="n",
        columns=(column,),
        no_inherit=bool(node is not None and node.is_no_inherit),
        parents=parent.parents if parent is not None else 0,
    )
    put_not_null(step, table, column, made)


COMMANDS: Mapping[str, Command] = {"create_stmt": create_table}
