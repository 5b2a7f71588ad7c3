"""The server around the plan: poolers, replication, room for locks."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.counted import counted
from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.names import literal
from opsmigrate.postgres.session import is_pooled_by_transaction
from opsmigrate.postgres.settings import resets_of
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.report import Finding, Severity
from opsmigrate.sql.own_relations import own_relation
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.steps import statement

MUCH_WAL = 1 << 30
NEARLY_FULL = 0.8
# A table with its TOAST table, that one's index, and what else a statement brings along.
RELATIONS_OF_A_TABLE = 3
SETTINGS = """
SELECT name, setting FROM pg_settings WHERE name IN ('synchronous_standby_names',
    'synchronous_commit', 'session_replication_role', 'max_locks_per_transaction',
    'max_connections', 'max_prepared_transactions', 'autovacuum_max_workers',
    'autovacuum_worker_slots', 'max_worker_processes', 'max_wal_senders')
"""
# Without pg_read_all_stats the rows are there, but sync_state is NULL.
STANDBYS = """
SELECT application_name, state, sync_state,
    CASE WHEN NOT pg_is_in_recovery() THEN
        pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint END
FROM pg_stat_replication
"""
SLOTS = """
SELECT slot_name::text, slot_type, active, wal_status,
    CASE WHEN NOT pg_is_in_recovery() THEN
        pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint END
