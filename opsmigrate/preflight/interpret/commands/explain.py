"""EXPLAIN: a query is looked at, and not done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsmigrate.preflight.interpret.commands import dml
from opsmigrate.preflight.interpret.effects import UnknownError
from opsmigrate.preflight.interpret.step import Command, Step


def explain(step: Step, node: Any) -> None:
    """EXPLAIN: what it explains is locked and looked at, and done for ANALYZE alone."""
    kind = node.query.WhichOneof("node")
    command = dml.COMMANDS.get(kind)
    names = {each.def_elem.defname for each in node.options}
    if command is None:
        raise UnknownError("EXPLAIN of more than a query")
    schema = step.schema
    command(step, getattr(node.query, kind))
    if "analyze" in names:
        # It is done, too.
        return
    step.schema = schema
    step.effects.writes_rows.clear()
    step.effects.assigned.clear()


COMMANDS: Mapping[str, Command] = {"explain_stmt": explain}
