"""Time-outs of the migrating session, against the time that the plan takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.opening import pin_of
from opsmigrate.preflight.forecast.forecast import StatementCost
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.report import Finding, Severity
from opsmigrate.steps import Step, command

if TYPE_CHECKING:
    from opsmigrate.preflight.rehearsal.rehearsed_statement import RehearsedStatement

STATEMENT, TRANSACTION = "statement_timeout", "transaction_timeout"
IDLE = "idle_in_transaction_session_timeout"
LOCK = "lock_timeout"
NAMES = (STATEMENT, TRANSACTION, IDLE, LOCK)
# pg_settings.source, in words.
SOURCES = {
    "client": "by the client (OPTIONS, PGOPTIONS)",
    "database": "for the database (ALTER DATABASE … SET)",
    "user": "for the role (ALTER ROLE … SET)",
    "database user": "for the role in this database (ALTER ROLE … IN DATABASE … SET)",
    "configuration file": "in the server's configuration",
}
# In our session some are lifted (opening.py). What they were comes as an argument; where they were
# set, a session tells that has its defaults again, for this one statement.
LIMITS = """
WITH given AS (SELECT * FROM unnest(%s::text[], %s::text[]) AS given (name, value)),
again AS MATERIALIZED (SELECT count(set_config(name, NULL, true)) FROM given)
SELECT (s).name, extract(epoch FROM coalesce(value, (s).setting || 'ms')::interval)::float8,
       CASE WHEN extract(epoch FROM value::interval) * 1000 <> (s).setting::numeric THEN 'session'
       ELSE (s).source END
