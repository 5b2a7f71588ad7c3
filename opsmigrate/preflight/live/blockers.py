"""Blockers: the sessions that now hold what the plan will have to lock."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.names import literal, quoted
from opsmigrate.preflight.forecast.forecast import StatementCost
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.live.planned_locks import PlannedLock, planned_locks
from opsmigrate.report import Finding, Severity
from opsmigrate.steps import Step, statement

# Younger transactions come and go on a busy database: the plan waits for them, and goes on.
LONG_SECONDS = 5.0
# A transaction manager commits what it prepared at once; what is older was forgotten.
FORGOTTEN_SECONDS = 10.0
# How long a holder is watched whose age the role may not see.
WATCH_SECONDS = 1.0
SHOWN = 10
WORDS = 6
WAIT = "wait until it has ended, or end it"

# A prepared transaction has locks without a process; which it is, its lock on itself says. That its
# virtualtransaction is -1/…, as the documentation of pg_locks has it, holds after a restart only.
HOLDERS = """
SELECT c.oid::bigint, l.mode, l.virtualtransaction, l.pid, a.usename::text, a.application_name,
       a.state, a.query_start, a.query, a.backend_type,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
       p.gid, p.owner::text, extract(epoch FROM clock_timestamp() - p.prepared)::float8
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
    AND x.virtualtransaction = l.virtualtransaction
LEFT JOIN pg_prepared_xacts p ON p.transaction::text = x.transactionid::text
WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.relation = ANY(%s::oid[])
"""
# CREATE INDEX CONCURRENTLY waits for each older snapshot of the database, whatever it reads
# (documentation of CREATE INDEX, Building Indexes Concurrently).
SNAPSHOTS = """
SELECT a.pid, a.usename::text, a.application_name, a.state, a.query_start, a.query,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_xmin IS NOT NULL
    AND a.backend_type = 'client backend'
ORDER BY a.xact_start
"""
# Who is in a transaction holds a lock on its own virtualxid, which everybody may see.
HIDDEN = """
SELECT EXISTS (SELECT FROM pg_stat_activity a JOIN pg_locks l USING (pid)
           WHERE a.datname = current_database() AND a.query = '<insufficient privilege>'
               AND l.locktype = 'virtualxid')
