"""DO and CALL: code that runs, of which only the names in its text are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.bodies import body_of, executed, names_in
from opsmigrate.sql.grammar import scan
from opsmigrate.sql.names import Name
from opsmigrate.sql.statement import NotParsedError


def do(step: Step, node: Any) -> None:
    """DO taints what its body names; all, where it calls or executes what nothing here shows."""
    step.effects.runs_code = True
    names = _named(step)
    schema = step.schema
    calls = {each.name.name for each in schema.functions} & names
    if calls:
        raise UnknownError(f"a DO block that calls {min(calls)}")
    tables = tuple(
        name for name in schema.relations if name.name in names or _index_named(step, name, names)
    )
    step.schema = replace(schema, incomplete="what a DO block makes")
    raise UnknownError("what a DO block does", *(tables or (Name("", ""),)))


def _index_named(step: Step, table: Name, names: set[str]) -> bool:
    own = step.schema.relations[table]
    return bool(names.intersection((*own.indexes, *own.constraints)))


def _named(step: Step) -> set[str]:
    body = body_of(step.statement)
    if body is None or body.text is None or body.language != "plpgsql":
        raise UnknownError("a DO block in another language")
    try:
        texts = list(executed(scan(body.text)))
        if any(each is None or "?" in each for each in texts):
            raise UnknownError("a DO block that executes SQL which is not in its text")
        names = set(names_in(step.statement.text))
    except NotParsedError as error:
        raise UnknownError("a DO block that cannot be read") from error
    if names & {"set_config", "search_path"}:
        raise UnknownError("a DO block that changes settings")
    return names


def call(step: Step, node: Any) -> None:
    """CALL runs a procedure, whose body is not looked at."""
    step.effects.runs_code = True
    raise UnknownError("what a procedure does")


COMMANDS: Mapping[str, Command] = {"do_stmt": do, "call_stmt": call}
