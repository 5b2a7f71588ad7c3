"""What a copy lacks, and which statements may come to ask for it."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.mentions import naming, read_reserved
from opsmigrate.preflight.rehearsal.selection import CopySelection

DELETES = re.compile(r"\b(?:DELETE|TRUNCATE|MERGE)\b", re.IGNORECASE)
# What makes PostgreSQL look at the rows behind a validated constraint again.
RECHECKS = re.compile(r"\b(?:TYPE|VALIDATE)\b", re.IGNORECASE)


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
        names = self.when_deleting if DELETES.search(statement) else self.names
        return names is not None and re.search(names, statement) is not None

    def meets_a_difference(self, statement: str) -> bool:
        """Return whether it may go another way whatever the rows are."""
        if self.not_validated_on_copy and RECHECKS.search(statement):
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
