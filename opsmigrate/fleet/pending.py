"""Which targets have nothing pending, said by one query over many histories of a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.fleet.target_path import names_of, schemas_of
from opsmigrate.fleet.targets import Target
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.transaction import transaction
from opsmigrate.preflight.plan import MigrateArguments, Plan, make_plan
from opsmigrate.schema.history_table import HISTORY

# Each history takes locks on itself and on its index, of which a server has some 6,400 by default.
AT_ONCE = 250
# A table (to read a view is to run what its owner wrote), with Django's own columns, all of whose
# rows the role may read.
HISTORIES = """
SELECT n.nspname, c.relkind IN ('r', 'p')
    AND has_table_privilege(c.oid, 'SELECT')
    AND (NOT c.relrowsecurity OR pg_has_role(current_user, c.relowner, 'USAGE')
         AND NOT c.relforcerowsecurity)
    AND (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
         AND a.attname IN ('app', 'name') AND a.atttypid IN ('text'::regtype, 'varchar'::regtype))
        = 2
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND has_schema_privilege(n.oid, 'USAGE')
"""
# Of a history without rows, NULL.
DIGEST = """
SELECT {}::int, encode(sha256(convert_to(string_agg(DISTINCT h.label, E'\\n'), 'UTF8')), 'hex')
FROM (SELECT (app || '.' || name) COLLATE "C" AS label FROM {}) AS h
"""
LIMITS = (
    "SELECT set_config('row_security', 'off', true), set_config('search_path', 'pg_catalog', true),"
    " set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)"
)
LOCK_TIMEOUT, STATEMENT_TIMEOUT = "2s", "60s"
NO_HISTORY = "nothing is recorded in its schema"


@dataclass(frozen=True, kw_only=True)
class Pending:
    """What `migrate` would apply to a target, in its order: `app.name` of each migration.

    `migrations` is None where only a command of its own can say, for the reason `why`. `history`
    is the same for targets in whose history the same stands.
    """

    target: Target
    migrations: tuple[str, ...] | None
    history: str | None = None
    why: str | None = None

    @property
    def nothing(self) -> bool:
        """Return whether it is known that nothing is pending."""
        return self.migrations == ()


def pending(
    connection: BaseDatabaseWrapper, targets: Sequence[Target], arguments: MigrateArguments
) -> tuple[Pending, ...]:
    """Return for each target of the connection's database what is pending, in their order.

    The histories are compared in the database; each one that differs from all others is read once,
    and planned once with the project's own graph. Raises UsageError for arguments that `migrate`
    would not take.
    """
    places = _histories(connection, targets)
    digests = _digests(connection, {each for each in places.values() if each is not None})
    plans: dict[str, Plan] = {}
    found = []
    for target in targets:
        place = places[target.label]
        if place is None:
            found.append(Pending(target=target, migrations=None, why="its history cannot be read"))
            continue
        digest, why = digests.get(place, (None, NO_HISTORY))
        if digest is None:
            found.append(Pending(target=target, migrations=None, why=why))
            continue
        if digest not in plans:
            with names_of(connection, target):
                plans[digest] = make_plan(connection, arguments)
        found.append(_of_plan(target, plans[digest], digest))
    return tuple(found)


def _of_plan(target: Target, plan: Plan, digest: str) -> Pending:
    if plan.findings:
        words = "; ".join(each.message for each in plan.findings)
        return Pending(target=target, migrations=None, history=digest, why=words)
    labels = tuple(each.label for each in plan.steps)
    return Pending(target=target, migrations=labels, history=digest)


def _histories(connection: BaseDatabaseWrapper, targets: Iterable[Target]) -> dict[str, str | None]:
    """Return by label the schema that has the target's history, None where it is not to be read."""
    connection.ensure_connection()
    with transaction(connection, "READ ONLY") as cursor:
        cursor.execute(LIMITS, [LOCK_TIMEOUT, STATEMENT_TIMEOUT])
        cursor.execute(HISTORIES, [HISTORY])
        readable: dict[str, bool] = dict(cursor.fetchall())
    found: dict[str, str | None] = {}
    for target in targets:
        # A tenant without a history of its own must not be taken for one that has everything.
        own = target.schema is not None
        homes = (target.schema,) if own else schemas_of(connection, target)
        home = next((each for each in homes if each in readable), None)
        found[target.label] = home if home is not None and readable[home] else None
    return found


def _digests(
    connection: BaseDatabaseWrapper, schemas: Iterable[str]
) -> Mapping[str, tuple[str | None, str]]:
    """Return of each schema's history what identifies its contents, else None and why."""
    found: dict[str, tuple[str | None, str]] = {}
    left = iter(sorted(schemas))
    while some := list(islice(left, AT_ONCE)):
        try:
            found |= _asked(connection, some)
        except Error:
            # One of them is locked, or damaged: which one, each says for itself.
            for each in some:
                found |= _alone(connection, each)
    return found


def _alone(connection: BaseDatabaseWrapper, schema: str) -> Mapping[str, tuple[str | None, str]]:
    try:
        return _asked(connection, [schema])
    except Error as error:
        return {schema: (None, f"its history cannot be read now: {first_line(error)}")}


def _asked(
    connection: BaseDatabaseWrapper, schemas: Sequence[str]
) -> dict[str, tuple[str | None, str]]:
    query = sql.SQL(" UNION ALL ").join(_parts(schemas))
    with transaction(connection, "READ ONLY") as cursor:
        cursor.execute(LIMITS, [LOCK_TIMEOUT, STATEMENT_TIMEOUT])
        cursor.execute(query)
        return {schemas[number]: (digest, NO_HISTORY) for number, digest in cursor.fetchall()}


def _parts(schemas: Sequence[str]) -> Iterator[Composable]:
    for number, schema in enumerate(schemas):
        table = sql.Identifier(schema, HISTORY)
        yield sql.SQL(DIGEST).format(sql.Literal(number), table)
