"""SET, LOCK, SET CONSTRAINTS, and transactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from opsmigrate.postgres.lock_modes import MODES
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.effects import Right, UnknownError
from opsmigrate.preflight.interpret.inheritance import descendants_of
from opsmigrate.preflight.interpret.lookup import relation_of
from opsmigrate.preflight.interpret.queries import MATTERS
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.names import range_name
from opsmigrate.sql.nodes import label


def set_variable(step: Step, node: Any) -> None:
    """SET and RESET."""
    kind, name = label(node, "kind"), node.name.lower()
    if name == "session_replication_role":
        # Or one to whom it was granted (GRANT SET ON PARAMETER).
        step.effects.may_need(Right(privilege="SUPERUSER", object_kind="role", name=()))
    if kind == "VAR_RESET_ALL" or name in MATTERS:
        sets = step.statement.text.split("=")[0].strip()
        raise UnknownError(f"what {sets} sets", rights_told=True)
    if name == "search_path":
        _set_search_path(step, node, kind)
    elif name == "timezone":
        values = [each.a_const.sval.sval for each in node.args]
        step.schema = replace(step.schema, time_zone=values[0] if len(values) == 1 else "")


def _set_search_path(step: Step, node: Any, kind: str) -> None:
    if kind != "VAR_SET_VALUE":
        raise UnknownError("the default search_path", rights_told=True)
    if node.is_local and not step.schema.savepoints:
        return
    names = [as_stored(each.a_const.sval.sval) for each in node.args]
    if any(name.startswith("pg_") for name in names):
        raise UnknownError("a search_path with PostgreSQL's own schemas", rights_told=True)
    found = (step.schema.role if name == "$user" else name for name in names)
    path = tuple(dict.fromkeys(name for name in found if name in step.schema.schemas))
    after = _path_after(step.schema) if node.is_local else None
    step.schema = replace(step.schema, search_path=path, path_after=after)


def _path_after(schema: Schema) -> tuple[str, ...]:
    return schema.search_path if schema.path_after is None else schema.path_after


def lock(step: Step, node: Any) -> None:
    """LOCK TABLE."""
    mode = MODES[node.mode - 1]
    for each in node.relations:
        table = relation_of(step, each.range_var)
        if table.kind == "v":
            raise UnknownError("LOCK of a view", table.name)
        if table.kind not in "rp":
            step.refuse("42809", "wrong-kind", relation=table.name)
        family = descendants_of(step.schema, table.name) if each.range_var.inh else ()
        for name in (table.name, *family):
            if mode != MODES[0]:
                step.effects.lock(name, mode)
        step.effects.need(f"LOCK {mode}", "relation", table.name)


def set_constraints(step: Step, node: Any) -> None:
    """SET CONSTRAINTS: what is checked now, is a question of the rows written before."""
    for each in node.constraints:
        schema, name = range_name(each.range_var)
        if schema is not None and schema not in step.schema.schemas:
            step.refuse("3F000", "missing-schema", name=schema)
        homes = (schema,) if schema else step.schema.search_path
        found = next(filter(None, (_named(step.schema, home, name) for home in homes)), None)
        if found is None:
            step.refuse("42704", "missing-constraint", name=name)
        if node.deferred and not any(found):
            step.refuse("42809", "not-deferrable", name=name)


def _named(schema: Schema, home: str, name: str) -> list[bool]:
    """Return whether each of the constraints of this name is deferrable."""
    tables = [each for each in schema.relations.values() if each.name.schema == home]
    keys = [each.constraints[name].deferrable for each in tables if name in each.constraints]
    triggers = [trigger for each in tables for trigger in each.triggers.values()]
    return keys + [each.deferrable for each in triggers if each.of_constraint == name]


def transaction(step: Step, node: Any) -> None:
    """BEGIN, COMMIT, ROLLBACK, and savepoints: what is undone was never there."""
    kind = label(node, "kind").removeprefix("TRANS_STMT_")
    rule = TRANSACTIONS.get(kind)
    if rule is None:
        raise UnknownError(f"{kind} of a transaction", rights_told=True)
    step.schema = rule(step, as_stored(node.savepoint_name))


def _begin(step: Step, name: str) -> Schema:
    if step.schema.savepoints:
        return step.schema
    return replace(step.schema, savepoints=(("", step.schema),))


def _commit(step: Step, name: str) -> Schema:
    path = _path_after(step.schema)
    return replace(step.schema, savepoints=(), search_path=path, path_after=None)


def _rollback(step: Step, name: str) -> Schema:
    return step.schema.savepoints[0][1] if step.schema.savepoints else step.schema


def _savepoint(step: Step, name: str) -> Schema:
    kept = replace(step.schema, savepoints=())
    # Where nothing began a transaction, the statement is in one from before.
    former = step.schema.savepoints or (("", kept),)
    return replace(step.schema, savepoints=(*former, (name, kept)))


def _place(step: Step, name: str) -> int:
    for number in reversed(range(1, len(step.schema.savepoints))):
        if step.schema.savepoints[number][0] == name:
            return number
    return step.refuse("3B001", "missing-savepoint", name=name)


def _rollback_to(step: Step, name: str) -> Schema:
    if not step.schema.savepoints:
        raise UnknownError("a savepoint from before", rights_told=True)
    place = _place(step, name)
    return replace(step.schema.savepoints[place][1], savepoints=step.schema.savepoints[: place + 1])


def _release(step: Step, name: str) -> Schema:
    if not step.schema.savepoints:
        raise UnknownError("a savepoint from before", rights_told=True)
    return replace(step.schema, savepoints=step.schema.savepoints[: _place(step, name)])


def nothing(step: Step, node: Any) -> None:
    """Do nothing that others see."""


TRANSACTIONS: Mapping[str, Callable[[Step, str], Schema]] = {
    "BEGIN": _begin,
    "START": _begin,
    "COMMIT": _commit,
    "ROLLBACK": _rollback,
    "SAVEPOINT": _savepoint,
    "ROLLBACK_TO": _rollback_to,
    "RELEASE": _release,
}
COMMANDS: Mapping[str, Command] = {
    "variable_set_stmt": set_variable,
    "variable_show_stmt": nothing,
    "lock_stmt": lock,
    "constraints_set_stmt": set_constraints,
    "transaction_stmt": transaction,
    "notify_stmt": nothing,
    "listen_stmt": nothing,
    "unlisten_stmt": nothing,
    "check_point_stmt": nothing,
}
