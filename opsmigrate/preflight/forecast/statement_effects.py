"""What statements do to tables: gathered by effects_of()."""

from dataclasses import dataclass, field

from opsmigrate.postgres.lock_modes import stronger
from opsmigrate.preflight.forecast.sizes import Server
from opsmigrate.preflight.forecast.tables import ForecastTable, ForecastTables


@dataclass(frozen=True)
class SchemaView:
    """What the effects of a statement depend on."""

    tables: ForecastTables
    server: Server


@dataclass(kw_only=True)
class Effects:
    """Live tables by label: locked in which mode, rewritten, read through, indexed anew.

    `understood` is False where a statement is of a kind that is not known here.
    """

    understood: bool = True
    locks: dict[str, str] = field(default_factory=dict)
    rewrites: list[str] = field(default_factory=list)
    scans: list[str] = field(default_factory=list)
    # How many indexes are built on each table.
    builds: dict[str, int] = field(default_factory=dict)
    concurrently: bool = False

    def lock(self, table: ForecastTable, mode: str) -> None:
        """Record a lock; the strongest of several counts."""
        if table.live:
            self.locks[table.label] = stronger(self.locks.get(table.label), mode)

    def rewrite(self, table: ForecastTable) -> None:
        """Record a rewrite, which rebuilds all indexes."""
        if table.live and table.label not in self.rewrites:
            self.rewrites.append(table.label)
            self.builds[table.label] = len(table.indexes)

    def scan(self, table: ForecastTable) -> None:
        """Record that the whole table is read."""
        if table.live and table.label not in self.scans:
            self.scans.append(table.label)

    def build(self, table: ForecastTable, *, concurrently: bool = False) -> None:
        """Record that an index is built."""
        if table.live:
            self.builds[table.label] = self.builds.get(table.label, 0) + 1
            self.concurrently = concurrently
            self.scan(table)