FROM pg_replication_slots
"""


# Of the whole server: it refuses all writes when one database is too old. The name of another one
# may be no text in the encoding of this one, and is read only if it is to be shown.
AGES = """
SELECT datname::text, age(datfrozenxid), mxid_age(datminmxid) FROM pg_database
WHERE datfrozenxid <> '0'::xid AND greatest(age(datfrozenxid), mxid_age(datminmxid)) >= %s
"""
# vacuum_failsafe_age, from which on VACUUM does nothing but freeze (documentation, Routine
# Vacuuming); at 2^31 minus three million the server gives out no number any more: 54000.
TOO_OLD, NO_MORE = 1_600_000_000, 2**31 - 3_000_000


def check_server_settings(
    connection: BaseDatabaseWrapper,
    catalog: Catalog,
    statements: Sequence[PlannedStatement],
    ledger: Ledger,
) -> dict[str, Any]:
    """Add findings on what around the database speaks against the plan; return the facts."""
    with connection.cursor() as cursor:
        cursor.execute(SETTINGS)
        settings = dict(cursor.fetchall())
        cursor.execute(STANDBYS)
        standbys = cursor.fetchall()
        cursor.execute(SLOTS)
        slots = cursor.fetchall()
        cursor.execute(AGES, [TOO_OLD])
        ages = cursor.fetchall()
    pooled = is_pooled_by_transaction(connection)
    findings = [
        *_pooler(pooled=pooled),
        *_synchronous(settings, [sync for _, _, sync, _ in standbys]),
        *_behind(standbys),
        *_slots(slots),
        *_wraparound(ages),
        *_triggers_off(connection, settings),
        *_locks(settings, catalog, statements),
    ]
    ledger.add(*findings)
    return {
        "pooled_by_transaction": pooled,
        "standbys": [
            {"name": name, "state": state, "sync_state": sync, "bytes_behind": behind}
            for name, state, sync, behind in standbys
        ],
        "slots": [
            {"name": name, "type": kind, "active": active, "wal_status": status, "bytes": held}
            for name, kind, active, status, held in slots
        ],
    }


def _pooler(*, pooled: bool) -> Iterable[Finding]:
    if pooled:
        yield Finding(
            id="pooled-by-transaction",
            severity=Severity.WARNING,
            message="there is a connection pooler in transaction mode in between: what migrate "
            "sets for its session (SET, advisory locks) is valid for one transaction "
            "only, or for other clients too",
            hint="let migrate use an alias that connects directly to the server",
        )


def _synchronous(settings: Mapping[str, str], states: list[str | None]) -> Iterable[Finding]:
    """Every commit waits for standbys that are not there (documentation of Synchronous …)."""
    names = settings["synchronous_standby_names"].strip()
    if not names or settings["synchronous_commit"] in ("off", "local"):
        return
    number = re.match(r"(?:FIRST\s+|ANY\s+)?(\d+)\s*\(", names, re.I)
    wanted = int(number[1]) if number else 1
    # None is hidden from this role: it may be a synchronous one.
    there = sum(state in ("sync", "quorum", None) for state in states)
    if there < wanted:
        yield Finding(
            id="no-synchronous-standby",
            severity=Severity.ERROR,
            message=f"every commit waits for {wanted} synchronous standby(s), but {there} are "
            "connected: migrate would hang at its first commit",
            hint="start the standby, or correct synchronous_standby_names and reload",
            evidence={"synchronous_standby_names": names, "connected": there},
        )


def _behind(standbys: Iterable[tuple[Any, ...]]) -> Iterable[Finding]:
    for name, state, _, behind in standbys:
        if behind is not None and behind >= MUCH_WAL:
            yield Finding(
                id="standby-behind",
                severity=Severity.WARNING,
                message=f"the standby {name} ({state}) is {behind / 1e9:,.1f} GB of WAL behind; "
                "what the migration writes is added to that",
                hint="wait until it has caught up",
                steps=(statement("SELECT * FROM pg_stat_replication"),),
                evidence={"standby": name, "bytes": behind},
            )


def _slots(slots: Iterable[tuple[Any, ...]]) -> Iterable[Finding]:
    for name, kind, active, status, held in slots:
        if not active and (held or 0) >= MUCH_WAL:
            yield Finding(
                id="inactive-slot",
                severity=Severity.WARNING,
                message=f"the {kind} replication slot {name} has no reader, and the server keeps "
                f"{held / 1e9:,.1f} GB of WAL for it; what the migration writes is kept "
                "too",
                hint="start its reader, or drop the slot if its reader is gone for good",
                steps=(
                    statement(
                        f"SELECT pg_drop_replication_slot({literal(name)})",
                        risk="its reader must start again from the beginning",
                    ),
                ),
                evidence={"slot": name, "bytes": held, "wal_status": status},
            )


def _wraparound(ages: Iterable[tuple[str, int, int]]) -> Iterable[Finding]:
    for database, transactions, multixacts in ages:
        age, what = max((transactions, "transactions"), (multixacts, "multixacts"))
        if age >= TOO_OLD:
            yield Finding(
                id="wraparound-near",
                severity=Severity.WARNING,
                message=f"the oldest rows of the database {database} are {age:,} {what} old: in "
                f"{max(0, NO_MORE - age):,} more, the server refuses every write",
                hint=f"as a superuser, in the database {database}; if it does not help, first end "
                "the oldest transaction, prepared transaction or replication slot",
                steps=(statement("VACUUM"),),
                evidence={"database": database, "age": age},
            )


def _triggers_off(
    connection: BaseDatabaseWrapper, settings: Mapping[str, str]
) -> Iterable[Finding]:
    if settings["session_replication_role"] == "replica":
        resets = resets_of(connection, "session_replication_role")
        yield Finding(
            id="triggers-off",
            severity=Severity.WARNING,
            message="session_replication_role is replica: what the migration writes is not checked "
            "against foreign keys, and ordinary triggers do not fire",
            hint="a superuser types this" if resets else "remove it from OPTIONS or PGOPTIONS",
            steps=tuple(map(statement, resets)),
        )


def _relations_made(text: str) -> int:
    """Return how many indexes and sequences a text makes."""
    parts = (part for each in statements_if_readable(text) or () for part in each.parts())
    return sum(part.kind == "IndexStmt" or own_relation(part.value) is not None for part in parts)


def _locks(
    settings: Mapping[str, str], catalog: Catalog, statements: Sequence[PlannedStatement]
) -> Iterable[Finding]:
    """A migration keeps every lock to its end; all sessions share one table of them."""
    # MaxBackends and max_prepared_transactions; the slots of autovacuum came with PostgreSQL 18.
    vacuums = settings.get("autovacuum_worker_slots", settings["autovacuum_max_workers"])
    others = ("connections", "prepared_transactions", "worker_processes", "wal_senders")
    sessions = int(vacuums) + sum(int(settings[f"max_{name}"]) for name in others)
    room = int(settings["max_locks_per_transaction"]) * sessions
    indexes = {item.label: len(item.indexes) for item in catalog.relations}
    needed: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()
    for item in statements:
        migration = item.migration or ""
        for table in item.tables:
            if (migration, table) not in seen:
                seen.add((migration, table))
                more = RELATIONS_OF_A_TABLE + indexes.get(table, 0)
                needed[migration] = needed.get(migration, 0) + more
        needed[migration] = needed.get(migration, 0) + _relations_made(item.sql)
    for migration, count in needed.items():
        if count >= room * NEARLY_FULL:
            yield Finding(
                id="lock-table-full",
                severity=Severity.WARNING,
                message=f"the migration locks about {counted(count, 'relation')} at once, but the "
                f"server has room for about {counted(room, 'lock')} of all sessions "
                "together",
                hint="raise max_locks_per_transaction and restart, or split the migration",
                migration=migration or None,
                evidence={"relations": count, "room": room},
            )
