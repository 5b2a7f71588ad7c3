"""CREATE FUNCTION, CREATE PROCEDURE, and ALTER of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import ROW_EXCLUSIVE, ROW_SHARE
from opsmigrate.preflight.interpret.commands.parameters import (
    IN_ROW,
    INPUTS,
    parameters_of,
    require_determined,
)
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.grammar_versions import MERGES
from opsmigrate.preflight.interpret.lookup import find_type
from opsmigrate.preflight.interpret.named import name_parts, routine_named
from opsmigrate.preflight.interpret.queries import queried
from opsmigrate.preflight.interpret.query_columns import Query, columns_of
from opsmigrate.preflight.interpret.schema import Function, Signature
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.preflight.interpret.understood import is_understood
from opsmigrate.sql.bodies import body_of
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label
from opsmigrate.sql.ranges import LOCKED, TARGET, ranges_of
from opsmigrate.sql.routine_bodies import declares_plain_types, error_of_body
from opsmigrate.sql.statement import NotParsedError
from opsmigrate.sql.types import without_modifier

QUERIES = ("select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt")
VOLATILITY = {"immutable": "i", "stable": "s", "volatile": "v"}
# As the query would lock them: PostgreSQL analyses it.
LOCKS = {TARGET: ROW_EXCLUSIVE, LOCKED: ROW_SHARE}
BUILT_IN = ("sql", "internal", "c")
PLPGSQL = "plpgsql"


def create(step: Step, node: Any) -> None:
    """Do what `node`, a CreateFunctionStmt, says; which one it replaces, its arguments say."""
    parts = name_parts(node.funcname)
    schema = parts[-2] if len(parts) > 1 else None
    if (schema or "").startswith("pg_"):
        step.effects.may_need_superuser()
        raise UnknownError("a routine in a schema of PostgreSQL's own, or a temporary one")
    home = step.schema.home(schema)
    if home is None:
        step.refuse("3F000", "missing-schema", name=schema or parts[-1])
    step.effects.need("CREATE", "schema", (home,))
    parameters = parameters_of(step, node)
    arguments = tuple(type_ for mode, _, type_ in parameters if mode in INPUTS)
    made = Function(
        signature=Signature(Name(home, parts[-1]), arguments),
        kind="p" if node.is_procedure else "f",
        returns=_result(step, node, [type_ for mode, _, type_ in parameters if mode in IN_ROW]),
        owner=step.schema.role,
        plain=_is_plain(node),
        returns_set=node.return_type.setof,
        defaults=sum(each.function_parameter.HasField("defexpr") for each in node.parameters),
        inputs=tuple(name for mode, name, _ in parameters if mode in INPUTS),
        row=tuple((name, type_) for mode, name, type_ in parameters if mode in IN_ROW),
    )
    results = [type_ for mode, _, type_ in parameters if mode in IN_ROW]
    require_determined(step, [made.returns, *results], arguments)
    made = _with_options(step, made, node.options)
    _require_language(step, made.language)
    former = step.schema.functions.get(made.signature)
    if former is not None:
        made = _replaced(step, former, made, replaces=node.replace)
    _check_body(step, made, node)
    step.schema = replace(step.schema, functions={**step.schema.functions, made.signature: made})


def _result(step: Step, node: Any, outputs: list[str]) -> str:
    if node.is_procedure:
        return "record" if outputs else "void"
    required = outputs[0] if len(outputs) == 1 else "record"
    if not node.HasField("return_type"):
        if not outputs:
            step.refuse("42P13", "no-result")
        return required
    # SETOF is no part of pg_proc.prorettype.
    type_name = type(node.return_type)()
    type_name.CopyFrom(node.return_type)
    type_name.setof = False
    found = without_modifier(find_type(step.schema, type_name))
    if outputs and found != required:
        step.refuse("42P13", "other-result")
    return found


def _is_plain(node: Any) -> bool:
    parameters = [each.function_parameter for each in node.parameters]
    several = {"FUNC_PARAM_VARIADIC", "FUNC_PARAM_TABLE"} & {
        label(each, "mode") for each in parameters
    }
    given = any(each.HasField("defexpr") for each in parameters)
    return not (several or given or node.return_type.setof)


def _with_options(step: Step, function: Function, options: Any) -> Function:
    for each in options:
        name, arg = each.def_elem.defname, each.def_elem.arg
        if name == "volatility":
            function = replace(function, volatility=VOLATILITY[arg.string.sval.lower()])
        elif name == "strict":
            function = replace(function, strict=arg.boolean.boolval)
        elif name == "security":
            function = replace(function, security_definer=arg.boolean.boolval)
        elif name == "language":
            function = replace(function, language=arg.string.sval.lower())
        elif name == "window":
            function = replace(function, kind="w")
        elif name in ("transform", "support"):
            raise UnknownError(f"{name} of a function")
    return function


def _require_language(step: Step, language: str) -> None:
    if language in BUILT_IN or language in step.schema.extensions:
        if language in ("internal", "c"):
            raise UnknownError("a function in C")
        return
    raise UnknownError(f"the language {language}")


def _replaced(step: Step, former: Function, made: Function, *, replaces: bool) -> Function:
    if not replaces:
        step.refuse("42723", "name-taken", name=made.signature.name.name)
    step.effects.need("OWNER", "function", (*made.signature.name, *made.signature.arguments))
    if former.kind != made.kind:
        step.refuse("42809", "wrong-kind", name=made.signature.name.name)
    if (former.returns, former.returns_set) != (made.returns, made.returns_set):
        step.refuse("42P13", "other-result", name=made.signature.name.name)
    # One alone is no row, but that of a procedure (build_function_result_tupdesc_d).
    fewest = 1 if made.kind == "p" else 2
    before, after = (each.row if len(each.row) >= fewest else () for each in (former, made))
    if before != after:
        step.refuse("42P13", "other-row", name=made.signature.name.name)
    if any(old not in ("", new) for old, new in zip(former.inputs, made.inputs, strict=True)):
        step.refuse("42P13", "other-parameters", name=made.signature.name.name)
    if former.defaults > made.defaults:
        step.refuse("42P13", "fewer-defaults", name=made.signature.name.name)
    return replace(made, owner=former.owner, extension=former.extension)


def _require_body(step: Step, made: Function, node: Any) -> None:
    within = node.HasField("sql_body")
    if within and made.language != "sql":
        step.refuse("42P13", "body-of-another-language", name=made.signature.name.name)
    if not within and all(each.def_elem.defname != "as" for each in node.options):
        step.refuse("42P13", "no-body", name=made.signature.name.name)


def _require_block(step: Step, made: Function) -> None:
    """Refuse a body that is no PL/pgSQL; not looked at where it has types of somebody's own."""
    body = body_of(step.statement)
    own = any(
        "." in each for each in (*made.signature.arguments, *(type_ for _, type_ in made.row))
    )
    if own or body is None or body.text is None or not declares_plain_types(body.text):
        step.effects.unread = True
    elif step.schema.version < MERGES and "merge" in body.text.lower():
        # The grammar at hand takes it for a statement.
        step.effects.unread = True
    elif (error := error_of_body(step.statement.text)) is not None:
        # A procedure has no RETURN of anything, which the grammar takes for a function without one.
        state = "42601" if made.kind == "p" else error.sqlstate
        step.refuse(state, "body", name=made.signature.name.name, words=error.words)


