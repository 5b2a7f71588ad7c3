"""CREATE and ALTER PUBLICATION: what they need, with the tables that they get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.commands.objects import need_of_relation
from opsmigrate.preflight.interpret.step import Command, Step
from opsmigrate.sql.nodes import label

# TABLES IN SCHEMA.
OF_SCHEMAS = ("PUBLICATIONOBJ_TABLES_IN_SCHEMA", "PUBLICATIONOBJ_TABLES_IN_CUR_SCHEMA")


def create(step: Step, node: Any) -> None:
    """CREATE PUBLICATION."""
    step.effects.need("CREATE", "database", ())
    _tables(step, node)


def alter(step: Step, node: Any) -> None:
    """ALTER PUBLICATION."""
    step.effects.need("OWNER", "publication", (as_stored(node.pubname),))
    if label(node, "action") != "AP_DropObjects":
        _tables(step, node)


def _tables(step: Step, node: Any) -> None:
    """Note who may publish the tables: those of a schema, or all, a superuser."""
    specs = [each.publication_obj_spec for each in node.pubobjects]
    if node.for_all_tables or any(label(each, "pubobjtype") in OF_SCHEMAS for each in specs):
        step.effects.need("SUPERUSER", "role", ())
    for each in specs:
        if each.pubtable.HasField("relation"):
            need_of_relation(step, each.pubtable.relation)


RIGHTS: Mapping[str, Command] = {
    "alter_publication_stmt": alter,
    "create_publication_stmt": create,
}
