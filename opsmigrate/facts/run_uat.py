"""The facts of run_uat."""

from collections.abc import Mapping
from typing import Literal, TypedDict

from opsmigrate.facts.report import Facts, KeyedSeal, ReportBody
from opsmigrate.steps import Step

CheckStatus = Literal["PASS", "FAIL", "ERROR", "NOT_RUN"]


class _IfMeasured(TypedDict, total=False):
    seconds: float
    rows: list[list[str]]
    sha256: str


class EvidencePart(_IfMeasured):
    """Something that a check saw; an image by its SHA-256 only."""

    kind: str
    title: str
    text: str


class CheckEntry(TypedDict):
    """How a check ended."""

    id: str
    status: CheckStatus
    severity: Literal["blocker", "major", "minor"]
    tags: list[str]
    started: float
    seconds: float
    message: str
    detail: str
    evidence: list[EvidencePart]
    retried: list[str]
    hint: str | None
    steps: list[Step]
    required: bool
    waived: str | None


class WaiverEntry(TypedDict):
    """A waiver, and what came of it."""

    check: str
    owner: str
    reason: str
    expires: str
    state: Literal["used", "not needed", "expired", "of no check"]


class Versions(TypedDict):
    """What the run was made with."""

    python: str
    django: str
    driver: str
    system: str


class AppliedMigration(TypedDict):
    """A migration, and when it was applied."""

    name: str
    applied: str


class MigrationsSince(TypedDict):
    """How many migrations are applied, and which since the backup or the baseline."""

    applied: int
    since: list[AppliedMigration]


class BackupOfRun(TypedDict):
    """The backup to go back to, and what to type for it."""

    id: str
    file: str
    taken: str
    run_id: str
    release: str | None
    verified: str | None
    sha256: str
    migrations: list[str]
    restore: str


class BaselineOfRun(TypedDict):
    """The baseline that was compared with."""

    id: str
    taken: str
    release: str | None


class Account(TypedDict):
    """Who logged in at the site, and what the site wrote for that."""

    username: str
    logins: int
    written: str


class Accepted(Facts):
    """The checks were run."""

    base_url: str | None
    served: bool
    tls_relaxed: bool
    release: str | None
    environment: str
    versions: Versions
    migrations: MigrationsSince
    backup: BackupOfRun | None
    baseline: BaselineOfRun | None
    account: Account | None
    checks: list[CheckEntry]
    deselected: list[str]
    waivers: list[WaiverEntry]


class ListedChecks(Facts):
    """--list: the ids of the checks."""

    checks: list[str]


class BaselineSaved(Facts):
    """--save-baseline: what the file has; `pages` maps each path to the status of its answer."""

    file: str
    models: int
    figures: int
    pages: Mapping[str, int]
    live: Mapping[str, str]
    migrations: list[str]


class _IfUnchanged(Facts, total=False):
    verdict: str


class VerifiedReport(_IfUnchanged):
    """--verify-report: whether a report is unchanged."""

    file: str
    sha256: str
    run_id: str | None


UatFacts = Accepted | ListedChecks | BaselineSaved | VerifiedReport | Facts


class _IfSealed(ReportBody, total=False):
    keyed_seal: KeyedSeal


class UatReport(_IfSealed):
    """The file uat_report.json: the report with the SHA-256 over its canonical form."""

    sha256: str