"""


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """A session or prepared transaction that holds locks; `seconds` is its transaction's age.

    What the role may not see is None. `modes` are those of its locks by the table's oid, as
    pg_locks names them.
    """

    pid: int | None
    gid: str | None
    role: str | None
    application: str | None
    state: str | None
    query_start: datetime | None
    query: str | None
    backend: str | None
    seconds: float | None
    transaction: str
    modes: Mapping[int, frozenset[str]]

    @property
    def against_wraparound(self) -> bool:
        """Return whether it is an autovacuum that does not give way."""
        return self._vacuum and "(to prevent wraparound)" in (self.query or "")

    @property
    def gives_way(self) -> bool:
        """Return whether it is an autovacuum that ends itself where a lock is wanted."""
        return self._vacuum and not self.against_wraparound

    @property
    def _vacuum(self) -> bool:
        return self.backend == "autovacuum worker"


def find_blockers(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    costs: Sequence[StatementCost],
    patience: float | None,
    ledger: Ledger,
) -> None:
    """Add findings on who holds the live tables of the plan, and on what is left in them.

    `patience` are the seconds that `migrate` waits for a lock, None where it waits without end.
    Nobody is waited for but, for a second, where the role may not see since when a lock is held.
    """
    oids = {relation.label: relation.oid for relation in catalog.relations}
    wanted = [item for item in planned_locks(costs) if item.table in oids]
    if not wanted:
        return
    by_oid: dict[int, list[PlannedLock]] = {}
    for item in wanted:
        by_oid.setdefault(oids[item.table], []).append(item)
    hidden = _hides_sessions(connection)
    holders = [
        item for item in _holders(connection, list(by_oid)) if _waited_for(item, by_oid) is not None
    ]
    stuck = _stuck(connection, holders, list(by_oid))
    findings = [
        _finding(holder, wait, patience)
        for holder in stuck[:SHOWN]
        if (wait := _waited_for(holder, by_oid)) is not None
    ]
    pids = {holder.pid for holder in stuck}
    concurrently = next((item for item in wanted if item.snapshots), None)
    if concurrently is not None:
        findings += _old_snapshots(connection, concurrently, pids, patience)
    if hidden and (findings or concurrently):
        findings.append(_hidden(catalog.role))
    ledger.add(*findings)


def words_of(query: str | None) -> str | None:
    """Return the first words of a query, none of its values: they may be secret."""
    if query is None or query.startswith("<"):
        return None
    plain = re.split(r"['$\d]", " ".join(query.split()))[0]
    words = plain.split(" ")[:WORDS]
    return " ".join(words).strip() or None


def _hides_sessions(connection: BaseDatabaseWrapper) -> bool:
    """Return whether what other sessions do is hidden from the role."""
    with connection.cursor() as cursor:
        cursor.execute(HIDDEN)
        return bool(cursor.fetchone()[0])


def _severity(patience: float | None, held: float | None) -> Severity:
    """Return that of a wait: who has held it for longer than migrate waits may do so again."""
    known = WATCH_SECONDS if held is None else held
    certain = patience is not None and patience <= known
    return Severity.ERROR if certain else Severity.WARNING


def _holders(connection: BaseDatabaseWrapper, oids: list[int]) -> list[Blocker]:
    with connection.cursor() as cursor:
        cursor.execute(HOLDERS, [oids])
        rows = list(cursor.fetchall())
    locks: dict[str, dict[int, set[str]]] = {}
    for oid, mode, transaction, *_ in rows:
        locks.setdefault(transaction, {}).setdefault(oid, set()).add(mode)
    firsts = {row[2]: row for row in reversed(rows)}
    return [
        _holder(row, {oid: frozenset(modes) for oid, modes in locks[transaction].items()})
        for transaction, row in firsts.items()
    ]


def _holder(row: tuple[Any, ...], modes: Mapping[int, frozenset[str]]) -> Blocker:
    transaction, pid, role, application, state, query_start, query, backend, seconds = row[2:11]
    gid, owner, prepared = row[11:]
    return Blocker(
        pid=pid,
        gid=gid,
        role=role or owner,
        application=application or None,
        state=state,
        query_start=query_start,
        query=query,
        backend=backend,
        seconds=prepared if pid is None else seconds,
        transaction=transaction,
        modes=modes,
    )


def _waited_for(holder: Blocker, by_oid: Mapping[int, list[PlannedLock]]) -> PlannedLock | None:
    """Return the first statement of the plan that would wait for the holder."""
    if holder.gives_way:
        return None
    found = [
        item
        for oid, modes in holder.modes.items()
        for item in by_oid[oid]
        if item.conflicts_with(modes)
    ]
    return min(found, key=lambda item: item.number, default=None)


def _stuck(
    connection: BaseDatabaseWrapper, holders: Iterable[Blocker], oids: list[int]
) -> list[Blocker]:
    """Return those that do not come and go, the oldest first."""
    known, unknown = [], []
    for holder in holders:
        limit = FORGOTTEN_SECONDS if holder.pid is None else LONG_SECONDS
        if holder.seconds is None:
            unknown.append(holder)
        elif holder.seconds >= limit or holder.against_wraparound:
            known.append(holder)
    if unknown:
        time.sleep(WATCH_SECONDS)
        still = {holder.transaction for holder in _holders(connection, oids)}
        unknown = [holder for holder in unknown if holder.transaction in still]
    return [*sorted(known, key=lambda holder: -(holder.seconds or 0)), *unknown]


def _finding(holder: Blocker, wait: PlannedLock, patience: float | None) -> Finding:
    evidence = {
        "pid": holder.pid,
        "prepared_transaction": holder.gid,
        "role": holder.role,
        "application": holder.application,
        "state": holder.state,
        "seconds": round(holder.seconds, 1) if holder.seconds is not None else None,
        "query_start": holder.query_start,
        "query": words_of(holder.query),
        "locks": sorted({mode for modes in holder.modes.values() for mode in modes}),
        "wanted": wait.mode,
    }
    place: dict[str, Any] = {
        "migration": wait.migration,
        "operation": wait.operation,
        "table": wait.table,
    }
    if holder.pid is None:
        return Finding(
            id="prepared-transaction",
            severity=Severity.ERROR,
            message=f"{wait.table} is held by the prepared transaction {holder.gid} of role "
            f"{holder.role}, for {_age(holder.seconds)}; it does not end automatically",
            hint=(
                "ask the owner of the transaction whether to commit it; that role or a "
                "superuser types this"
            ),
            steps=(
                statement(f"COMMIT PREPARED {literal(holder.gid or '')}"),
                statement(
                    f"ROLLBACK PREPARED {literal(holder.gid or '')}",
                    risk="loses what it wrote",
                    alternative=2,
                ),
            ),
            evidence=evidence,
            **place,
        )
    return Finding(
        id="blocking-session",
        severity=_severity(patience, holder.seconds),
        message=f"migrate would {_until(patience)} {_words(holder)}, which holds {wait.table}",
        hint=_hint(holder, patience),
        steps=() if holder.against_wraparound else _ending(holder.pid),
        evidence=evidence,
        **place,
    )


def _until(patience: float | None) -> str:
    return "wait for" if patience is None else f"give up after {patience:g} s of waiting for"


def _hint(holder: Blocker, patience: float | None) -> str:
    end = (
        "wait until it has ended: it protects the server from wraparound"
        if holder.against_wraparound
        else WAIT
    )
    behind = "; without a lock_timeout, all other sessions queue behind migrate"
    if patience is not None:
        behind = ""
    return f"{end}{behind}"


def _ending(pid: int) -> tuple[Step, ...]:
    risk = "loses what it has not committed"
    return (statement(f"SELECT pg_terminate_backend({pid})", risk=risk),)


def _words(holder: Blocker) -> str:
    if holder.against_wraparound:
        return f"process {holder.pid}, an autovacuum to prevent wraparound"
    who = f"role {holder.role}" if holder.role else "a role that this role may not see"
    what = f", {holder.application}" if holder.application else ""
    state = holder.state or "in a transaction"
    query = words_of(holder.query)
    return (
        f"process {holder.pid} ({who}{what}), {state}, its transaction open for "
        f"{_age(holder.seconds)}" + (f", last: {query} …" if query else "")
    )


def _age(seconds: float | None) -> str:
    return f"{seconds:,.0f} s" if seconds is not None else f"more than {WATCH_SECONDS:.0f} s"


def _old_snapshots(
    connection: BaseDatabaseWrapper,
    wait: PlannedLock,
    known: set[int | None],
    patience: float | None,
) -> list[Finding]:
    with connection.cursor() as cursor:
        cursor.execute(SNAPSHOTS)
        rows = [row for row in cursor.fetchall() if (row[6] or 0) >= LONG_SECONDS]
    return [
        Finding(
            id="old-snapshot",
            severity=_severity(patience, seconds),
            message=f"CONCURRENTLY on {wait.table} would {_until(patience)} process {pid} (role "
            f"{role}{', ' + application if application else ''}), whose snapshot is "
            f"{_age(seconds)} old, whichever tables it reads",
            hint=WAIT,
            steps=_ending(pid),
            migration=wait.migration,
            operation=wait.operation,
            table=wait.table,
            evidence={
                "pid": pid,
                "role": role,
                "application": application or None,
                "state": state,
                "seconds": round(seconds, 1),
                "query_start": started,
                "query": words_of(query),
            },
        )
        for pid, role, application, state, started, query, seconds in rows[:SHOWN]
        if pid not in known
    ]


def _hidden(role: str) -> Finding:
    return Finding(
        id="activity-hidden",
        severity=Severity.INFO,
        message="the role may not see what sessions of other roles do, nor since when",
        hint="a superuser types this",
        steps=(statement(f"GRANT pg_read_all_stats TO {quoted(role)}"),),
    )
