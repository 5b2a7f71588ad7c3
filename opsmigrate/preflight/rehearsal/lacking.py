"""What a copy lacks, and which statements may come to ask for it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

DELETES = re.compile(r"\b(?:DELETE|TRUNCATE|MERGE)\b", re.IGNORECASE)
# What makes PostgreSQL look at the rows behind a validated constraint again.
RECHECKS = re.compile(r"\b(?:TYPE|VALIDATE)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Lacking:
    """What the copy lacks: rows, and belief in constraints that rows contradict.

    `names` are those by which a statement may come to ask for the rows, `referenced` those by
    which one that deletes may. `unbelieved` says that the copy has a constraint as not validated
    that the live database takes for valid.
    """

    names: tuple[str, ...] = ()
    referenced: tuple[str, ...] = ()
    unbelieved: bool = False

    def asked_by(self, statement: str) -> bool:
        """Say whether a statement may go another way on the copy for what the copy lacks."""
        if self.unbelieved and RECHECKS.search(statement):
            return True
        if not self.names:
            return False
        asking = self._by_deleting if DELETES.search(statement) else self._by_itself
        return asking.search(statement) is not None

    @cached_property
    def _by_itself(self) -> re.Pattern[str]:
        return _any_of(self.names)

    @cached_property
    def _by_deleting(self) -> re.Pattern[str]:
        return _any_of((*self.names, *self.referenced))


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    # In any case of letters: without quotes, LARGE is large.
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)", re.IGNORECASE)
