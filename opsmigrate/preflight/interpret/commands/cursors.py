"""Cursors and prepared statements: what they need, their query says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsmigrate.preflight.interpret.commands import dml
from opsmigrate.preflight.interpret.effects import RefusedError, UnknownError
from opsmigrate.preflight.interpret.step import Command, Step


def declare(step: Step, node: Any) -> None:
    """DECLARE and PREPARE: the query is looked at where it is named."""
    kind = node.query.WhichOneof("node")
    try:
        dml.COMMANDS[kind](step, getattr(node.query, kind))
    except RefusedError as refused:
        raise UnknownError(f"a query that is not understood ({refused})") from refused


def nothing(step: Step, node: Any) -> None:
    """Need nothing: they go on with a query of the session, or end what is its own."""


RIGHTS: Mapping[str, Command] = {
    **dict.fromkeys(("declare_cursor_stmt", "prepare_stmt"), declare),
    **dict.fromkeys(
        (
            # Of the privileges that the role itself gives.
            "alter_default_privileges_stmt",
            "close_portal_stmt",
            "deallocate_stmt",
            "discard_stmt",
            "execute_stmt",
            "fetch_stmt",
        ),
        nothing,
    ),
}
