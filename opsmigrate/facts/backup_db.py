"""The facts of backup_db."""

from collections.abc import Mapping

from opsmigrate.facts.report import Facts


class _IfKept(Facts, total=False):
    removed: list[str]


class Taken(_IfKept):
    """A backup was taken, and verified as far as `verified` says; `tables` maps to rows."""

    file: str
    bytes: int
    sha256: str
    tables: Mapping[str, int]
    excluded: list[str]
    verified: str | None
    client_version: str
    compress: str
    seconds: float
    migrations: list[str]
    scratch: str | None
    restored_on: str | None


class NotVerified(Facts):
    """A backup was taken, and found bad, or not proven as far as was asked."""

    file: str
    verified: str | None


class NotYetVerified(Facts):
    """A backup was taken, and the run was interrupted while it was verified."""

    file: str


class Listed(Facts):
    """The files of --list."""

    backups: list[str]


BackupFacts = Taken | NotVerified | NotYetVerified | Listed | Facts
