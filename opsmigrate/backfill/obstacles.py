"""What a table has that an UPDATE of every row would set off, or run into."""

from dataclasses import dataclass

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.backends.utils import CursorWrapper

from opsmigrate.backfill.column_spec import ColumnSpec
from opsmigrate.backfill.state import State
from opsmigrate.postgres.driver_errors import INSUFFICIENT_PRIVILEGE, sqlstate
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import seen_by_project, transaction_as_project

# tgtype: bit 1 is FOR EACH ROW, bit 16 is UPDATE (PostgreSQL source, catalog/pg_trigger.h).
# Column triggers fire only for the columns that they name. A statement trigger of a parent does
# not fire for an UPDATE of its partition.
TRIGGERS = """
WITH RECURSIVE tree AS (
    SELECT %s::oid AS oid
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid
)
SELECT DISTINCT t.tgname, t.tgenabled FROM pg_trigger t JOIN tree ON tree.oid = t.tgrelid
JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND t.tgtype & 16 <> 0 AND t.tgenabled <> 'D'
  AND (t.tgattr = ''::int2vector OR EXISTS (
       SELECT FROM pg_attribute a WHERE a.attrelid = t.tgrelid AND a.attname = %s
       AND a.attnum = ANY (t.tgattr)))
  AND (c.relkind <> 'p' OR t.tgtype & 1 <> 0) AND t.tgname <> ALL (%s)
ORDER BY 1
"""
RULES = """
SELECT r.rulename, format('%%I.%%I', n.nspname, c.relname), quote_ident(r.rulename), r.ev_enabled
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.ev_class = ANY (%s::oid[]) AND r.ev_type = '2' AND r.ev_enabled <> 'D' ORDER BY 1, 2
"""
# Row-level security applies to the owner only where it is forced, and never to who may bypass it.
SECURED = """
SELECT c.oid::regclass::text FROM pg_class c
WHERE c.oid = ANY (%s::oid[]) AND c.relrowsecurity AND c.relforcerowsecurity
  AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user
                  AND (r.rolsuper OR r.rolbypassrls))
ORDER BY 1
"""
# An UPDATE is refused where it is published and nothing tells the rows apart.
UNIDENTIFIED = """
SELECT DISTINCT format('%%I.%%I', p.schemaname, p.tablename)
FROM pg_publication_tables p JOIN pg_publication USING (pubname)
JOIN pg_namespace n ON n.nspname = p.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
WHERE c.oid = ANY (%s::oid[]) AND pubupdate AND (c.relreplident = 'n' OR c.relreplident = 'd'
      AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary))
ORDER BY 1
"""
PUBLISHED = """
SELECT DISTINCT p.pubname FROM pg_publication_tables p
JOIN pg_namespace n ON n.nspname = p.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
WHERE c.oid = ANY (%s::oid[]) ORDER BY 1
"""
# Rows that an unvalidated check lets stay, but lets nobody update.
UNVALIDATED = """
SELECT con.conname, pg_get_expr(con.conbin, con.conrelid), n.nspname, c.relname
FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE con.conrelid = ANY (%s::oid[]) AND con.contype = 'c' AND NOT con.convalidated
  AND con.conname <> ALL (%s) ORDER BY 1
"""


@dataclass(frozen=True, kw_only=True)
class OwnObjects:
    """The names of the checks and triggers that the seed makes and drops again."""

    checks: tuple[str, ...]
    triggers: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """A rule by its name, its table and name as one types them, and when it is enabled."""

    name: str
    table: str
    typed_name: str
    enabled: str

    @property
    def enable(self) -> str:
        """Return how it is enabled, as one types it."""
        return {"A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}.get(self.enabled, "ENABLE")

    def switched(self, how: str) -> str:
        """Return the statement that enables or disables it."""
        return f"ALTER TABLE {self.table} {how} RULE {self.typed_name}"


@dataclass(frozen=True)
class ViolatedCheck:
    """A check by its name, its table, name and condition as one types them."""

    name: str
    table: str
    typed_name: str
    condition: str


@dataclass(frozen=True, kw_only=True)
class Obstacles:
    """What would fire or refuse; `triggers` fire now, `stubborn` ones under `skip` as well."""

    triggers: tuple[str, ...] = ()
    stubborn: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    secured: tuple[str, ...] = ()
    unidentified: tuple[str, ...] = ()
    publications: tuple[str, ...] = ()
    checks: tuple[ViolatedCheck, ...] = ()
    may_skip: bool = False


def read_obstacles(
    connection: BaseDatabaseWrapper, spec: ColumnSpec, state: State, ours: OwnObjects
) -> Obstacles:
    """Return what an UPDATE of the rows would meet, but for what the seed itself has made."""
    oids = [state.oid, *(leaf.oid for leaf in state.leaves)]
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS, [state.oid, spec.column, list(ours.triggers)])
        triggers = cursor.fetchall()
        return Obstacles(
            triggers=tuple(name for name, enabled in triggers if enabled in "OA"),
            stubborn=tuple(name for name, enabled in triggers if enabled in "AR"),
            rules=tuple(Rule(*row) for row in seen_by_project(connection, RULES, [oids])),
            secured=_names(cursor, SECURED, oids),
            unidentified=_names(cursor, UNIDENTIFIED, oids),
            publications=_names(cursor, PUBLISHED, oids),
            checks=_violated(cursor, oids, ours),
            may_skip=_may_skip(cursor) if triggers else False,
        )


def _names(cursor: CursorWrapper, query: str, oids: list[int]) -> tuple[str, ...]:
    return tuple(row[0] for row in seen_by_project(cursor.db, query, [oids]))


def _violated(
    cursor: CursorWrapper, oids: list[int], ours: OwnObjects
) -> tuple[ViolatedCheck, ...]:
    unvalidated = seen_by_project(cursor.db, UNVALIDATED, [oids, list(ours.checks)])
    violated = []
    for name, condition, schema, table in unvalidated:
        query = sql.SQL("SELECT EXISTS (SELECT FROM ONLY {} WHERE NOT ({}))")
        with transaction_as_project(cursor.db, "READ ONLY") as asking:
            asking.execute(query.format(sql.Identifier(schema, table), sql.SQL(condition)))
            if asking.fetchone()[0]:
                violated.append(ViolatedCheck(name, quoted(schema, table), quoted(name), condition))
    return tuple(violated)


def _may_skip(cursor: CursorWrapper) -> bool:
    """Return whether this role may set session_replication_role, by trying it and undoing it."""
    try:
        cursor.execute("SELECT set_config('session_replication_role', 'replica', false)")
    except Error as error:
        if sqlstate(error) != INSUFFICIENT_PRIVILEGE:
            raise
        return False
    cursor.execute("RESET session_replication_role")
    return True
