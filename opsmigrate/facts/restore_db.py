"""The facts of restore_db."""

from typing import TypedDict

from opsmigrate.facts.report import Facts


class LostWrites(TypedDict):
    """What was written to a table since the backup; null where that cannot be known."""

    table: str
    inserted: int | None
    updated: int | None
    deleted: int | None


class NotRestored(Facts):
    """A backup was to be restored, and was not."""

    file: str
    approval: str | None


class _Belongs(Facts):
    file: str
    approval: str | None
    restored_on: str | None
    release: str | None
    migrations: list[str]


class RestoredBeside(_Belongs):
    """--into: the backup is restored in a database of its own."""

    into: str


class _Swapped(Facts):
    approval: str | None
    former_database: str
    outage_seconds: float
    lost_writes: list[LostWrites]
    migrations_undone: list[str]
    tables_without_rows: list[str]


class RolledBack(_Belongs, _Swapped):
    """The live database is the backup; the former one is kept."""


class Undone(_Swapped):
    """--undo: the former database is the live one again."""


RestoreFacts = RolledBack | Undone | RestoredBeside | NotRestored | Facts
