"""The facts of preflight_migrate."""

from collections.abc import Mapping
from typing import Literal, TypedDict

from opsmigrate.facts.report import Facts, UndecidedPart
from opsmigrate.report import Severity
from opsmigrate.steps import Step

Basis = Literal["rehearsal", "rate"]
Blocks = list[Literal["reads", "writes"]]


class PlannedMigration(TypedDict):
    """A migration of the plan, in its order."""

    migration: str
    backwards: bool
    operations: list[str]


class DriftEntry(TypedDict):
    """Where the live schema differs from what the applied migrations claim."""

    id: str
    severity: Severity
    table: str
    column: str | None
    name: str | None
    claimed: str | None
    live: str | None


class PlainStatement(TypedDict):
    """A statement of the plan."""

    migration: str | None
    operation: str | None
    sql: str
    tables: list[str]


class StatementLock(TypedDict):
    """A lock that a statement takes, and what it keeps others from."""

    table: str
    mode: str
    blocks: Blocks


class ForecastStatement(PlainStatement):
    """A statement of the plan with what it is expected to do; `seconds` rest on `basis`."""

    understood: bool
    locks: list[StatementLock]
    rewrites: list[str]
    scans: list[str]
    builds_indexes_on: list[str]
    rows: int | None
    bytes: int | None
    seconds: float | None
    basis: Basis | None
    safer_alternative: str | None


class TableLock(StatementLock):
    """For how long a table is locked in a mode, while the plan applies."""

    rows: int | None
    bytes: int | None
    seconds: float
    basis: Basis


class OrderAdvice(TypedDict):
    """What another order of the plan would save at a table."""

    table: str
    advice: str


class Forecast(TypedDict):
    """How long which table is locked, by table and mode."""

    locks: list[TableLock]
    advice: list[OrderAdvice]


class NoForecast(TypedDict):
    """Why there is no forecast."""

    locks: None
    why: str


class RehearsedLock(TypedDict):
    """A lock as pg_locks showed it."""

    relation: str
    mode: str


class RehearsedStatement(TypedDict):
    """A statement that the rehearsal executed, with all its executions by one operation."""

    migration: str | None
    operation: str | None
    sql: str
    count: int
    seconds: float
    rows: int
    wal_bytes: int
    locks: list[RehearsedLock]
    rewrites: list[str]


class Isolation(TypedDict):
    """How far the rehearsal was kept from what is live."""

    server: str
    network: str | None
    fence: Literal["isolated", "shared"]
    why: list[str]


class KeptCopyUsed(TypedDict):
    """The kept copy that was rehearsed on; `stale` are tables that changed since.

    `backup` is null where an earlier rehearsal kept it, `clone` the alias of --rehearse-in.
    """

    name: str
    backup: str | None
    taken: str
    stale: list[str]
    clone: str | None


class Cured(TypedDict):
    """What was typed on the copy to put errors right, and whether migrate applied then."""

    typed: list[Step]
    applied: bool
    ended: str | None


class RehearsalFacts(TypedDict):
    """What the rehearsal was, and what it measured."""

    mode: Literal["clone", "schema", "kept"]
    absent_tables: list[str]
    # How many schemas of other tenants the copy lacks.
    other_tenants_left_out: int
    tables_without_rows: list[str]
    differences: list[str]
    gaps: list[str]
    kept_copy: KeptCopyUsed | None
    applied: bool
    cured: Cured | None
    isolation: Isolation
    copy_seconds: float
    migrate_seconds: float
    undecided_before: list[UndecidedPart]
    statements: list[RehearsedStatement]


class Standby(TypedDict):
    """A standby of the server."""

    name: str | None
    state: str | None
    sync_state: str | None
    bytes_behind: int | None


class Slot(TypedDict):
    """A replication slot of the server; `bytes` is the WAL that it holds back."""

    name: str
    type: str
    active: bool
    wal_status: str | None
    bytes: int | None


class Server(TypedDict):
    """What the server, its settings and other sessions are now."""

    timeouts_seconds: Mapping[str, float]
    pooled_by_transaction: bool
    standbys: list[Standby]
    slots: list[Slot]


class OldReleaseFacts(TypedDict):
    """The models that the release that runs now can no longer read or write."""

    models: int
    models_tried: int | None
    reads: list[str]
    writes: list[str]


class AskedOfRows(TypedDict):
    """A query that depends on rows, with what was set for it, and a digest of its answer."""

    query: str
    as_project: bool
    settings: list[str]
    answer: str


class Questions(TypedDict):
    """What was asked of rows; `of_itself_only` says why it tells nothing of equal schemas."""

    of_itself_only: str | None
    asked: list[AskedOfRows]


class _IfAsked(Facts, total=False):
    """With --with-questions."""

    questions: Questions


class Examined(_IfAsked):
    """The plan was examined; `drift` is null where there is no plan, `server` without a step."""

    plan: list[PlannedMigration]
    drift: list[DriftEntry] | None
    statements: list[ForecastStatement] | list[PlainStatement]
    forecast: Forecast | NoForecast
    rehearsal: RehearsalFacts | None
    server: Server | None
    old_release: OldReleaseFacts | None
    backup: str | None


class Page(Facts):
    """--explain: the page of a finding."""

    page: str


PreflightFacts = Examined | Page | Facts
