"""What must hold before a backup begins: rights on everything, and room for it."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.digest.tables import DataTable, label
from opsmigrate.errors import RefusedError, UsageError
from opsmigrate.manifest import Manifest, read_manifests
from opsmigrate.postgres.of_users import of_users
from opsmigrate.postgres.session import Session
from opsmigrate.progress import Progress
from opsmigrate.steps import statement

# pg_dump reads every table, every sequence and every large object, or fails.
UNREADABLE = of_users("""
SELECT n.nspname, c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (c.relkind = 'r' AND NOT (has_schema_privilege(n.oid, 'USAGE')
                                AND has_table_privilege(c.oid, 'SELECT'))
    OR c.relkind = 'S' AND NOT (has_schema_privilege(n.oid, 'USAGE')
                                AND has_sequence_privilege(c.oid, 'SELECT')))
  AND c.relpersistence <> 't' AND {of_users}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
""")
# From 18 on the server tells it; before, what it looks at (source of pg_largeobject_aclmask) is
# asked for: pg_read_all_data did not help.
HIDDEN_OBJECTS = """
SELECT pg_get_userbyid(lomowner), count(*), min(oid) FROM pg_largeobject_metadata
WHERE NOT {readable} GROUP BY 1 ORDER BY 2 DESC, 1
"""
READABLE = "has_largeobject_privilege(oid, 'SELECT')"
READABLE_BEFORE = """(
    current_setting('lo_compat_privileges')::bool
    OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    OR EXISTS (
        SELECT FROM aclexplode(coalesce(lomacl, acldefault('L', lomowner))) a
        WHERE a.privilege_type = 'SELECT'
          AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE'))))"""
KNOWS_LARGE_OBJECTS = 180_000
# One statement, whatever their number is.
GRANT_OBJECTS = (
    "DO $grant$ DECLARE object oid; BEGIN FOR object IN SELECT oid FROM pg_largeobject_metadata "
    "LOOP EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO %I', object, {role}); END LOOP; END "
    "$grant$"
)
NAMED = 5
# Of a database of which nothing is known, a dump is seldom smaller than this part of it.
LEAST_RATIO = 0.02
MARGIN = 1.1


def require_dumpable(connection: BaseDatabaseWrapper) -> None:
    """Raise RefusedError naming what the role may not read."""
    with connection.cursor() as cursor:
        cursor.execute(UNREADABLE)
        rows = cursor.fetchall()
        cursor.execute("SELECT quote_ident(current_user), quote_literal(current_user)")
        role, literal = cursor.fetchone()
    if rows:
        names = [label(schema, name) for schema, name in rows]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise RefusedError(
            f"the role may not read {', '.join(names[:NAMED])}{more}, so the backup would be "
            "incomplete",
            id="missing-privilege",
            hint="as a superuser, grant it the privilege to read everything; or name the alias "
            "of the owner with --database",
            steps=(statement(f"GRANT pg_read_all_data TO {role}"),),
            table=names[0],
            evidence={"unreadable": names},
        )
    _require_large_objects(connection, literal)


def _require_large_objects(connection: BaseDatabaseWrapper, role: str) -> None:
    known = connection.connection.info.server_version >= KNOWS_LARGE_OBJECTS
    readable = READABLE if known else READABLE_BEFORE
    with connection.cursor() as cursor:
        cursor.execute(HIDDEN_OBJECTS.format(readable=readable))
        rows = cursor.fetchall()
    if rows:
        words = ", ".join(f"{number:,} of {owner}" for owner, number, _ in rows[:NAMED])
        more = f" and others of {len(rows) - NAMED} more" if len(rows) > NAMED else ""
        raise RefusedError(
            f"the role may not read every large object ({words}{more}), so the backup would be "
            "incomplete",
            id="missing-privilege",
            hint=(
                "as a superuser, grant it the privilege to read them; or name the alias of the "
                "owner with --database"
            ),
            steps=(statement(GRANT_OBJECTS.format(role=role)),),
            evidence={"large_objects": {owner: number for owner, number, _ in rows}},
        )


def excluded_tables(tables: Sequence[DataTable], patterns: Sequence[str]) -> list[DataTable]:
    """Return the tables that a pattern matches, `[schema.]name` with * and ?.

    Raises UsageError where a pattern matches none.
    """
    found: list[DataTable] = []
    for pattern in patterns:
        shape = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        matches = [
            table
            for table in tables
            if re.fullmatch(shape, table.name) or re.fullmatch(shape, table.label)
        ]
        if not matches:
            raise UsageError(
                f"--exclude-table-data {pattern!r} matches no table",
                id="unknown-table",
                hint="give the name of a table, or schema.table, with * and ? as wildcards",
            )
        found += [table for table in matches if table not in found]
    return found


def require_space(
    connection: BaseDatabaseWrapper,
    session: Session,
    folder: Path,
    compress: str,
    progress: Progress,
) -> None:
    """Print the expected size and time, and raise RefusedError if there is no room."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        whole = int(cursor.fetchone()[0])
    last = _last_like(folder, session, compress)
    if last is not None:
        ratio = last.bytes / max(1, last.properties["bytes"])
        needed, how = int(whole * ratio * MARGIN), f"as {last.file} did"
        seconds = last.seconds * whole / max(1, last.properties["bytes"])
        progress.phase(f"About {needed / 1e6:,.1f} MB and {seconds:,.0f} s are expected, {how}")
    else:
        needed, how = int(whole * LEAST_RATIO), "at the very least"
    free = _free(folder)
    if free < needed:
        raise RefusedError(
            f"the backup will need about {needed / 1e6:,.1f} MB, {how}; {folder} has "
            f"{free / 1e6:,.1f} MB left",
            id="not-enough-space",
            hint="name a folder that has room with --directory, or let old backups be removed with "
            "--keep",
            evidence={"needed": needed, "free": free},
        )


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _last_like(folder: Path, session: Session, compress: str) -> Manifest | None:
    return next(
        (
            manifest
            for manifest in read_manifests(folder)
            if manifest.is_of(session)
            and manifest.compress == compress
            and manifest.properties.get("bytes")
        ),
        None,
    )
