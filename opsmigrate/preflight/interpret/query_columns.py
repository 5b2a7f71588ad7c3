"""Which columns a SELECT gives, and which it uses: what a view rests on, and what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS, WITH_SYSTEM_COLUMNS
from opsmigrate.preflight.interpret.collation import OF_NAMES
from opsmigrate.preflight.interpret.effects import RefusedError, UnknownError
from opsmigrate.preflight.interpret.expression_types import Place, typed
from opsmigrate.preflight.interpret.queries import queried
from opsmigrate.preflight.interpret.schema import Column, Relation, Use
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.expressions import deparse, nodes_in
from opsmigrate.sql.grammar import parse_expression
from opsmigrate.sql.names import Name
from opsmigrate.sql.shown_names import shown_name
from opsmigrate.sql.types import without_modifier

COUNTED = "count"
TEXTS = ("text", "character varying", "character")
BOOLEANS = 150_000


class Given(NamedTuple):
    """A column that a query gives: its type is None where nothing here tells; see Use."""

    name: str
    type: str | None
    collation: Name | None = None
    use: Use | None = None


OF_SEQUENCE = (
    Given("last_value", "bigint"),
    Given("log_cnt", "bigint"),
    Given("is_called", "boolean"),
)


@dataclass(frozen=True)
class Item:
    """Something in FROM: what it is called, and its columns; `relation` where it is one."""

    alias: str
    columns: tuple[Given, ...]
    relation: Name | None = None


@dataclass
class Query:
    """A query being read: the columns that it uses, and the relations that it has seen."""

    step: Step
    used: set[Use] = field(default_factory=set)
    seen: set[Name] = field(default_factory=set)
    # Those of which it uses a system's column, which is no column here.
    of_system: set[Name] = field(default_factory=set)

    def uses(self) -> frozenset[Use]:
        """Return what the query uses; a relation as such where it uses no column of it."""
        whole = self.seen - {each.relation for each in self.used}
        return frozenset(self.used | {Use(name, None) for name in whole | self.of_system})


Named = Mapping[str, tuple[Given, ...]]


def columns_of(
    query: Query, node: Any, named: Named, outer: tuple[Item, ...] = ()
) -> tuple[Given, ...]:
    """Return what a SelectStmt gives; note in `query` what it uses."""
    named = _with(query, node.with_clause, named, outer)
    if node.HasField("larg"):
        first = columns_of(query, node.larg, named, outer)
        second = columns_of(query, node.rarg, named, outer)
        pairs = zip(first, second, strict=False)
        return tuple(
            Given(one.name, one.type if one.type == other.type else None) for one, other in pairs
        )
    if node.values_lists:
        raise UnknownError("VALUES in a query")
    items = tuple(each for part in node.from_clause for each in _items(query, part, named, outer))
    scope = (*items, *outer)
    given = tuple(each for part in node.target_list for each in _target(query, part, scope, items))
    names = {each.name for each in given}
    for name, part in _rest(node):
        ordered = names if name in ("sort_clause", "group_clause", "distinct_clause") else set()
        _note(query, part, scope, named, ordered)
    for part in node.target_list:
        _note(query, part, scope, named, set())
    return given


def _rest(node: Any) -> Iterator[tuple[str, Any]]:
    for descriptor, value in node.ListFields():
        if descriptor.name in ("from_clause", "target_list", "with_clause", "into_clause"):
            continue
        if descriptor.message_type is not None:
            for each in (value,) if hasattr(value, "DESCRIPTOR") else value:
                yield descriptor.name, each


def _with(query: Query, clause: Any, named: Named, outer: tuple[Item, ...]) -> Named:
    if clause.recursive:
        raise UnknownError("WITH RECURSIVE in a view")
    found = dict(named)
    for each in clause.ctes:
        table = each.common_table_expr
        if table.ctequery.WhichOneof("node") != "select_stmt":
            raise UnknownError("a WITH that writes")
        given = columns_of(query, table.ctequery.select_stmt, found, outer)
        found[as_stored(table.ctename)] = _called(given, table.aliascolnames)
    return found


def _called(given: tuple[Given, ...], names: Any) -> tuple[Given, ...]:
    own = [as_stored(each.string.sval) for each in names]
    return tuple(
        each._replace(name=own[number]) if number < len(own) else each
        for number, each in enumerate(given)
    )


def _items(query: Query, node: Any, named: Named, outer: tuple[Item, ...]) -> Iterator[Item]:
    kind = node.WhichOneof("node")
    if kind == "range_var":
        yield _relation(query, node.range_var, named)
    elif kind == "range_subselect":
        part = node.range_subselect
        given = columns_of(query, part.subquery.select_stmt, named, outer)
        yield Item(as_stored(part.alias.aliasname), _called(given, part.alias.colnames))
    elif kind == "join_expr":
        join = node.join_expr
        if join.is_natural or join.HasField("alias") or join.HasField("join_using_alias"):
            raise UnknownError("a join with names of its own")
        left, right = (tuple(_items(query, side, named, outer)) for side in (join.larg, join.rarg))
        using = {as_stored(each.string.sval) for each in join.using_clause}
        for name in using:
            for side in (left, right):
                _find(query, (name,), side)
        _note(query, join.quals, (*left, *right, *outer), named, set())
        yield from left
        # What USING joins is there once, as the left one's.
        for each in right:
            kept = tuple(given for given in each.columns if given.name not in using)
            yield Item(each.alias, kept, each.relation)
    else:
        raise UnknownError(f"{kind} in FROM")


def _relation(query: Query, node: Any, named: Named) -> Item:
    alias = as_stored(node.alias.aliasname or node.relname)
    if not node.schemaname and as_stored(node.relname) in named:
        return Item(alias, _called(named[as_stored(node.relname)], node.alias.colnames))
    relation = queried(query.step, node)
    query.seen.add(relation.name)
    if relation.kind == "S":
        return Item(alias, _called(OF_SEQUENCE, node.alias.colnames), relation.name)
    columns = sorted(relation.columns.values(), key=lambda each: each.number)
    given = tuple(
        Given(each.name, each.type, each.collation, Use(relation.name, each.name))
        for each in columns
    )
    return Item(alias, _called(given, node.alias.colnames), relation.name)


def _target(
    query: Query, node: Any, scope: tuple[Item, ...], items: tuple[Item, ...]
) -> Iterator[Given]:
    target = node.res_target
    value = target.val
    fields = value.column_ref.fields
    if fields and fields[-1].WhichOneof("node") == "a_star":
        yield from _star(query, fields, items)
        return
    name = as_stored(target.name) if target.name else _shown(query, value)
    if fields:
        parts = tuple(as_stored(each.string.sval) for each in fields)
        found = _find(query, parts, scope)
        yield found._replace(name=name) if found is not None else Given(name, None)
    else:
        type_ = _type(query, value, scope)
        yield Given(name, type_, _collation(query, value, type_, scope))


def _shown(query: Query, node: Any) -> str:
    # There TRUE is a cast of 't'.
    if query.step.schema.version < BOOLEANS and node.a_const.WhichOneof("val") == "boolval":
        return "bool"
    return shown_name(node) or "?column?"


def _star(query: Query, fields: Any, items: tuple[Item, ...]) -> Iterator[Given]:
    alias = as_stored(fields[-2].string.sval) if len(fields) > 1 else None
    chosen = [each for each in items if alias in (None, each.alias)]
    if not chosen:
        query.step.refuse("42P01" if alias else "42601", "missing-table", name=alias or "*")
    for item in chosen:
        for each in item.columns:
            if each.use is not None:
                query.used.add(each.use)
            yield each


def _find(query: Query, parts: tuple[str, ...], scope: tuple[Item, ...]) -> Given | None:
    """Return the column that a name means; None for a whole row, or a column of the system's."""
    name = parts[-1]
    items = scope if len(parts) == 1 else tuple(each for each in scope if each.alias == parts[-2])
    if not items and len(parts) > 1:
        query.step.refuse("42P01", "missing-table", name=parts[-2])
    for item in items:
        for each in item.columns:
            if each.name == name:
                if each.use is not None:
                    query.used.add(each.use)
                return each
    having = [each for each in items if _has_system_columns(query, each)]
    if name in SYSTEM_COLUMNS and having:
        query.of_system |= {each.relation for each in having if each.relation is not None}
        return None
    for item in scope:
        if len(parts) == 1 and item.alias == name:
            return None
    return query.step.refuse("42703", "missing-column", column=name)


