"""What it needs to make or alter objects that the schema does not have: their rights alone.

Operators, aggregates, base and range types, collations, conversions, text search, event triggers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.commands.objects import need_to_make
from opsmigrate.preflight.interpret.effects import Right
from opsmigrate.preflight.interpret.named import name_parts, user_type_named
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.nodes import label

# Base types, and what else has functions that may do anything.
OF_SUPERUSERS = frozenset({"OBJECT_TYPE", "OBJECT_TSPARSER", "OBJECT_TSTEMPLATE"})


def define(step: Step, node: Any) -> None:
    """CREATE AGGREGATE, OPERATOR, TYPE, COLLATION, TEXT SEARCH."""
    kind, parts = label(node, "kind"), name_parts(node.defnames)
    if kind in OF_SUPERUSERS:
        step.effects.need("SUPERUSER", "role", ())
    home = need_to_make(step, parts)
    if node.replace:
        right = Right(privilege="OWNER", object_kind="function", name=(home or "", parts[-1]))
        step.effects.may_need(right)


def _made(field: str) -> Command:
    def rule(step: Step, node: Any) -> None:
        need_to_make(step, name_parts(getattr(node, field)))

    return rule


def _altered(field: str, kind: str) -> Command:
    def rule(step: Step, node: Any) -> None:
        value = getattr(node, field)
        name = (as_stored(value),) if isinstance(value, str) else name_parts(value)
        step.effects.need("OWNER", kind, name)

    return rule


def _operator(step: Step, node: Any) -> None:
    name = name_parts(node.opername.objname)
    step.effects.may_need(Right(privilege="OWNER", object_kind="operator", name=name))


def _type(step: Step, node: Any) -> None:
    """ALTER TYPE … SET (…), of a base type."""
    step.effects.need("OWNER", "type", user_type_named(step, node.type_name))


RIGHTS: Mapping[str, Command] = {
    "define_stmt": define,
    "create_conversion_stmt": _made("conversion_name"),
    "create_range_stmt": _made("type_name"),
    "alter_collation_stmt": _altered("collname", "collation"),
    "alter_event_trig_stmt": _altered("trigname", "event trigger"),
    "alter_operator_stmt": _operator,
    "alter_stats_stmt": _altered("defnames", "statistics"),
    "alter_tsconfiguration_stmt": _altered("cfgname", "text search configuration"),
    "alter_tsdictionary_stmt": _altered("dictname", "text search dictionary"),
    "alter_type_stmt": _type,
}
