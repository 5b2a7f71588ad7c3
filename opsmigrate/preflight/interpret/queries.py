"""What a query reads, calls and locks, whichever statement it is in."""

from __future__ import annotations

from typing import Any

from opsmigrate.postgres.lock_modes import ROW_EXCLUSIVE, ROW_SHARE
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.effects import Question, Right, UnknownError
from opsmigrate.preflight.interpret.inheritance import descendants_of
from opsmigrate.preflight.interpret.lookup import SYSTEM_SCHEMAS, relation_of
from opsmigrate.preflight.interpret.schema import Function, Relation, Schema, Use
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.expressions import functions_called, nodes_in
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.names import Name, range_name
from opsmigrate.sql.ranges import LOCKED, TARGET, Range, ranges_of
from opsmigrate.sql.renamed import OF_SEQUENCES
from opsmigrate.sql.types import SYSTEM

# What later statements make, or how they are read, depends on these.
MATTERS = frozenset(
    {
        "backslash_quote",
        "default_table_access_method",
        "default_tablespace",
        "role",
        "session_authorization",
        "session_replication_role",
        "standard_conforming_strings",
        "transform_null_equals",
    }
)
# What is raised for values: too long, too high, no date, division by zero, no such value.
VALUES = ("22001", "22003", "22007", "22008", "22012", "22026", "22P02")


def read(step: Step, node: Any) -> list[tuple[Range, Relation]]:
    """Note what a query reads, locks and calls; return its relations but for the targets.

    What a user's volatile function does is not known, and so nothing is after it.
    """
    found = []
    step.effects.unread = True
    for each in ranges_of(node):
        if each.role == TARGET or is_systems(each.node):
            continue
        relation = queried(step, each.node)
        found.append((each, relation))
        step.effects.reads.add(Use(relation.name, None))
        ask_populated(step, relation)
        step.effects.need("SELECT", "relation", relation.name)
        if relation.kind == "v":
            need_of_views_owner(step, relation, relation.owner)
        if each.role == LOCKED:
            _lock_rows(step, relation, only=not each.node.inh)
    _call(step, node)
    return found


def need_of_views_owner(step: Step, view: Relation, owner: str) -> None:
    """Note that a view's owner reads what it shows, who must be able to, and to find it."""
    role = "" if owner == step.schema.role else owner
    for name in {use.relation for use in view.uses}:
        below = step.schema.relations.get(name)
        for right in (
            Right(privilege="SELECT", object_kind="relation", name=name, role=role),
            Right(privilege="USAGE", object_kind="schema", name=(name.schema,), role=role),
        ):
            step.effects.may_need(right)
        if below is not None and below.kind == "v":
            need_of_views_owner(step, below, below.owner)


def ask_populated(step: Step, relation: Relation) -> None:
    """Note that what is read may have no rows as yet, or what a view reads."""
    if not relation.populated:
        question = Question(sqlstate="55000", kind="populated", relation=relation.name)
        step.effects.questions.append(question)
    if relation.kind == "v":
        ask_populated_below(step, relation)


def ask_populated_below(step: Step, view: Relation) -> None:
    """Note that what the query of a view reads may have no rows as yet."""
    for name in {use.relation for use in view.uses}:
        below = step.schema.relations.get(name)
        if below is not None:
            ask_populated(step, below)


def queried(step: Step, node: Any) -> Relation:
    """Return the relation that a RangeVar of a query names; a schema may be missing as well."""
    schema, name = range_name(node)
    if schema is not None and schema not in step.schema.schemas and not is_systems(node):
        step.refuse("42P01", "missing-table", name=name)
    relation = relation_of(step, node)
    if relation.kind == "c":
        step.refuse("42809", "wrong-kind", relation=relation.name)
    return relation


def is_systems(node: Any) -> bool:
    """Return whether a RangeVar is a relation of PostgreSQL's own."""
    schema, name = range_name(node)
    return schema in SYSTEM_SCHEMAS or (schema is None and name.startswith("pg_"))


def _lock_rows(step: Step, relation: Relation, *, only: bool) -> None:
    """FOR UPDATE and its like lock what a view reads, too."""
    step.effects.need("UPDATE", "relation", relation.name)
    if relation.kind in "mSf":
        raise UnknownError("rows that cannot be locked", relation.name)
    step.effects.lock(relation.name, ROW_SHARE)
    if relation.query is not None:
        [statement] = parse(relation.query)
        if _is_grouped(step.schema, statement.node):
            step.refuse("0A000", "rows-not-told", relation=relation.name)
        for name in {use.relation for use in relation.uses}:
            rights = list(step.effects.rights)
            _lock_rows(step, step.known(name), only=False)
            # The view's owner has to have the rights on these.
            step.effects.rights = rights
            owner = "" if relation.owner == step.schema.role else relation.owner
            step.effects.may_need(
                Right(privilege="UPDATE", object_kind="relation", name=name, role=owner)
            )
    if not only:
        for child in descendants_of(step.schema, relation.name):
            lock = step.effects.lock if relation.kind == "r" else step.effects.lock_with_rows
            lock(child, ROW_SHARE)


def _is_grouped(schema: Schema, node: Any) -> bool:
    """Return whether the rows of a view's query are none of its tables' (CheckSelectLocking)."""
    if node.group_clause or node.distinct_clause or node.HasField("having_clause"):
        return True
    return any(
        callee.kind in "aw" or callee.set_returning
        for target in node.target_list
        for call in functions_called(target)
        for callee in schema.system.functions.get(call.name, ())
    )


