"""What a copy lacks, and which statements may come to ask for it."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.mentions import naming, read_reserved
from opsmigrate.preflight.rehearsal.selection import CopySelection
from opsmigrate.sql import nodes
from opsmigrate.sql.bodies import body_of
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.sql.statement import Node

DELETES = frozenset({"DeleteStmt", "MergeStmt", "TruncateStmt"})
DELETES_IN_BODIES = ("DELETE", "TRUNCATE", "MERGE")
# What makes PostgreSQL look at the rows behind a validated constraint again.
RECHECKS = frozenset({
    "AT_AlterColumnType", "AT_AlterConstraint", "AT_SetExpression", "AT_ValidateConstraint",
})  # fmt: skip
RECHECKS_IN_BODIES = ("TYPE", "VALIDATE", "ALTER CONSTRAINT", "SET EXPRESSION")


@dataclass(frozen=True, kw_only=True)
class CopyGaps:
    """What the copy lacks: rows, and the validity of constraints that rows contradict.

    `names` is the regular expression of those by which a statement may come to ask for the rows,
    None where there are all; `when_deleting` is that of those by which one that deletes may.
    `differing` is that of what is not as it is live (copy_differences.py). `not_validated_on_copy`
    says that the copy has a constraint as not validated that the live database takes for valid.
    """

    names: str | None
    when_deleting: str | None
    differing: str | None
    not_validated_on_copy: bool

    def asked_by(self, statement: str) -> bool:
        """Return whether a statement may go another way on the copy for what the copy lacks."""
        if self.meets_a_difference(statement):
            return True
        names = (
            self.when_deleting if _may_do(statement, _deletes, DELETES_IN_BODIES) else self.names
        )
        return names is not None and re.search(names, statement) is not None

    def meets_a_difference(self, statement: str) -> bool:
        """Return whether it may go another way whatever the rows are."""
        if self.not_validated_on_copy and _may_do(statement, _rechecks, RECHECKS_IN_BODIES):
            return True
        return self.differing is not None and re.search(self.differing, statement) is not None


def copy_gaps(
    selection: CopySelection,
    connection: BaseDatabaseWrapper,
    *,
    differing: Collection[str],
    not_validated_on_copy: bool,
) -> CopyGaps:
    """Return what a copy of this selection lacks; `connection` is to the server that has it."""
    reserved = read_reserved(connection) if selection.telling or differing else frozenset()

    def pattern(names: Collection[str]) -> str | None:
        return naming(names, reserved) if names else None

    return CopyGaps(
        names=pattern(selection.telling),
        when_deleting=pattern(selection.telling and selection.telling | selection.referenced),
        differing=pattern(differing),
        not_validated_on_copy=not_validated_on_copy,
    )


def _may_do(text: str, does: Callable[[Node], bool], in_bodies: Collection[str]) -> bool:
    """Return whether a part of a text does it, or a body has a word for it; of what is no SQL, yes.

    A body is PL/pgSQL, which the grammar does not read.
    """
    statements = statements_if_readable(text)
    if statements is None or any(does(part) for each in statements for part in each.parts()):
        return True
    has_body = any(body_of(each) is not None for each in statements)
    return has_body and any(word in text.upper() for word in in_bodies)


def _deletes(part: Node) -> bool:
    return part.kind in DELETES


def _rechecks(part: Node) -> bool:
    if part.kind == "AlterTableCmd":
        return nodes.label(part.value, "subtype") in RECHECKS
    return part.kind == "AlterDomainStmt"
