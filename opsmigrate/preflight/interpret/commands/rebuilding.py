"""What rests on a column whose type becomes another: refused, or made again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE
from opsmigrate.postgres.names import generated_name
from opsmigrate.preflight.interpret.altering import Altering, Pass
from opsmigrate.preflight.interpret.coercion import POLYMORPHIC
from opsmigrate.preflight.interpret.collation import is_collatable, own_collation
from opsmigrate.preflight.interpret.commands.checks import ask_check
from opsmigrate.preflight.interpret.commands.foreign_keys import require_comparable
from opsmigrate.preflight.interpret.dependents import owning_constraint
from opsmigrate.preflight.interpret.dropping import without
from opsmigrate.preflight.interpret.effects import Question, UnknownError
from opsmigrate.preflight.interpret.expression_types import Place, condition, typed
from opsmigrate.preflight.interpret.index_methods import default_class, is_ordered, named_class
from opsmigrate.preflight.interpret.inheritance import children_of, descendants_of
from opsmigrate.preflight.interpret.literals import TEXTS
from opsmigrate.preflight.interpret.made_names import parts_of_index_name
from opsmigrate.preflight.interpret.schema import (
    Column,
    Constraint,
    Index,
    Key,
    Relation,
    Schema,
)
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.preflight.interpret.system import OperatorClass
from opsmigrate.preflight.interpret.thing import Thing
from opsmigrate.preflight.interpret.thing import column as column_thing
from opsmigrate.preflight.interpret.values import ask_index
from opsmigrate.sql.expressions import columns_used_by, nodes_in
from opsmigrate.sql.grammar import parse_expression
from opsmigrate.sql.names import Name
from opsmigrate.sql.types import without_modifier

GENERATED_IS_IN_USE = 150_000


def require_free(altering: Altering, table: Relation, column: str) -> None:
    """Refuse where something uses the column that is not made again: views, triggers, policies."""
    for holder in _generated_of(table, column):
        # PostgreSQL 14 takes it for an error of syntax.
        is_old = altering.step.schema.version < GENERATED_IS_IN_USE
        if is_old and (table.rules or any(_holders(altering, table, column))):
            raise UnknownError("which of those that use the column is told of", table.name)
        state = "42601" if is_old else "0A000"
        altering.refuse(state, "used-by-another", table.name, column=column, holder=holder)
    for holder in _holders(altering, table, column):
        altering.refuse("0A000", "used-by-another", table.name, column=column, holder=holder)


def _holders(altering: Altering, table: Relation, column: str) -> Iterator[str]:
    schema = altering.step.schema
    for relation in schema.relations.values():
        if any(use == (table.name, column) for use in relation.uses):
            yield relation.name.name
    for each in schema.dependencies.get(column_thing(table.name, column), ()):
        if each.by.kind != "statistics":
            yield str(each.by.part or each.by.name)
    yield from (each.name for each in table.triggers.values() if column in each.columns)
    for policy in table.policies.values():
        if column in {*_used(policy.using), *_used(policy.check)}:
            yield policy.name


def _generated_of(table: Relation, column: str) -> Iterator[str]:
    for other in table.columns.values():
        if other.generated and other.name != column and column in _used(other.default):
            yield other.name


def _used(expression: str | None) -> tuple[str, ...]:
    return columns_used_by(expression or "true")


def remember(
    altering: Altering, table: Relation, column: str, *, during: Pass = Pass.ALTER_TYPE
) -> None:
    """Have the indexes and constraints on the column made again, when all types are as they will.

    An index keeps its file where nothing of it changes. `during` is the pass under way.
    """
    for index in table.indexes.values():
        if column in columns_of(index):
            _remember_index(altering, table, index, during)
    for constraint in table.constraints.values():
        if constraint.kind == "c" and column in columns_used_by(constraint.condition or "true"):
            _remember_check(altering, table, constraint)
        elif constraint.kind == "f" and column in constraint.columns:
            _remember_key(altering, table.name, constraint)
        elif constraint.kind == "n" and column in constraint.columns and not constraint.validated:
            below = descendants_of(altering.step.schema, table.name)
            if below:
                # It is made again with theirs, which may be valid.
                raise UnknownError("a NOT NULL that is not valid, made again", table.name, *below)
    # What else rests on it was in the way.
    for each in altering.step.schema.dependencies.get(column_thing(table.name, column), ()):
        _remember_statistics(altering, table, column, each.by)
    _remember_keys_to(altering, table, column)


def ask_other_values(
    step: Step, table: Relation, column: Column, expression: str | None, *, nulls: bool = True
) -> None:
    """Note what stands in the way where the rows are written anew, with others in the column.

    They are those of the `expression`, or a cast of the ones that were there; `nulls` says that
    there may be NULL among them where there was none.
    """
    step.effects.computed.add((table.name, column.name))
    unique = any(each.unique and column.name in columns_of(each) for each in table.indexes.values())
    excluded = any(each.kind == "x" for each in table.constraints.values())
    kinds = {
        ("23502", "not-null"): column.not_null and nulls,
        ("23505", "unique"): unique,
        ("23P01", "exclusion"): excluded,
    }
    step.effects.questions += [
        Question(
            sqlstate=state,
            kind=kind,
            relation=table.name,
            columns=(column.name,),
            expression=expression,
        )
        for (state, kind), is_asked in kinds.items()
        if is_asked
    ]


def _remember_keys_to(altering: Altering, table: Relation, column: str) -> None:
    for relation in altering.step.schema.relations.values():
        for constraint in relation.constraints.values():
            if constraint.target == table.name and column in constraint.to_columns:
                _remember_key(altering, relation.name, constraint)


def _remember_statistics(altering: Altering, table: Relation, column: str, by: Thing) -> None:
    if by.part in table.of_expressions:
        raise UnknownError("statistics on expressions, made again", table.name)

    def act() -> None:
        relation = altering.relation(table.name)
        found = relation.columns.get(column)
        if found is not None and not is_ordered(altering.step.schema, found.type):
            altering.refuse("0A000", "not-ordered", table.name, column=column)

    altering.later(Pass.MISCELLANEOUS, act)


def columns_of(index: Index) -> frozenset[str]:
    """Return the columns that an index has anywhere."""
    texts = [key.expression for key in index.keys if key.expression] + [index.predicate or "true"]
    found = {name for text in texts for name in columns_used_by(text)}
    return frozenset(found | {key.column for key in index.keys if key.column} | {*index.include})


def _remember_index(altering: Altering, table: Relation, index: Index, during: Pass) -> None:
    step = altering.step
    if table.kind == "p" and not index.valid:
        below = descendants_of(step.schema, table.name)
        raise UnknownError("an index that partitions lack, made again", table.name, *below)
    name = Name(table.name.schema, index.name)
    step.effects.lock(name, ACCESS_EXCLUSIVE)
    before = _sorted_by(altering, table, index)

    def act() -> None:
        relation = altering.relation(table.name)
        _put_again(altering, table, index)
        after = _sorted_by(altering, relation, index)
        plain = index.predicate is None and all(key.column for key in index.keys)
        kept = plain and index.valid and index.parent is None and all(map(_same, before, after))
        if relation.kind == "r" and (not kept or table.name in altering.rewritten):
            step.effects.builds.add(name)
            ask_index(step, relation, relation.indexes[index.name])
        if relation.kind == "r" and index.unique and not kept:
            _ask_unique(altering, table, index)

    # What they say is read for all indexes before any is made (ATPostAlterTypeCleanup).
    altering.later(during, lambda: _require_expressions(altering, table, index))
    altering.later(during, lambda: _require_no_key_to_copies(altering, table, index))
    altering.later(Pass.OLD_INDEX, act)


def _ask_unique(altering: Altering, table: Relation, index: Index) -> None:
    """Note that values may be the same by another operator class, as those of citext."""
    if table.name not in altering.rewritten:
        columns = tuple(key.column for key in index.keys if key.column)
        altering.step.effects.questions.append(
            Question(sqlstate="23505", kind="unique", relation=table.name, columns=columns)
        )


def _require_no_key_to_copies(altering: Altering, table: Relation, index: Index) -> None:
    """Refuse where a foreign key to a partition alone rests on its copy, which goes along."""
    schema = altering.step.schema
    for name in children_of(schema, table.name) if table.kind == "p" else ():
        child = schema.relations[name]
        for copy in child.indexes.values():
            if copy.parent != Name(table.name.schema, index.name):
                continue
            # Of a partition of a partition, its own table looks.
            for holder in _keys_resting_on(schema, child, copy):
                altering.refuse("2BP01", "used-by-another", table.name, holder=holder)


def _keys_resting_on(schema: Schema, table: Relation, index: Index) -> Iterator[str]:
    for other in schema.relations.values():
        for key in other.constraints.values():
            rests = key.kind == "f" and key.target == table.name and key.index == index.name
            if rests and key.parent is None:
                yield key.name


def _sorted_by(altering: Altering, table: Relation, index: Index) -> list[Any]:
    classes = _classes(altering, table, index)
    return [*zip(classes, _facts(altering.step.schema, table, index), strict=True)]


def _facts(schema: Schema, table: Relation, index: Index) -> list[tuple[str, Name | None] | None]:
    """Return the type and the collation of each key, None for an expression."""
    return [
        (column.type, key.collation or own_collation(schema, column))
        if (column := table.columns.get(key.column or ""))
        else None
        for key in index.keys
    ]


def _put_again(altering: Altering, before: Relation, index: Index) -> None:
    """What a key says of its collation, it says again; it is noted where the column has another.

    An index that a partition has from above is made as a copy: what was said of it alone is lost.
    """
    table, schema = altering.relation(before.name), altering.step.schema
    keys = tuple(
        replace(key, collation=None)
        if key.column and key.collation == own_collation(schema, table.columns[key.column])
        else key
        for key in index.keys
    )
    made = replace(table.indexes[index.name], keys=keys)
    if index.parent is not None:
        own = owning_constraint(table, index.name)
        parts = parts_of_index_name(_named_anew(index), own.kind if own is not None else "")
        if index.name != generated_name(table.name.name, *parts):
            raise UnknownError("an index of a partition, called anew", table.name)
        made = replace(made, clustered=False, replica_identity=False)
    altering.step.put(table.with_index(made))


def _named_anew(index: Index) -> Index:
    """Return the index with its columns called as the table's are: it is made from its text."""
    named = [key.column or old for key, old in zip(index.keys, index.named, strict=False)]
    return replace(index, named=(*named, *index.include) if index.named else ())


