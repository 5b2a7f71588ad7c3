"""UNIQUE, PRIMARY KEY and EXCLUDE: constraints with an index, their own or a given one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE, SHARE, SHARE_ROW_EXCLUSIVE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS, Altering
from opsmigrate.preflight.interpret.commands.create_index import (
    Wanted,
    build_index,
    look,
)
from opsmigrate.preflight.interpret.commands.index_keys import keys_of
from opsmigrate.preflight.interpret.commands.not_null import (
    is_catalogued,
    not_null_of,
    say_not_null,
    set_not_null,
)
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.inheritance import descendants_of
from opsmigrate.preflight.interpret.schema import Constraint, Index, Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label

KINDS = {"CONSTR_PRIMARY": "p", "CONSTR_UNIQUE": "u", "CONSTR_EXCLUSION": "x"}


def wanted_key(step: Step, table: Name, node: Any, columns: Sequence[str]) -> Wanted:
    """Return the index that a constraint wants, on a table of these columns.

    Refuse what transformIndexConstraint() does: a column that is missing, or comes twice.
    """
    kind = KINDS[label(node, "contype")]
    if node.without_overlaps:
        raise UnknownError("WITHOUT OVERLAPS", table)
    wanted = Wanted(
        name=as_stored(node.conname),
        kind=kind,
        unique=kind != "x",
        deferrable=node.deferrable,
        deferred=node.initdeferred,
        nulls_distinct=not node.nulls_not_distinct,
        options=node.options,
        method=node.access_method or "btree",
        where=node.where_clause if node.HasField("where_clause") else None,
    )
    if node.initdeferred and not node.deferrable:
        step.refuse("42601", "deferred-not-deferrable")
    if kind == "x":
        _exclusion(step, table, wanted, node)
        return wanted
    seen: list[str] = []
    for each in node.keys:
        name = as_stored(each.string.sval)
        if name not in columns and name not in SYSTEM_COLUMNS:
            step.refuse("42703", "missing-column", relation=table, column=name)
        if name in seen:
            step.refuse("42701", "column-twice", relation=table, column=name)
        seen.append(name)
    wanted.elements = [_element(name) for name in seen]
    carried = [as_stored(each.string.sval) for each in node.including]
    for name in carried:
        if name not in columns and name not in SYSTEM_COLUMNS:
            step.refuse("42703", "missing-column", relation=table, column=name)
    wanted.include = [_element(name) for name in carried]
    return wanted


def _element(name: str) -> Any:
    """Return what CREATE INDEX would say of a column."""
    quoted = name.replace('"', '""')
    [statement] = parse(f'CREATE INDEX ON t ("{quoted}")')
    return statement.node.index_params[0].index_elem


def _exclusion(step: Step, table: Name, wanted: Wanted, node: Any) -> None:
    elements, operators = [], []
    for each in node.exclusions:
        element, operator = each.list.items
        elements.append(element.index_elem)
        names = operator.list.items
        if len(names) > 1 and names[0].string.sval != "pg_catalog":
            raise UnknownError("an operator with its schema", table)
        operators.append(names[-1].string.sval)
    wanted.elements, wanted.operators = elements, tuple(operators)


def same_key(one: Wanted, other: Wanted) -> bool:
    """Return whether two constraints of one statement want the same index."""

    def texts(wanted: Wanted) -> list[bytes]:
        every = (*wanted.elements, None, *wanted.include, None, wanted.where)
        return [b"" if each is None else each.SerializeToString() for each in every]

    return (
        texts(one) == texts(other)
        and (one.method, one.operators) == (other.method, other.operators)
        and (one.deferrable, one.deferred) == (other.deferrable, other.deferred)
        and one.nulls_distinct == other.nulls_distinct
    )


def merged(wanted: Sequence[Wanted]) -> list[Wanted]:
    """Return the indexes that are really made: the primary key first, none twice.

    A UNIQUE on the columns of the primary key is it, and gives it its name if it has none
    (transformIndexConstraints).
    """
    kept: list[Wanted] = []
    for each in sorted(wanted, key=lambda one: one.kind != "p"):
        prior = next((one for one in kept if same_key(one, each)), None)
        if prior is None:
            kept.append(each)
        else:
            prior.name = prior.name or each.name
    return kept


def add_key(altering: Altering, table: Name, wanted: Wanted) -> None:
    """Add the constraint and build its index."""
    step, relation = altering.step, altering.relation(table)
    look(step, relation, wanted)
    if wanted.kind in "pu":
        # A type without an order is told of first.
        keys_of(step, relation, wanted.elements, "btree")
    if wanted.kind == "p" and any(each.primary for each in relation.indexes.values()):
        altering.refuse("42P16", "two-primary-keys", table)
    if relation.kind == "p" and not altering.only:
        for each in descendants_of(step.schema, table):
            step.effects.lock(each, SHARE_ROW_EXCLUSIVE if wanted.deferrable else SHARE)
    wanted.only = altering.only
    build_index(step, table, wanted)


def require_not_nulls(altering: Altering, table: Name, wanted: Wanted) -> None:
    """Have the columns of a primary key say that they have values."""
    if wanted.kind != "p":
        return
    for each in wanted.elements:
        # Before 18 it is said again, and so to all that inherit.
        found = altering.column(table, each.name)
        catalogued = is_catalogued(altering.step.schema)
        if catalogued:
            _require_suitable(altering, table, each.name)
        if not (found.not_null and catalogued):
            set_not_null(altering, table, each.name, whole=catalogued)


def _require_suitable(altering: Altering, table: Name, column: str) -> None:
    """Refuse a NOT NULL of a table or below it that is not valid (verifyNotNullPKCompatible)."""
    schema = altering.step.schema
    for each in (table, *(() if altering.only else descendants_of(schema, table))):
        own = not_null_of(schema.relations[each], column)
        if own is not None and not own.validated:
            altering.refuse("55000", "not-valid", each, name=own.name)


def add_using_index(altering: Altering, table: Name, node: Any) -> None:
    """ADD CONSTRAINT … USING INDEX: an index that is there becomes a constraint's."""
    step, relation = altering.step, altering.relation(table)
    kind = KINDS[label(node, "contype")]
    index = _given(altering, relation, as_stored(node.indexname), node)
    name = as_stored(node.conname) or index.name
    if relation.kind == "p":
        altering.refuse("0A000", "using-index-partitioned", table)
    columns = tuple(key.column or "" for key in index.keys)
    if name != index.name and step.schema.is_taken(Name(table.schema, name)):
        altering.refuse("42P07", "name-taken", table, name=name)
    if kind == "p":
        if any(each.primary for each in relation.indexes.values()):
            altering.refuse("42P16", "two-primary-keys", table)
        if not index.nulls_distinct:
            altering.refuse("42P16", "nulls-not-distinct", table, name=name)
        for column in columns:
            _say_not_null(altering, table, column)
        relation = altering.relation(table)
    if name in relation.constraints:
        # By the unique index of pg_constraint: nothing looks before.
        altering.refuse("23505", "constraint-name-taken", table, name=name)
    step.effects.lock(Name(table.schema, index.name), ACCESS_EXCLUSIVE)
    indexes = dict(relation.indexes)
    del indexes[index.name]
    indexes[name] = replace(index, name=name, primary=kind == "p", immediate=not node.deferrable)
    _rename_in_keys(step, table, index.name, name)
    relation = altering.relation(table)
    step.put(
        replace(relation, indexes=indexes).with_constraint(
            Constraint(
                name=name,
                kind=kind,
                columns=columns,
                deferrable=node.deferrable,
                deferred=node.initdeferred,
                index=name,
            )
        )
    )


