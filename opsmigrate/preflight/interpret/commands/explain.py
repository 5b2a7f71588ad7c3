"""EXPLAIN: a query is looked at, and not done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsmigrate.preflight.interpret.commands import dml
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.step import Command, Step

OFF = ("false", "off")


def explain(step: Step, node: Any) -> None:
    """EXPLAIN: what it explains is locked and looked at, and done for ANALYZE alone."""
    kind = node.query.WhichOneof("node")
    command = dml.COMMANDS.get(kind)
    if command is None:
        raise UnknownError("EXPLAIN of more than a query")
    schema = step.schema
    command(step, getattr(node.query, kind))
    if _is_done(node):
        return
    step.schema = schema
    step.effects.writes_rows.clear()
    step.effects.assigned.clear()


def _is_done(node: Any) -> bool:
    """Return whether ANALYZE is asked for, by the last option that says so."""
    said = [each.def_elem.arg for each in node.options if each.def_elem.defname == "analyze"]
    no_number = [each.WhichOneof("node") != "integer" or each.integer.ival for each in said]
    return bool(said and no_number[-1]) and said[-1].string.sval.lower() not in OFF


COMMANDS: Mapping[str, Command] = {"explain_stmt": explain}
