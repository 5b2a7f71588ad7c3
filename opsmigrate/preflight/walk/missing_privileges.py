"""Reports the privileges that the role lacks for what `migrate` does besides the plan."""

from collections.abc import Sequence

from opsmigrate.postgres.catalog import Relation
from opsmigrate.preflight.walk.privileges import BY_OTHERS, MissingPrivilege
from opsmigrate.preflight.walk.schema_walk import SchemaWalk


def report_missing_privileges(
    walk: SchemaWalk, all_missing: Sequence[MissingPrivilege], relation: Relation, purpose: str
) -> None:
    """Report that the role lacks privileges for what migrate does in addition to the plan."""
    named = ", ".join(
        dict.fromkeys(f"{missing.privilege} on {missing.on}" for missing in all_missing)
    )
    are = "is" if len(all_missing) == 1 else "are"
    walk.ledger.find(
        "missing-privilege",
        f"migrate must {purpose}, and {named} {are} not granted to the role",
        hint=BY_OTHERS,
        steps=tuple(step for missing in all_missing for step in missing.steps(walk.catalog.role)),
        table=relation.label,
    )