def _has_system_columns(query: Query, item: Item) -> bool:
    relation = query.step.schema.relations.get(item.relation) if item.relation else None
    return relation is not None and relation.kind in WITH_SYSTEM_COLUMNS


def _note(
    query: Query, node: Any, scope: tuple[Item, ...], named: Named, outputs: set[str]
) -> None:
    """Note the columns in an expression, and in the subqueries in it."""
    kind = node.DESCRIPTOR.name
    if kind == "SelectStmt":
        columns_of(query, node, named, scope)
        return
    if kind == "ColumnRef":
        if node.fields[-1].WhichOneof("node") == "string":
            parts = tuple(as_stored(each.string.sval) for each in node.fields)
            if not (len(parts) == 1 and parts[0] in outputs):
                _find(query, parts, scope)
        return
    for descriptor, value in node.ListFields():
        if descriptor.message_type is not None:
            for each in (value,) if hasattr(value, "DESCRIPTOR") else value:
                _note(query, each, scope, named, outputs)


def _type(query: Query, node: Any, scope: tuple[Item, ...]) -> str | None:
    """Return the type of an expression; None where that is not known here."""
    call = node.func_call
    if call.funcname and call.funcname[-1].string.sval == COUNTED and len(call.funcname) == 1:
        return "bigint"
    if _has_query(node):
        return None
    copy = parse_expression(deparse(node))
    table = Relation(name=Name("", ""))
    for number, each in enumerate(_references(copy), 1):
        parts = tuple(as_stored(part.string.sval) for part in each.fields)
        found = _find(query, parts, scope)
        if found is None or found.type is None:
            return None
        del each.fields[:]
        each.fields.add().string.sval = f"c{number}"
        column = Column(
            name=f"c{number}", number=number, type=found.type, collation=found.collation
        )
        table = table.with_column(column)
    try:
        shown = typed(Place(schema=query.step.schema, table=table, word="query"), copy).type
    except (UnknownError, RefusedError):
        return None
    return "text" if shown == "unknown" else shown


def _collation(query: Query, node: Any, type_: str | None, scope: tuple[Item, ...]) -> Name | None:
    """Return the collation that a text takes over from a `name`, or from a column with one."""
    if type_ is None or without_modifier(type_) not in TEXTS:
        return None
    if any(each.DESCRIPTOR.name == "CollateClause" for each in nodes_in(node)):
        raise UnknownError("the collation of an expression")
    found = set()
    for each in _references(node):
        given = _find(query, tuple(as_stored(part.string.sval) for part in each.fields), scope)
        if given is not None:
            found.add(OF_NAMES if given.type == "name" else given.collation)
    if len(found) > 1:
        raise UnknownError("the collation of an expression")
    return next(iter(found), None)


def _has_query(node: Any) -> bool:
    return any(each.DESCRIPTOR.name == "SubLink" for each in nodes_in(node))


def _references(node: Any) -> list[Any]:
    found = []
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if each.DESCRIPTOR.name == "ColumnRef":
            found.append(each)
            continue
        for descriptor, value in each.ListFields():
            if descriptor.message_type is not None:
                waiting += [value] if hasattr(value, "DESCRIPTOR") else list(value)
    return [each for each in found if each.fields[-1].WhichOneof("node") == "string"]