def _say_not_null(altering: Altering, table: Name, column: str) -> None:
    """Have a column of a primary key say that it has a value, though it may say so already."""
    if is_catalogued(altering.step.schema):
        say_not_null(altering, table, Constraint(name="", kind="n", columns=(column,)))
    else:
        set_not_null(altering, table, column)


def _rename_in_keys(step: Step, table: Name, former: str, name: str) -> None:
    """The foreign keys that rest on an index go by its new name."""
    for relation in list(step.schema.relations.values()):
        for each in relation.constraints.values():
            if each.kind == "f" and each.target == table and each.index == former:
                step.put(
                    step.schema.relations[relation.name].with_constraint(replace(each, index=name))
                )


def _given(altering: Altering, table: Relation, name: str, node: Any) -> Index:
    """Return the index that USING INDEX names; refuse one that cannot be a constraint's."""
    found = Name(table.name.schema, name)
    index = table.indexes.get(name)
    if index is None:
        if altering.step.schema.table_of_index(found) is not None:
            altering.refuse("55000", "index-of-another-table", table.name, name=name)
        altering.refuse("42704", "missing-index", table.name, name=name)
    owned = {each.index for each in table.constraints.values() if each.kind in "pux"}
    for wrong, sqlstate, kind in (
        (name in owned, "55000", "index-of-a-constraint"),
        (not index.valid, "55000", "invalid-index"),
        (not index.unique, "42809", "not-unique"),
        (any(key.expression for key in index.keys), "42809", "index-with-expression"),
        (index.predicate is not None, "42809", "partial-index"),
        (not index.immediate and not node.deferrable, "42809", "deferrable-index"),
        (index.method != "btree", "42809", "not-btree"),
        (any(_is_special(key) for key in index.keys), "42809", "special-order"),
    ):
        if wrong:
            altering.refuse(sqlstate, kind, table.name, name=name)
    columns = [key.column for key in index.keys]
    if len({*columns}) < len(columns):
        altering.refuse("42701", "column-twice", table.name, name=name)
    return index


def _is_special(key: Any) -> bool:
    return bool(key.descending or key.nulls_first or key.operator_class or key.collation)