def _same(one: Any, other: Any) -> bool:
    """Return whether a key is sorted as it was (CheckIndexCompatible)."""
    (before, facts), (after, later) = one, other
    if before is None or before != after or facts is None or later is None:
        return False
    return facts[1] == later[1] and (before.type not in POLYMORPHIC or facts[0] == later[0])


def _require_expressions(altering: Altering, before: Relation, index: Index) -> None:
    table = altering.relation(before.name)
    if index.predicate is not None:
        place = Place(schema=altering.step.schema, table=table, word="predicate")
        _holds_for_other_type(place, before, index.predicate)
    for key in index.keys:
        if key.expression is not None:
            place = Place(schema=altering.step.schema, table=table, word="index")
            typed(place, parse_expression(key.expression))


def _holds_for_other_type(place: Place, before: Relation, text: str) -> None:
    """Refuse a condition that does not suit the columns as they are now, of the table in place."""
    table = place.table or before
    types = [
        {without_modifier(each.columns[name].type) for each in (before, table)}
        for name in columns_used_by(text)
        if name in before.columns and name in table.columns
    ]
    changed = any(len(each) > 1 and not each <= TEXTS for each in types)
    if changed and _has_plain_text(parse_expression(text)):
        # The server has given the text the type that was the column's.
        raise UnknownError("whether a condition suits another type", before.name)
    condition(place, parse_expression(text))


