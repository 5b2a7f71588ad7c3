"""The role that a statement names, and who may maintain a table."""

from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.effects import Right, UnknownError
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label

KNOWS_MAINTAIN = 170_000


def maintenance_of(step: Step, table: Name) -> Right:
    """Return the right to maintain a table; before 17 only its owner has it."""
    privilege = "MAINTAIN" if step.schema.version >= KNOWS_MAINTAIN else "OWNER"
    return Right(privilege=privilege, object_kind="relation", name=table)


def role_named(step: Step, node: Any) -> str:
    """Return the name of the role that a RoleSpec means; PUBLIC is "public".

    Refuse the statement where there is none of that name.
    """
    kind = label(node, "roletype")
    if kind == "ROLESPEC_CSTRING":
        name = as_stored(node.rolename)
        if not step.schema.roles:
            raise UnknownError(f"the role {name}")
        if name not in step.schema.roles:
            step.refuse("42704", "missing-role", name=name)
        return name
    if kind in ("ROLESPEC_CURRENT_USER", "ROLESPEC_CURRENT_ROLE", "ROLESPEC_SESSION_USER"):
        return step.schema.role
    if kind == "ROLESPEC_PUBLIC":
        return "public"
    raise UnknownError(f"the role {kind}")