def _check_body(step: Step, made: Function, node: Any) -> None:
    """PostgreSQL reads the body of a function in SQL: what it names must be there."""
    if made.returns == "trigger" and (made.signature.arguments or made.language == "sql"):
        step.refuse("42P13", "trigger-function", name=made.signature.name.name)
    _require_body(step, made, node)
    if made.language == PLPGSQL:
        _require_block(step, made)
    else:
        _read_queries(step, made, node)


def _read_queries(step: Step, made: Function, node: Any) -> None:
    """Look at what the queries of a body in SQL read, and whether they give what is declared."""
    step.effects.unread = True
    if node.HasField("sql_body"):
        if ranges_of(node.sql_body):
            raise UnknownError("a body that PostgreSQL follows")
        return
    body = body_of(step.statement)
    try:
        statements = parse(body.text) if body is not None and body.text is not None else ()
    except NotParsedError:
        step.refuse("42601", "body", name=made.signature.name.name)
    # What is no query is looked at when it runs.
    for statement in (each for each in statements if each.kind in QUERIES):
        for each in ranges_of(statement.node):
            table = queried(step, each.node)
            if each.role in LOCKS:
                step.effects.lock(table.name, LOCKS[each.role])
    if len(statements) == 1 and statements[0].kind == "select_stmt" and not node.parameters:
        step.effects.unread = not _gives(step, statements[0].node, made.returns)


def _gives(step: Step, query: Any, returns: str) -> bool:
    """Return whether a query is understood, and gives values of this type (check_sql_fn_retval).

    Refuse it where it names what is not there. In one with parameters a name may be one of these.
    """
    try:
        given = columns_of(Query(step), query, {})
    except UnknownError:
        return False
    types = [without_modifier(each.type or "") for each in given]
    return types == [returns] and is_understood(step, query)


def alter(step: Step, node: Any) -> None:
    """Do what `node`, an AlterFunctionStmt, says."""
    found = routine_named(step, label(node, "objtype"), node.func)
    step.effects.need("OWNER", "function", (*found.name, *found.arguments))
    changed = _with_options(step, step.schema.functions[found], node.actions)
    step.schema = replace(step.schema, functions={**step.schema.functions, found: changed})


COMMANDS: Mapping[str, Command] = {
    "create_function_stmt": create,
    "alter_function_stmt": alter,
}