def _has_plain_text(node: Any) -> bool:
    """Return whether there is a text without a type, which the server never has in its own."""
    kinds = Counter(
        "cast" if each.DESCRIPTOR.name == "TypeCast" else "text"
        for each in nodes_in(node)
        if (each.DESCRIPTOR.name == "TypeCast" and each.arg.a_const.WhichOneof("val") == "sval")
        or (each.DESCRIPTOR.name == "A_Const" and each.WhichOneof("val") == "sval")
    )
    return kinds["text"] > kinds["cast"]


def _classes(altering: Altering, table: Relation, index: Index) -> Sequence[OperatorClass | None]:
    """Return the operator class of each key; refuse where there is none for a type as it is now."""
    schema = altering.step.schema
    return [
        _class(altering, table, key, index) if schema.system.classes else None for key in index.keys
    ]


def _class(altering: Altering, table: Relation, key: Key, index: Index) -> OperatorClass | None:
    schema = altering.step.schema
    if key.column is not None:
        type_ = table.columns[key.column].type
    else:
        place = Place(schema=schema, table=table, word="index")
        type_ = typed(place, parse_expression(key.expression or "")).type
    if key.collation is not None and not is_collatable(schema, type_):
        altering.refuse("42804", "not-collatable", table.name, name=index.name)
    if key.operator_class is None:
        found = default_class(schema, index.method, type_)
        if found is None:
            altering.refuse("42704", "no-operator-class", table.name, name=index.name)
        return found
    named = named_class(schema, index.method, list(key.operator_class), type_)
    if isinstance(named, str):
        altering.refuse("42804", "class-of-another-type", table.name, name=index.name)
    return named


