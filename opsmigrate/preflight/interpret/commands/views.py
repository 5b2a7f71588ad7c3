"""Views, materialized views, and tables made of a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import ACCESS_EXCLUSIVE, EXCLUSIVE, ROW_SHARE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.altering import SYSTEM_COLUMNS
from opsmigrate.preflight.interpret.commands.row_values import condition_holds
from opsmigrate.preflight.interpret.effects import RefusedError, UnknownError
from opsmigrate.preflight.interpret.lookup import home_of, relation_of
from opsmigrate.preflight.interpret.mentions import named_in
from opsmigrate.preflight.interpret.named import name_parts
from opsmigrate.preflight.interpret.queries import (
    ask_populated_below,
    ask_values,
    need_of_views_owner,
    queried,
    read,
    require_functions,
)
from opsmigrate.preflight.interpret.query_columns import Given, Query, columns_of
from opsmigrate.preflight.interpret.roles import maintenance_of
from opsmigrate.preflight.interpret.schema import Column, Relation, Use
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.preflight.interpret.thing import Dependency, Thing, without_holder
from opsmigrate.preflight.interpret.thing import relation as thing_of
from opsmigrate.preflight.interpret.understood import is_understood
from opsmigrate.sql.expressions import deparse, nodes_in, references
from opsmigrate.sql.names import Name, range_name
from opsmigrate.sql.nodes import label
from opsmigrate.sql.ranges import LOCKED, ranges_of

MATERIALIZED = "OBJECT_MATVIEW"
CHECK_OPTIONS = {"LOCAL_CHECK_OPTION": "local", "CASCADED_CHECK_OPTION": "cascaded"}

BOOLEANS = ("true", "false", "on", "off")
OPTIONS = {
    "security_barrier": BOOLEANS,
    "security_invoker": BOOLEANS,
    "check_option": ("local", "cascaded"),
}
INVOKES = 150_000


def create_view(step: Step, node: Any) -> None:
    """CREATE [OR REPLACE] VIEW."""
    schema, plain = range_name(node.view)
    query = node.query.select_stmt
    _need_to_make(step, node)
    # The query is looked at before the place of the view (DefineView).
    wanted = Name(step.schema.home(schema) or schema or "", plain)
    given, uses = _analysed(step, wanted, query)
    options = {_option(step, each.def_elem, wanted) for each in node.options}
    if check := CHECK_OPTIONS.get(label(node, "with_check_option")):
        options.add(f"check_option={check}")
    if any(each.startswith("check_option=") for each in options):
        _require_updatable(step, query)
    if node.view.relpersistence == "t":
        raise UnknownError("a temporary relation", rights_told=True)
    name = Name(home_of(step, node.view), plain)
    former = step.schema.relations.get(name)
    listed = _columns(step, given, node.aliases)
    if node.replace and step.schema.is_taken(name):
        # Before a name is looked for twice, which only new columns can be.
        _require_replaceable(step, name, listed)
    columns = _by_name(step, listed)
    made = Relation(
        name=name,
        kind="v",
        owner=step.schema.role,
        persistence=node.view.relpersistence or "p",
        columns=columns,
        last_number=len(columns),
        query=deparse(query),
        uses=uses,
        options=frozenset(options),
    )
    if former is not None and node.replace:
        made = _replaced(step, former, made)
    else:
        _require_free(step, name)
    _put(step, made, given, query)


def _require_updatable(step: Step, query: Any) -> None:
    """Refuse to check rows of a view that surely cannot be written (view_query_is_auto_updatable).

    What else makes it so, as DISTINCT, is not looked at.
    """
    sources = [each.range_var for each in query.from_clause]
    columns = [references(each.res_target.val)[-1][-1] for each in query.target_list
               if each.res_target.val.WhichOneof("node") == "column_ref"]  # fmt: skip
    one = len(sources) == 1 and bool(sources[0].relname)
    if not one or queried(step, sources[0]).kind in "mS" or SYSTEM_COLUMNS.issuperset(columns):
        step.refuse("0A000", "not-updatable")


def _need_to_make(step: Step, node: Any) -> None:
    """Note what a view needs, which asks for no right on what it reads."""
    schema, name = range_name(node.view)
    home = step.schema.home(schema)
    if node.view.relpersistence == "t":
        step.effects.need("TEMPORARY", "database", ())
    elif home is not None:
        step.effects.need("CREATE", "schema", (home,))
        former = step.schema.relations.get(Name(home, name))
        if node.replace and former is not None and former.kind == "v":
            step.effects.need("OWNER", "relation", former.name)


def _analysed(step: Step, name: Name, node: Any) -> tuple[tuple[Given, ...], frozenset[Use]]:
    """Return what a query gives and uses; unknown with all that it reads, where that is not told.

    A view that is not known taints what it rests on: it may forbid what is done to that later.
    """
    query = Query(step)
    step.effects.unread = True
    require_functions(step, node)
    try:
        given = columns_of(query, node, {})
    except UnknownError as error:
        # What is read is told where it is, and a view needs no right on it.
        rights = list(step.effects.rights)
        try:
            tables = {relation.name for _, relation in read(step, node)}
        finally:
            step.effects.rights = rights
        why = error.unknown.why
        raise UnknownError(why, name, *sorted(tables), rights_told=True) from error
    condition_holds(step, node)
    step.effects.unread = not is_understood(step, node)
    for each in ranges_of(node):
        if each.role == LOCKED:
            step.effects.lock(queried(step, each.node).name, ROW_SHARE)
    return given, query.uses()


def _columns(step: Step, given: tuple[Given, ...], aliases: Any) -> list[Column]:
    own = name_parts(aliases)
    if len(own) > len(given):
        step.refuse("42601", "too-many-columns")
    return [
        Column(
            name=own[number - 1] if number <= len(own) else each.name,
            number=number,
            type=each.type or "?",
            collation=each.collation,
        )
        for number, each in enumerate(given, 1)
    ]


def _by_name(step: Step, columns: list[Column]) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for each in columns:
        if each.name in found:
            step.refuse("42701", "column-twice", column=each.name)
        found[each.name] = each
    return found


def _option(step: Step, option: Any, view: Name) -> str:
    value = option.arg.string.sval if option.HasField("arg") else "true"
    if value not in OPTIONS.get(option.defname, ()):
        raise UnknownError(f"the option {option.defname}", view)
    if option.defname == "security_invoker" and step.schema.version < INVOKES:
        step.refuse("22023", "unknown-option", name=option.defname)
    return f"{option.defname}={value}"


def _require_replaceable(step: Step, name: Name, after: list[Column]) -> None:
    """Refuse what cannot be replaced, and columns other than its own (checkViewColumns)."""
    former = step.schema.relations.get(name)
    if former is None or former.kind != "v":
        step.refuse("42809", "wrong-kind", relation=name)
    step.known(name)
    step.effects.lock(name, ACCESS_EXCLUSIVE)
    before = sorted(former.columns.values(), key=lambda each: each.number)
    if len(after) < len(before):
        step.refuse("42P16", "columns-lost", relation=former.name)
    for old, new in zip(before, after, strict=False):
        if new.type == "?":
            raise UnknownError("the type of a column of a view", former.name)
        if (old.name, old.type, old.collation) != (new.name, new.type, new.collation):
            step.refuse("42P16", "other-column", relation=former.name, column=old.name)


def _replaced(step: Step, former: Relation, made: Relation) -> Relation:
    dependencies = without_holder(step.schema.dependencies, thing_of(former.name))
    step.schema = replace(step.schema, dependencies=dependencies)
    # A column goes on having the default that ALTER VIEW gave it.
    columns = {**made.columns, **former.columns}
    return replace(former, columns=columns, last_number=len(made.columns), query=made.query,
                   uses=made.uses, options=made.options)  # fmt: skip


def _require_free(step: Step, name: Name) -> None:
    if step.schema.is_taken(name):
        step.refuse("42P07", "name-taken", relation=name)
    if name in step.schema.types:
        step.refuse("42710", "name-taken", relation=name)


def _put(step: Step, made: Relation, given: tuple[Given, ...], query: Any) -> None:
    """Have the relation, and with it what it rests on; what is not told of it taints it alone."""
    step.put(made)
    if made.kind in "vm":
        _rest_on(step, made.name, query)
    if any(each.type is None for each in given):
        step.schema = replace(step.schema, tainted=step.schema.tainted | {made.name})


def _rest_on(step: Step, view: Name, query: Any) -> None:
    dependencies = dict(step.schema.dependencies)
    by = frozenset({Dependency(thing_of(view))})
    for on in named_in(step.schema, query):
        dependencies[on] = dependencies.get(on, frozenset()) | by
    for node in nodes_in(query):
        if node.DESCRIPTOR.name == "SelectStmt" and node.group_clause:
            _rest_on_keys(step, view, dependencies)
    step.schema = replace(step.schema, dependencies=dependencies)


def _rest_on_keys(step: Step, view: Name, dependencies: dict[Thing, Any]) -> None:
    """GROUP BY a primary key may let other columns stand: then the view rests on the key.

    Whether it does, is not told here.
    """
    for name in {use.relation for use in step.schema.relations[view].uses}:
        keys = [each for each in step.known(name).constraints.values() if each.kind == "p"]
        if keys:
            raise UnknownError("a view that groups", view, name)


def create_table_as(step: Step, node: Any) -> None:
    """CREATE TABLE … AS, and CREATE MATERIALIZED VIEW."""
    if node.query.WhichOneof("node") != "select_stmt":
        raise UnknownError("a table made of what is no SELECT")
    is_view = label(node, "objtype") == MATERIALIZED
    _make(step, node.into, node.query.select_stmt, is_view=is_view, leave=node.if_not_exists)


def select_into(step: Step, node: Any) -> None:
    """SELECT … INTO."""
    _make(step, node.into_clause, node, is_view=False, leave=False)


def _make(step: Step, into: Any, query: Any, *, is_view: bool, leave: bool) -> None:
    try:
        name = Name(home_of(step, into.rel), range_name(into.rel)[1])
    except UnknownError as error:
        # What it reads, it has to read wherever it puts that.
        read(step, query)
        raise UnknownError(error.unknown.why, rights_told=True) from error
    except RefusedError:
        # The query is looked at before the place of what is made (transformCreateTableAsStmt).
        schema, plain = range_name(into.rel)
        read(step, query)
        _analysed(step, Name(schema or "", plain), query)
        raise
    step.effects.need("CREATE", "schema", (name.schema,))
    if leave and step.schema.is_taken(name):
        # What is wrong with the query is told all the same.
        read(step, query)
        _analysed(step, name, query)
        return
    if into.options or into.table_space_name or into.access_method:
        raise UnknownError("options of a table made of a query", name)
    read(step, query)
    given, uses = _analysed(step, name, query)
    if step.schema.is_taken(name):
        step.refuse("42P07", "name-taken", relation=name)
    columns = _by_name(step, _columns(step, given, into.col_names))
    _require_free(step, name)
    made = Relation(
        name=name,
        kind="m" if is_view else "r",
        owner=step.schema.role,
        persistence=into.rel.relpersistence or "p",
        columns=columns,
        last_number=len(columns),
        query=deparse(query) if is_view else None,
        uses=uses if is_view else frozenset(),
        populated=not (is_view and into.skip_data),
    )
    step.effects.writes_rows.add(name)
    ask_values(step, name, query)
    _put(step, made, given, query)


def refresh(step: Step, node: Any) -> None:
    """REFRESH MATERIALIZED VIEW."""
    view = relation_of(step, node.relation)
    if view.kind != "m":
        # What may be clustered is looked at first.
        state = "0A000" if view.kind in "rp" else "42809"
        step.refuse(state, "wrong-kind", relation=view.name)
    step.effects.lock(view.name, EXCLUSIVE if node.concurrent else ACCESS_EXCLUSIVE)
    right = maintenance_of(step, view.name)
    step.effects.rights.append(right)
    # Who has to be its owner, reads what it shows.
    reader = step.schema.role if right.privilege == "OWNER" else view.owner
    need_of_views_owner(step, view, reader)
    step.effects.reads |= {Use(use.relation, None) for use in view.uses}
    if not node.skip_data:
        ask_populated_below(step, view)
    if node.concurrent:
        if not view.populated:
            step.refuse("0A000", "not-populated", relation=view.name)
        if node.skip_data:
            step.refuse("42601", "concurrently-without-data", relation=view.name)
        plain = [
            each.unique and each.predicate is None and all(key.column for key in each.keys)
            for each in view.indexes.values()
        ]
        if not any(plain):
            step.refuse("55000", "no-unique-index", relation=view.name)
        return
    step.put(replace(view, populated=not node.skip_data))
    step.effects.rewrites.add(view.name)
    step.effects.builds |= {Name(view.name.schema, as_stored(index)) for index in view.indexes}


COMMANDS: Mapping[str, Command] = {
    "view_stmt": create_view,
    "create_table_as_stmt": create_table_as,
    "refresh_mat_view_stmt": refresh,
}
