"""CREATE FUNCTION, CREATE PROCEDURE, and ALTER of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import ROW_EXCLUSIVE, ROW_SHARE
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.lookup import SYSTEM_SCHEMAS, find_type
from opsmigrate.preflight.interpret.named import find_routine, name_parts
from opsmigrate.preflight.interpret.queries import queried
from opsmigrate.preflight.interpret.schema import Function, Signature
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.bodies import body_of
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label
from opsmigrate.sql.ranges import LOCKED, TARGET, ranges_of
from opsmigrate.sql.statement import NotParsedError
from opsmigrate.sql.types import without_modifier

INPUTS = ("IN", "INOUT", "VARIADIC", "DEFAULT")
OUTPUTS = ("OUT", "INOUT")
QUERIES = ("select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt")
VOLATILITY = {"immutable": "i", "stable": "s", "volatile": "v"}
# As the query would lock them: PostgreSQL analyses it.
LOCKS = {TARGET: ROW_EXCLUSIVE, LOCKED: ROW_SHARE}
BUILT_IN = ("sql", "internal", "c")


def create(step: Step, node: Any) -> None:
    """Do what `node`, a CreateFunctionStmt, says; which one it replaces, its arguments say."""
    parts = name_parts(node.funcname)
    schema = parts[-2] if len(parts) > 1 else None
    if schema is not None and schema in SYSTEM_SCHEMAS:
        step.effects.need("CREATE", "schema", (schema,))
        raise UnknownError("a routine in a schema of PostgreSQL's own")
    home = step.schema.home(schema)
    if home is None:
        step.refuse("3F000", "missing-schema", name=schema or parts[-1])
    step.effects.need("CREATE", "schema", (home,))
    arguments, outputs = _parameters(step, node)
    made = Function(
        signature=Signature(Name(home, parts[-1]), arguments),
        kind="p" if node.is_procedure else "f",
        returns=_result(step, node, outputs),
        owner=step.schema.role,
        plain=_is_plain(node),
    )
    made = _with_options(step, made, node.options)
    _require_language(step, made.language)
    former = step.schema.functions.get(made.signature)
    if former is not None:
        made = _replaced(step, former, made, replaces=node.replace)
    _check_body(step, made, node)
    step.schema = replace(step.schema, functions={**step.schema.functions, made.signature: made})


def _parameters(step: Step, node: Any) -> tuple[tuple[str, ...], list[str]]:
    """Return the types of the input arguments, and those of the output."""
    inputs, outputs = [], []
    for each in node.parameters:
        parameter = each.function_parameter
        mode = label(parameter, "mode").removeprefix("FUNC_PARAM_")
        type_ = without_modifier(find_type(step.schema, parameter.arg_type))
        if mode in INPUTS:
            inputs.append(type_)
        if mode in OUTPUTS:
            outputs.append(type_)
    return tuple(inputs), outputs


def _result(step: Step, node: Any, outputs: list[str]) -> str:
    if node.is_procedure:
        return "record" if outputs else "void"
    if not node.HasField("return_type"):
        if not outputs:
            step.refuse("42P13", "no-result")
        return outputs[0] if len(outputs) == 1 else "record"
    # SETOF is no part of pg_proc.prorettype.
    type_name = type(node.return_type)()
    type_name.CopyFrom(node.return_type)
    type_name.setof = False
    return without_modifier(find_type(step.schema, type_name))


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
    if former.returns != made.returns:
        step.refuse("42P13", "other-result", name=made.signature.name.name)
    return replace(made, owner=former.owner, extension=former.extension)


def _require_body(step: Step, made: Function, node: Any) -> None:
    within = node.HasField("sql_body")
    if within and made.language != "sql":
        step.refuse("42P13", "body-of-another-language", name=made.signature.name.name)
    if not within and all(each.def_elem.defname != "as" for each in node.options):
        step.refuse("42P13", "no-body", name=made.signature.name.name)


def _check_body(step: Step, made: Function, node: Any) -> None:
    """PostgreSQL reads the body of a function in SQL: what it names must be there."""
    if made.returns == "trigger" and (made.signature.arguments or made.language == "sql"):
        step.refuse("42P13", "trigger-function", name=made.signature.name.name)
    _require_body(step, made, node)
    if made.language != "sql":
        return
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


def alter(step: Step, node: Any) -> None:
    """Do what `node`, an AlterFunctionStmt, says."""
    found = find_routine(step, label(node, "objtype"), node.func)
    if found is None:
        return
    step.effects.need("OWNER", "function", (*found.name, *found.arguments))
    changed = _with_options(step, step.schema.functions[found], node.actions)
    step.schema = replace(step.schema, functions={**step.schema.functions, found: changed})


COMMANDS: Mapping[str, Command] = {
    "create_function_stmt": create,
    "alter_function_stmt": alter,
}
