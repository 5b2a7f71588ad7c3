"""One difference between the claimed and the live schema, in words."""

from dataclasses import dataclass

from opsmigrate.postgres.catalog import Column, Constraint, Index
from opsmigrate.schema.claims import ClaimedCheck, ClaimedColumn, ClaimedForeignKey, ClaimedIndex
from opsmigrate.steps import Step


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What the applied migrations claim, and what is live; None stands for nothing.

    `id` is that of the finding. `table` is `schema.name`; `name` that of a constraint or index,
    where there is one. `hint` says what to decide, and `steps` are what to type to bring the
    database to what is claimed. `claim` is what is claimed, and `there` what is in its place, for
    those who know what to do with it.
    """

    id: str
    table: str
    column: str | None = None
    name: str | None = None
    claimed: str | None = None
    live: str | None = None
    hint: str | None = None
    steps: tuple[Step, ...] = ()
    claim: ClaimedColumn | ClaimedIndex | ClaimedForeignKey | ClaimedCheck | None = None
    there: Column | Index | Constraint | None = None

    @property
    def words(self) -> str:
        """Return the difference as one sentence."""
        place = f"{self.table}.{self.column}" if self.column else self.table
        return (
            f"{place}: the applied migrations describe {self.claimed or 'no such column'}; the "
            f"database has {self.live or 'none'}"
        )
