"""How a right is told that the role lacks for what `migrate` does besides the plan."""

from collections.abc import Sequence

from opsmigrate.postgres.catalog import Relation
from opsmigrate.preflight.walk.requirements import Requirements
from opsmigrate.preflight.walk.rights import BY_OTHERS, Lack


def find_lack(
    requirements: Requirements, lacks: Sequence[Lack], relation: Relation, purpose: str
) -> None:
    """Report that the role lacks privileges for what migrate does in addition to the plan."""
    named = ", ".join(dict.fromkeys(f"{lack.privilege} on {lack.on}" for lack in lacks))
    are = "is" if len(lacks) == 1 else "are"
    requirements.ledger.find(
        "missing-privilege",
        f"migrate must {purpose}, and {named} {are} not granted to the role",
        hint=BY_OTHERS,
        steps=tuple(step for lack in lacks for step in lack.steps(requirements.catalog.role)),
        table=relation.label,
    )
