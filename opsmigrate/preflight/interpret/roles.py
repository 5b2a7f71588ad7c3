"""The role that a statement names, and who may maintain a table."""

from typing import Any

from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.interpret.effects import Right
from opsmigrate.preflight.interpret.step import Step
from opsmigrate.sql.names import Name
from opsmigrate.sql.nodes import label

KNOWS_MAINTAIN = 170_000
# No role can be called so.
PUBLIC = "public"


def maintenance_of(step: Step, table: Name) -> Right:
    """Return the right to maintain a table; before 17 only its owner has it."""
    privilege = "MAINTAIN" if step.schema.version >= KNOWS_MAINTAIN else "OWNER"
    return Right(privilege=privilege, object_kind="relation", name=table)


def role_named(step: Step, node: Any) -> str:
    """Return the name of the role that a RoleSpec means; refuse where there is none, as PUBLIC."""
    name = grantee_named(step, node)
    if name == PUBLIC:
        step.refuse("42704", "missing-role", name=name)
    return name


def grantee_named(step: Step, node: Any) -> str:
    """Return the name of the role that a RoleSpec means; PUBLIC is all roles there are."""
    kind = label(node, "roletype")
    if kind == "ROLESPEC_PUBLIC":
        return PUBLIC
    if kind != "ROLESPEC_CSTRING":
        # CURRENT_USER, CURRENT_ROLE and SESSION_USER.
        return step.schema.role
    name = as_stored(node.rolename)
    if name not in step.schema.roles:
        step.refuse("42704", "missing-role", name=name)
    return name
