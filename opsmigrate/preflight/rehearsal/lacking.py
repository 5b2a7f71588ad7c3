"""What a copy lacks, and which statements may come to ask for it."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.mentions import naming, read_reserved
from opsmigrate.preflight.rehearsal.selection import Selection

DELETES = re.compile(r"\b(?:DELETE|TRUNCATE|MERGE)\b", re.IGNORECASE)
# What makes PostgreSQL look at the rows behind a validated constraint again.
RECHECKS = re.compile(r"\b(?:TYPE|VALIDATE)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Lacking:
    """What the copy lacks: rows, and belief in constraints that rows contradict.

    `names` is the regular expression of those by which a statement may come to ask for the rows,
    None where there are all; `when_deleting` is that of those by which one that deletes may.
    `unlike` is that of what is not as it is live (likeness.py).
    `unbelieved` says that the copy has a constraint as not validated that the live database takes
    for valid.
    """

    names: str | None
    when_deleting: str | None
    unlike: str | None
    unbelieved: bool

    def asked_by(self, statement: str) -> bool:
        """Return whether a statement may go another way on the copy for what the copy lacks."""
        if self.meets_what_is_unlike(statement):
            return True
        names = self.when_deleting if DELETES.search(statement) else self.names
        return names is not None and re.search(names, statement) is not None

    def meets_what_is_unlike(self, statement: str) -> bool:
        """Return whether it may go another way whatever the rows are."""
        if self.unbelieved and RECHECKS.search(statement):
            return True
        return self.unlike is not None and re.search(self.unlike, statement) is not None


def lacking_in(
    selection: Selection,
    connection: BaseDatabaseWrapper,
    *,
    unlike: Collection[str],
    unbelieved: bool,
) -> Lacking:
    """Return what a copy of this selection lacks; `connection` is to the server that has it."""
    reserved = read_reserved(connection) if selection.telling or unlike else frozenset()

    def pattern(names: Collection[str]) -> str | None:
        return naming(names, reserved) if names else None

    return Lacking(
        names=pattern(selection.telling),
        when_deleting=pattern(selection.telling and selection.telling | selection.referenced),
        unlike=pattern(unlike),
        unbelieved=unbelieved,
    )
