"""What a statement did to the server: WAL written, locks taken, files rewritten."""

from collections.abc import Iterable
from contextlib import closing
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.lock_modes import mode_of, stronger

TABLES = "rpm"
# In the session of the project's own `migrate`, whose search_path is the project's: every name has
# its schema, operators too.
RELATIONS = """
SELECT c.oid::bigint, pg_catalog.concat(n.nspname, '.', c.relname),
       c.relkind::pg_catalog.text, pg_catalog.pg_relation_filenode(c.oid)::bigint
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,m,i,I}'::pg_catalog."char"[])
  AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'
  AND n.nspname OPERATOR(pg_catalog.!~) '^pg_'
"""
LOCKS = """
SELECT l.virtualtransaction, l.relation::bigint, l.mode
FROM pg_catalog.pg_locks l
WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
  AND l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.granted
  AND l.mode OPERATOR(pg_catalog.<>) 'SIReadLock'
  AND l.database OPERATOR(pg_catalog.=) (
      SELECT d.oid FROM pg_catalog.pg_database d
      WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
"""
FILENODES = """
SELECT oid::bigint, pg_catalog.pg_relation_filenode(oid)::bigint
FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) ANY(%s)
"""
Locks = dict[str, str]


class ServerWatch:
    """Looks through the driver's own cursor, so that Django's wrappers do not see it look."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        """Remember the relations that were there before `migrate` began."""
        self._connection = connection
        self._labels: dict[int, str] = {}
        self._tables: dict[int, str] = {}
        self._files: dict[int, int | None] = {}
        self._transaction: str | None = None
        self._held: Locks = {}
        connection.ensure_connection()
        function = "pg_catalog.pg_current_wal_insert_lsn()"
        allowed = self._query("SELECT pg_catalog.has_function_privilege(%s, 'EXECUTE')", [function])
        self._may_see_wal = bool(allowed[0][0])
        for oid, label, kind, file in self._query(RELATIONS):
            self._labels[oid] = label
            self._files[oid] = file
            if kind in TABLES:
                self._tables[oid] = label

    def position(self) -> int:
        """Return the end of the WAL in bytes; everybody on the server writes there."""
        if not self._may_see_wal:
            return 0
        sql = "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')"
        return int(self._query(sql)[0][0])

    def new_locks(self) -> Locks:
        """Return the strongest lock on each table that our transaction did not hold before."""
        found: Locks = {}
        for transaction, oid, mode in self._query(LOCKS):
            if transaction != self._transaction:
                self._transaction, self._held = transaction, {}
            if oid in self._tables:
                label = self._tables[oid]
                found[label] = stronger(found.get(label), mode_of(mode))
        new = {
            label: mode
            for label, mode in found.items()
            if stronger(self._held.get(label), mode) != self._held.get(label)
        }
        self._held.update(new)
        return new

    def rewritten(self) -> list[str]:
        """Return the tables and indexes that have another file than when we last looked."""
        changed = []
        for oid, file in self._query(FILENODES, [list(self._files)]):
            if file != self._files[oid]:
                self._files[oid] = file
                changed.append(self._labels[oid])
        return sorted(changed)

    def _query(self, sql: str, params: Iterable[Any] | None = None) -> list[tuple[Any, ...]]:
        raw: Any = self._connection.connection
        with closing(raw.cursor()) as cursor:
            cursor.execute(sql, params)
            return list(cursor.fetchall())