def _call(step: Step, node: Any) -> None:
    called = [each for each in functions_called(node) if each.schema not in SYSTEM_SCHEMAS]
    unknown = [_call_of_users(step, each.schema, each.name) for each in called]
    why = next(filter(None, unknown), None)
    for each in nodes_in(node):
        if each.DESCRIPTOR.name == "FuncCall":
            name = as_stored(each.funcname[-1].string.sval)
            if name in OF_SEQUENCES:
                _lock_sequence(step, each, name, certain=_is_done(node))
            elif name == "set_config":
                _set(step, each)
    if why is not None:
        # Whoever reads notes first what is written.
        raise UnknownError(why, rights_told=True)


def ask_values(step: Step, table: Name, node: Any, *, computed: bool = False) -> None:
    """Note that values may be refused as they are computed, where there are any but columns."""
    kinds = {each.DESCRIPTOR.name for each in nodes_in(node)}
    if computed or kinds & {"A_Const", "FuncCall", "A_Expr", "TypeCast"}:
        step.effects.questions += [
            Question(sqlstate=state, kind="cast", relation=table) for state in VALUES
        ]


def require_functions(step: Step, node: Any) -> None:
    """Refuse a query that calls a function which is not there; it is not called now."""
    for each in functions_called(node):
        if each.schema not in SYSTEM_SCHEMAS:
            _functions_named(step, each.schema, each.name)


def need_of_functions(step: Step, node: Any) -> None:
    """Note who may call what others have made, where an expression is computed now."""
    for each in functions_called(node):
        if each.schema in SYSTEM_SCHEMAS:
            continue
        named = _functions_named(step, each.schema, each.name)
        # Which one of them, the arguments say.
        is_one = len(named) == 1 and each.name not in step.schema.system.functions
        for function in named:
            name = function.signature.name
            step.effects.rights.append(
                Right(privilege="EXECUTE", object_kind="function", name=name, certain=is_one)
            )


def _functions_named(step: Step, schema: str | None, name: str) -> list[Function]:
    homes = (schema,) if schema else step.schema.search_path
    named = [
        function
        for signature, function in step.schema.functions.items()
        if signature.name.name == name and signature.name.schema in homes
    ]
    known = named or (schema is None and name in step.schema.system.functions)
    if not known:
        if schema is not None and schema not in step.schema.schemas:
            step.refuse("3F000", "missing-schema", name=schema)
        step.refuse("42883", "missing-routine", name=name)
    return named


def _call_of_users(step: Step, schema: str | None, name: str) -> str | None:
    """Note who may call a function; return why it is not known what is after it."""
    named = _functions_named(step, schema, name)
    for function in named:
        step.effects.need("EXECUTE", "function", function.signature.name)
    if any(function.volatility == "v" for function in named):
        step.effects.runs_code = True
        return f"what {name}() does"
    return None


def _is_done(node: Any) -> bool:
    """Return whether what a query computes is computed, whatever the rows are."""
    query = node.select_stmt.select_stmt if node.DESCRIPTOR.name == "InsertStmt" else node
    if query.DESCRIPTOR.name != "SelectStmt":
        return False
    return not query.from_clause and not query.HasField("where_clause")


def _lock_sequence(step: Step, call: Any, function: str, *, certain: bool) -> None:
    name = _sequence_of(step, call.args[0]) if call.args else None
    if name is None:
        raise UnknownError("which sequence it is")
    step.effects.lock_with_rows(name, ROW_EXCLUSIVE)
    sets, reads = function == "setval", function == "currval"
    privilege, kind = ("UPDATE", "relation") if sets else ("USAGE", "sequence")
    # For currval(), SELECT will do as well.
    right = Right(privilege=privilege, object_kind=kind, name=name, certain=certain and not reads)
    step.effects.rights.append(right)
    if reads:
        # It has no value yet in this session.
        step.effects.questions.append(Question(sqlstate="55000", kind="sequence", relation=name))


def _sequence_of(step: Step, node: Any) -> Name | None:
    while node.WhichOneof("node") == "type_cast":
        node = node.type_cast.arg
    if node.WhichOneof("node") == "a_const":
        return _by_text(step, node.a_const.sval.sval)
    call = node.func_call
    name = call.funcname[-1].string.sval if call.funcname else ""
    texts = [each.a_const.sval.sval for each in call.args]
    if name != "pg_get_serial_sequence" or len(texts) != 2 or not all(texts):
        return None
    table = _by_text(step, texts[0])
    return next(
        (
            each.name
            for each in step.schema.relations.values()
            if each.sequence is not None and each.sequence.owner == (table, texts[1])
        ),
        None,
    )


def _by_text(step: Step, text: str) -> Name | None:
    parts = [each[1:-1] if each.startswith('"') else each.lower() for each in text.split(".")]
    if len(parts) > 2 or not parts[-1]:
        return None
    return step.schema.visible(parts[0] if len(parts) == 2 else None, parts[-1])


def is_setting(node: Any) -> bool:
    """Return whether a SELECT does nothing but call set_config() with constants."""
    if {field.name for field, _ in node.ListFields()} - {"target_list", "limit_option", "op"}:
        return False
    calls = [each.res_target.val.func_call for each in node.target_list]
    return bool(calls) and all(map(_sets_constant, calls))


def _sets_constant(call: Any) -> bool:
    parts = [as_stored(each.string.sval) for each in call.funcname]
    if parts not in (["set_config"], [SYSTEM, "set_config"]) or len(call.args) != 3:
        return False
    values = [each.a_const.WhichOneof("val") for each in call.args]
    return values == ["sval", "sval", "boolval"]


def _set(step: Step, call: Any) -> None:
    name = call.args[0].a_const.sval.sval.lower() if call.args else ""
    if not name or name == "search_path" or name in MATTERS:
        raise UnknownError("what set_config() sets")