def _remember_check(altering: Altering, table: Relation, constraint: Constraint) -> None:
    def act() -> None:
        relation = altering.relation(table.name)
        above = sum(
            constraint.name in altering.relation(each).constraints for each in relation.parents
        )
        if not (constraint.local or above):
            # Its parent's, which would bring it again, went with the parent's column.
            gone = Thing("constraint", table.name, constraint.name)
            altering.step.schema = without(altering.step.schema, [gone])
            return
        altering.step.put(relation.with_constraint(replace(constraint, parents=above)))
        place = Place(schema=altering.step.schema, table=relation, word="check")
        _holds_for_other_type(place, table, constraint.condition or "true")
        ask_check(altering.step, relation, constraint)

    altering.later(Pass.OLD_CONSTRAINT, act)


def _remember_key(altering: Altering, table: Name, constraint: Constraint) -> None:
    """A foreign key is dropped and made again: both tables are locked for that."""
    step = altering.step
    if constraint.target is None:
        return
    if "p" in (step.known(table).kind, step.known(constraint.target).kind) or constraint.parent:
        raise UnknownError("foreign keys of partitioned tables, made again", table)
    step.effects.lock(table, ACCESS_EXCLUSIVE)
    step.effects.lock(constraint.target, ACCESS_EXCLUSIVE)
    step.effects.need("REFERENCES", "relation", constraint.target, constraint.to_columns)

    def act() -> None:
        relation = altering.relation(table)
        require_comparable(step, relation, constraint)
        if constraint.validated and relation.kind == "r":
            # What triggers that were off have let in.
            step.effects.questions.append(
                Question(
                    sqlstate="23503",
                    kind="foreign-key",
                    relation=table,
                    columns=constraint.columns,
                    target=constraint.target,
                    to_columns=constraint.to_columns,
                )
            )

    altering.later(Pass.OLD_CONSTRAINT, act)
