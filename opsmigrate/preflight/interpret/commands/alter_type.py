"""ALTER COLUMN … TYPE: whether rows are written anew, and what rests on the column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import SHARE_ROW_EXCLUSIVE
from opsmigrate.postgres.names import as_stored, quoted
from opsmigrate.preflight.interpret.altering import Action, Altering, Pass
from opsmigrate.preflight.interpret.coercion import UNKNOWN, base_type, user_type_of
from opsmigrate.preflight.interpret.collation import collation_of
from opsmigrate.preflight.interpret.commands.column_definition import INTEGERS, require_type
from opsmigrate.preflight.interpret.commands.identity import IDENTITY_OF_PARTITIONS
from opsmigrate.preflight.interpret.commands.not_null import not_null_of
from opsmigrate.preflight.interpret.commands.rebuilding import (
    ask_other_values,
    remember,
    require_free,
)
from opsmigrate.preflight.interpret.effects import Question, UnknownError
from opsmigrate.preflight.interpret.expression_types import Place, coerced, typed
from opsmigrate.preflight.interpret.inheritance import children_of
from opsmigrate.preflight.interpret.lookup import find_type
from opsmigrate.preflight.interpret.partition_keys import columns_in_key
from opsmigrate.preflight.interpret.queries import need_of_functions
from opsmigrate.preflight.interpret.renaming import rename_part
from opsmigrate.preflight.interpret.rewriting import (
    column_of_row_type,
    require_no_column_of,
    require_not_within,
)
from opsmigrate.preflight.interpret.schema import Column, Constraint, Relation
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.preflight.interpret.type_changes import casts_of, writes_anew
from opsmigrate.preflight.interpret.values import ask_domain, require_number
from opsmigrate.sql.expressions import columns_used
from opsmigrate.sql.grammar import deparse, parse_expression
from opsmigrate.sql.names import Name
from opsmigrate.sql.types import without_modifier

# The last releases of older ones do so, too.
LOOKS_AT_PARTITIONED = 180_000
# Casts between these make NULL of NULL alone.
SIMPLE = frozenset(
    {"smallint", "integer", "bigint", "numeric", "real", "double precision", "boolean", "uuid"}
    | {"text", "character varying", "date", "timestamp without time zone"}
    | {"timestamp with time zone", "time without time zone", "interval"}
)
# Type -> the types in which two of its values are never the same one.
KEPT_APART = {
    "smallint": ("integer", "bigint", "numeric"),
    "integer": ("bigint", "numeric"),
    "bigint": ("numeric",),
}


def _prepare(altering: Altering, table: Name, command: Any) -> None:
    altering.allow(table, "rpf")
    definition = getattr(command, "def").column_def
    _prepare_one(altering, table, as_stored(command.name), definition, recursing=False)


def _prepare_one(altering: Altering, table: Name, name: str, node: Any, *, recursing: bool) -> None:
    """Look at the type and at what the values become, for a table and its descendants."""
    step = altering.step
    relation = altering.relation(table)
    using = node.raw_default if node.HasField("raw_default") else None
    if using is not None:
        # Before anything is looked at (transformAlterTableStmt).
        typed(Place(schema=step.schema, table=relation, word="using"), using)
    column = altering.column(table, name)
    # The sequence of a partition's column is its parent's; before, a partition has one of its own.
    own = relation.bound is None or step.schema.version < IDENTITY_OF_PARTITIONS
    if column.identity and own:
        _retype_sequence(altering, table, column, find_type(step.schema, node.type_name))
    _require_changeable(altering, relation, column, using, recursing=recursing)
    new = find_type(step.schema, node.type_name)
    require_type(step, new)
    require_not_within(step, table, new)
    collation = None
    if node.HasField("coll_clause"):
        collation = collation_of(step, node.coll_clause, new)
    if column.generated != "v":
        # Of a virtual column, only its expression is cast (ATExecAlterColumnType).
        _require_cast(altering, relation, column, new, using)
    _require_no_column_of_it(altering, relation, column)
    if column.generated != "v" and writes_anew(step.schema, column.type, new, name, using):
        altering.rewrite(table)
        _ask(step, relation, column, new, using)
    if relation.kind == "r":
        ask_domain(step, table, replace(column, type=new))
    children = children_of(step.schema, table)
    if children and altering.only and not recursing:
        altering.refuse("42P16", "children-too", table, column=name)
    # The table before those below it (ATRewriteCatalogs).
    altering.later(Pass.ALTER_TYPE, lambda: _alter(altering, table, name, (new, collation)))
    for child in children:
        altering.lock(child)
        inherited = altering.column(child, name)
        if inherited.parents > 1:
            raise UnknownError("a column of several parents", table, child)
        _prepare_one(altering, child, name, node, recursing=True)


def _require_no_column_of_it(altering: Altering, table: Relation, column: Column) -> None:
    """Refuse, whether or not rows are written anew, where another column has such a row."""
    step = altering.step
    if table.kind == "p" and column_of_row_type(step.schema, table.name):
        if step.schema.version < LOOKS_AT_PARTITIONED:
            raise UnknownError("the row type of a partitioned table", table.name)
        require_no_column_of(step, table.name)
    elif table.kind == "f" or column.generated == "v":
        require_no_column_of(step, table.name)
    else:
        # When rows are gone through (ATRewriteTables).
        altering.later(Pass.ROWS, lambda: require_no_column_of(step, table.name))


def _require_changeable(
    altering: Altering, table: Relation, column: Column, using: Any, *, recursing: bool
) -> None:
    altering.not_typed(table.name)
    if column.generated and using is not None:
        altering.refuse("42611", "using-of-generated", table.name, column=column.name)
    if column.parents and not recursing:
        altering.refuse("42P16", "inherited-column", table.name, column=column.name)
    if table.partition_key and column.name in columns_in_key(table.partition_key):
        altering.refuse("42P16", "partition-key", table.name, column=column.name)


def _ask(step: Step, table: Relation, column: Column, new: str, using: Any) -> None:
    """Note what the rows may be refused for, as they are written anew."""
    if table.kind != "r":
        return
    if using is not None:
        need_of_functions(step, using)
    if using is None and new in KEPT_APART.get(column.type, ()):
        return
    text = quoted(column.name) if using is None else deparse(using)
    # A cast that is written out cuts off what is too long, and has no constraints of a domain.
    same = "(" not in new and user_type_of(step.schema, new) is None
    step.effects.questions.append(
        Question(
            sqlstate="22",
            kind="cast",
            relation=table.name,
            columns=(column.name,) if using is None else columns_used(using),
            expression=f"({text})::{new}" if same else None,
        )
    )
    chain = [] if using is None else casts_of(step.schema, using, column.name)
    # The null of JSON becomes NULL, as of PostgreSQL 18.
    nulls = chain is None or not {*map(without_modifier, (column.type, *chain, new))} <= SIMPLE
    ask_other_values(step, table, column, None if using is None else text, nulls=nulls)


def _require_cast(
    altering: Altering, table: Relation, column: Column, new: str, using: Any
) -> None:
    schema = altering.step.schema
    if using is None:
        place = Place(schema=schema, table=table, word="column")
        value = typed(place, _reference(column.name))
    else:
        place = Place(schema=schema, table=table, word="using")
        value = typed(place, using)
    require_number(altering.step, table.name, column.name, value, base_type(schema, new))
    if coerced(place, value, new, "a") is None:
        altering.refuse("42804", "no-cast", table.name, column=column.name)


def _reference(name: str) -> Any:
    return parse_expression(quoted(name))


def _alter(altering: Altering, table: Name, name: str, to: tuple[str, Name | None]) -> None:
    step = altering.step
    new, collation = to
    if (table, name) in altering.retyped:
        altering.refuse("0A000", "type-twice", table, column=name)
    altering.retyped.append((table, name))
    relation = altering.relation(table)
    column = altering.column(table, name)
    default = _default_anew(altering, relation, column, new)
    require_free(altering, relation, name)
    remember(altering, relation, name)
    relation = altering.relation(table)
    anew = replace(column, type=new, collation=collation, default=default)
    step.put(relation.with_column(anew))
    altering.later(Pass.OLD_CONSTRAINT, lambda: _name_as_parents(altering, table, name))


def _name_as_parents(altering: Altering, table: Name, column: str) -> None:
    """Call a NOT NULL that is only inherited as the parent's: it is made again from that one."""
    relation = altering.relation(table)
    own = not_null_of(relation, column)
    if own is None:
        return
    name = _name_above(altering, table, own)
    if name == own.name:
        return
    if own.local:
        # Its own is added again after the parent's has come.
        altering.refuse("55000", "two-not-nulls", table, name=own.name)
    if name in relation.constraints:
        raise UnknownError("a NOT NULL that is called as its parent's", table)
    pair = (own.name, name)
    altering.step.schema = rename_part(altering.step.schema, "constraint", table, pair)