FROM (SELECT pg_show_all_settings() AS s FROM again OFFSET 0) AS all_settings
LEFT JOIN given ON given.name = (s).name
WHERE (s).name = ANY(%s)
"""
# A copy is quicker or slower than the live database, and a machine that has much else to do slower
# still; beyond twice the limit and seconds more that makes no difference, and below half of it
# neither.
SURELY, SECONDS_MORE, PERHAPS = 2.0, 5.0, 0.5
# The forecast's rates are those of an idle core on warm data.
SLOWER = 5.0


@dataclass(frozen=True)
class Limit:
    """A time-out that stands: its seconds, and in words where it was set."""

    name: str
    seconds: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Expected:
    """How long a statement is expected to take each time; `measured` on a copy, or estimated."""

    migration: str | None
    operation: str | None
    table: str | None
    seconds: float
    measured: bool
    times: int = 1


def read_limits(connection: BaseDatabaseWrapper) -> dict[str, Limit]:
    """Return the time-outs of this session, which are those of `migrate` with the same alias."""
    pin = pin_of(connection)
    lifted = pin.limits if pin else {}
    with connection.cursor() as cursor:
        cursor.execute(LIMITS, [list(lifted), list(lifted.values()), list(NAMES)])
        return {
            name: Limit(name, seconds, SOURCES.get(source, f"by the {source}"))
            for name, seconds, source in cursor.fetchall()
            if seconds > 0
        }


def in_lines(limits: Mapping[str, Limit], whose: str) -> tuple[str, ...]:
    """Return the lines that say which time-outs stand; `whose` says in which sessions."""
    words = [
        f"{name} {limits[name].seconds:g} s, set {limits[name].source}"
        if name in limits
        else f"{name} none"
        for name in ("lock_timeout", STATEMENT)
    ]
    return (
        f"Time-outs of {whose}:",
        *(f"  {each}" for each in words),
    )


def measured_times(statements: Iterable[RehearsedStatement]) -> list[Expected]:
    """Return the seconds that the statements of a rehearsal took."""
    return [
        Expected(
            migration=item.migration,
            operation=item.operation,
            table=None,
            seconds=item.seconds / max(1, item.count),
            measured=True,
            times=max(1, item.count),
        )
        for item in statements
        if item.migration
    ]


def estimated_times(costs: Iterable[StatementCost]) -> list[Expected]:
    """Return what the forecast expects of its statements, on a slow day."""
    return [
        Expected(
            migration=cost.migration,
            operation=cost.operation,
            table=next(iter(cost.tables), None),
            seconds=cost.seconds * SLOWER,
            measured=False,
        )
        for cost in costs
        if cost.seconds
    ]


def require_time(limits: Mapping[str, Limit], expected: list[Expected], ledger: Ledger) -> None:
    """Report each time-out that the plan would reach: an error if a rehearsal proves it.

    Where it took longer on the copy than the limit allows, and that may be for another reason, the
    question is undecided.
    """
    if STATEMENT in limits:
        limit = limits[STATEMENT]
        near = [item for item in expected if _near(limit, item)]
        # One is enough: the first that is surely too long, else the first that may be.
        near.sort(key=lambda item: (not _sure(limit, item), not _over(limit, item)))
        _note(limit, near[:1], "a statement", ledger)
    if TRANSACTION in limits:
        limit = limits[TRANSACTION]
        whole = [item for item in _by_migration(expected) if _near(limit, item)]
        _note(limit, whole[:1], "its transaction", ledger)
    if IDLE in limits and ledger.code_runs:
        limit = limits[IDLE]
        ledger.add(
            Finding(
                id="timeout-too-short",
                severity=Severity.INFO,
                message=f"{IDLE} is {limit.seconds:g} s, set {limit.source}; code of a migration "
                "that computes for longer between two statements loses its session",
                hint=_words(limit),
                steps=_without(limit),
                evidence={"setting": limit.name, "seconds": limit.seconds, "source": limit.source},
            )
        )


def _near(limit: Limit, item: Expected) -> bool:
    return item.seconds >= limit.seconds * PERHAPS


def _over(limit: Limit, item: Expected) -> bool:
    return item.measured and item.seconds >= limit.seconds


def _sure(limit: Limit, item: Expected) -> bool:
    more = item.seconds - limit.seconds
    return _over(limit, item) and item.seconds >= limit.seconds * SURELY and more >= SECONDS_MORE


def _note(limit: Limit, items: list[Expected], what: str, ledger: Ledger) -> None:
    for item in items:
        finding = _finding(limit, item, what)
        ledger.add(finding)
        if _over(limit, item) and not _sure(limit, item):
            with ledger.at(item.migration, item.operation):
                ledger.mark_undecided(f"whether the live database is faster: {finding.message}")


def _by_migration(expected: list[Expected]) -> Iterator[Expected]:
    sums: dict[str | None, list[Expected]] = {}
    for item in expected:
        sums.setdefault(item.migration, []).append(item)
    for migration, items in sums.items():
        yield Expected(
            migration=migration,
            operation=None,
            table=None,
            seconds=sum(item.seconds * item.times for item in items),
            measured=all(item.measured for item in items),
        )


def _finding(limit: Limit, item: Expected, what: str) -> Finding:
    sure = _sure(limit, item)
    basis = "took on the copy" if item.measured else "may take, judging by the sizes of the tables,"
    return Finding(
        id="timeout-too-short",
        severity=Severity.ERROR if sure else Severity.WARNING,
        message=f"{limit.name} is {limit.seconds:g} s, set {limit.source}; "
        f"{what} {basis} {item.seconds:,.1f} s",
        hint=_words(limit),
        steps=_without(limit),
        migration=item.migration,
        operation=item.operation,
        table=item.table,
        evidence={
            "setting": limit.name,
            "seconds": limit.seconds,
            "source": limit.source,
            "expected_seconds": round(item.seconds, 3),
            "measured": item.measured,
        },
    )


def _words(limit: Limit) -> str:
    by_client = limit.source == SOURCES["client"]
    return "raise it where it is set" if by_client else "run migrate without it"


def _without(limit: Limit) -> tuple[Step, ...]:
    """Return the command without the limit; what OPTIONS say, PGOPTIONS cannot change."""
    if limit.source == SOURCES["client"]:
        return ()
    return (command(f"PGOPTIONS='-c {limit.name}=0' python manage.py migrate"),)
