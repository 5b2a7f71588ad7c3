"""The catalogs of many schemas, each as one digest, in a number of queries that does not grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.fleet.catalog_lines import DATABASE, PARTS
from opsmigrate.fleet.target_path import schemas_of
from opsmigrate.fleet.targets import Target
from opsmigrate.postgres.transaction import transaction

# So that the lines of some schemas at a time are in the server's memory.
AT_ONCE = 250
KNOWS_SCHEMA_PUBLICATIONS = 150_000
WANTED = """
WITH wanted AS MATERIALIZED (SELECT * FROM pg_namespace WHERE nspname = ANY (%s::name[]))
"""
DIGESTS = """
SELECT s.schema, s.part, encode(sha256(convert_to(
    string_agg(s.line, E'\\n' ORDER BY s.line COLLATE "C"), 'UTF8')), 'hex')
FROM ({lines}) AS s (schema, line, part) GROUP BY 1, 2
"""
LINES = "SELECT s.part, s.line FROM ({lines}) AS s (schema, line, part) ORDER BY 1, s.line"
USERS = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema')"
    " AND n.nspname !~ '^pg_(toast|temp|toast_temp)(_|$)'"
)
PIN = (
    "SELECT set_config('search_path', 'pg_catalog', true),"
    " set_config('statement_timeout', '120s', true)"
)


@dataclass(frozen=True, kw_only=True)
class CatalogDigest:
    """What identifies a target's catalog: of itself by parts, and of what it shares with others."""

    own: Mapping[str, str]
    shared: str

    @property
    def whole(self) -> str:
        """Return one text for both."""
        return _digest((*(f"{part} {own}" for part, own in sorted(self.own.items())), self.shared))


def catalog_digests(
    connection: BaseDatabaseWrapper, targets: Sequence[Target], server: str
) -> dict[str, CatalogDigest]:
    """Return by label what identifies the catalog of each target of the connection's database.

    Schemas are equal where all is equal but their name. `server` identifies the server: what it is
    set to concerns the targets on it. Raises django.db.Error where the catalog cannot be read.
    """
    if not targets:
        return {}
    tenants = [each for each in targets if each.schema is not None]
    # The tenants of one alias have all schemas of their search_path in common but the first one.
    shared = schemas_of(connection, tenants[0])[1:] if tenants else ()
    every = _user_schemas(connection)
    asked = every if len(tenants) < len(targets) else {each.schema for each in tenants}
    digests = _digests(connection, sorted({*filter(None, asked), *shared}))
    database = _database(connection)
    around = _digest([server, *database, *(f"{each} {digests.get(each, {})}" for each in shared)])
    found = {}
    for target in targets:
        if target.schema is not None:
            own = digests.get(target.schema, {})
            found[target.label] = CatalogDigest(own=own, shared=around)
        else:
            own = {f"{each} {part}": one for each in every for part, one in digests[each].items()}
            found[target.label] = CatalogDigest(own=own, shared=_digest([server, *database]))
    return found


def catalog_lines(connection: BaseDatabaseWrapper, target: Target) -> dict[str, frozenset[str]]:
    """Return the catalog of a target by parts, in lines for people and for comparing."""
    schemas = [target.schema] if target.schema is not None else _user_schemas(connection)
    found: dict[str, set[str]] = {}
    for schema in schemas:
        before = "" if target.schema is not None else f"{schema}: "
        query = LINES.format(lines=_union(connection))
        for part, line in _rows(connection, query, [schema]):
            found.setdefault(part, set()).add(before + " ".join(line.replace("\x01.", "").split()))
    return {part: frozenset(lines) for part, lines in found.items()}


def _user_schemas(connection: BaseDatabaseWrapper) -> list[str]:
    query = f"SELECT n.nspname::text FROM pg_namespace n WHERE {USERS} ORDER BY 1"  # noqa: S608
    with transaction(connection, "READ ONLY") as cursor:
        cursor.execute(PIN)
        cursor.execute(query)
        return [name for (name,) in cursor.fetchall()]


def _digests(connection: BaseDatabaseWrapper, schemas: Iterable[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    query, left = DIGESTS.format(lines=_union(connection)), iter(schemas)
    while some := list(islice(left, AT_ONCE)):
        found |= {each: {} for each in some}
        for schema, part, digest in _rows(connection, query, some):
            found[schema][part] = digest
    return found


def _union(connection: BaseDatabaseWrapper) -> str:
    return " UNION ALL ".join(
        f"SELECT q.*, '{part}' FROM ({_known(connection, query)}) AS q"  # noqa: S608
        for part, query in PARTS.items()
    )


def _known(connection: BaseDatabaseWrapper, query: str) -> str:
    """Return a query without what PostgreSQL 14 does not have."""
    connection.ensure_connection()
    if connection.connection.info.server_version >= KNOWS_SCHEMA_PUBLICATIONS:
        return query
    asked = query.split("UNION ALL")
    kept = [each for each in asked if "pg_publication_namespace" not in each]
    return (
        "UNION ALL".join(kept)
        .replace("pg_get_expr(b.prqual, b.prrelid)", "NULL")
        .replace("b.prattrs::text", "NULL")
    )


def _rows(
    connection: BaseDatabaseWrapper, query: str, schemas: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    with transaction(connection, "READ ONLY") as cursor:
        cursor.execute(PIN)
        cursor.execute(WANTED + query, [list(schemas)])
        yield from cursor.fetchall()


def _database(connection: BaseDatabaseWrapper) -> list[str]:
    with transaction(connection, "READ ONLY") as cursor:
        cursor.execute(PIN)
        cursor.execute(DATABASE)
        return sorted(line for (line,) in cursor.fetchall())


def _digest(lines: Iterable[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()