def _name_above(altering: Altering, table: Name, own: Constraint) -> str:
    [column] = own.columns
    for parent in altering.relation(table).parents:
        above = not_null_of(altering.relation(parent), column)
        if above is not None:
            return _name_above(altering, parent, above)
    return own.name


def _default_anew(altering: Altering, table: Relation, column: Column, new: str) -> str | None:
    """Return the default from then on; refuse where it does not become the new type by itself."""
    default = column.default
    if default is None:
        return None
    schema = altering.step.schema
    place = Place(schema=schema, table=table if column.generated else None, word="default")
    value = typed(place, parse_expression(default))
    if value.type == UNKNOWN:
        # A literal was the old type's already, when it was stored.
        value = replace(coerced(place, value, column.type, "a") or value, text=None)
        default = f"{default}::{column.type}"
    if coerced(place, value, new, "a") is None:
        altering.refuse("42804", "default-of-another-type", table.name, column=column.name)
    return default


def _retype_sequence(altering: Altering, table: Name, column: Column, new: str) -> None:
    """The sequence of an identity column has the column's type."""
    step = altering.step
    if new not in INTEGERS:
        altering.refuse("22023", "identity-of-another-type", table, column=column.name)
    for relation in _sequences(altering, table, column.name):
        facts = relation.sequence
        if facts is None:
            continue
        step.effects.lock(relation.name, SHARE_ROW_EXCLUSIVE)
        whole = facts.maximum == INTEGERS[facts.type]
        maximum = INTEGERS[new] if whole else facts.maximum
        if maximum > INTEGERS[new]:
            altering.refuse("22023", "sequence-out-of-range", table, column=column.name)
        step.put(replace(relation, sequence=replace(facts, type=new, maximum=maximum)))


def _sequences(altering: Altering, table: Name, column: str) -> Iterable[Relation]:
    return [
        each
        for each in altering.step.schema.relations.values()
        if each.sequence is not None
        and each.sequence.internal
        and each.sequence.owner == (table, column)
    ]


ACTIONS: Mapping[str, Action] = {"AT_AlterColumnType": Action(prepare=_prepare)}
