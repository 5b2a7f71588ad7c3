"""Restore a backup into a database of its own, whole or not at all."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import RefusedError
from opsmigrate.manifest import Manifest
from opsmigrate.pgtools.clients import Clients
from opsmigrate.pgtools.libpq import child_environment
from opsmigrate.pgtools.printing import READING
from opsmigrate.pgtools.run import run
from opsmigrate.pgtools.special_extensions import HINT, why_not_restored
from opsmigrate.postgres.of_users import of_users
from opsmigrate.postgres.session import no_time_limits

MOST_JOBS = 4
# Objects of the database by their owners. What initdb made is pinned, and not in pg_shdepend.
OWNERS = of_users("""
SELECT DISTINCT pg_get_userbyid(refobjid) FROM pg_shdepend
WHERE deptype = 'o' AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION
SELECT DISTINCT pg_get_userbyid(c.relowner)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {of_users}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1
""")
GRANTEES = """
SELECT DISTINCT pg_get_userbyid(refobjid) FROM pg_shdepend
WHERE deptype = 'a' AND refclassid = 'pg_authid'::regclass
  AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1
"""
# Who may create one is left to the server: managed ones have rules of their own.
UNAVAILABLE = """
SELECT wanted.name FROM unnest(%s::text[]) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_available_extensions e WHERE e.name = wanted.name) ORDER BY 1
"""
UNSETTABLE = """
SELECT wanted.name, r.oid IS NULL FROM unnest(%s::text[], %s::bool[]) AS wanted (name, owns)
LEFT JOIN pg_roles r ON r.rolname = wanted.name
WHERE r.oid IS NULL OR wanted.owns AND NOT pg_has_role(current_user, r.oid, 'MEMBER')
ORDER BY 1 LIMIT 1
"""


def read_roles(connection: BaseDatabaseWrapper) -> dict[str, list[str]]:
    """Return the roles that a whole restore needs: `owners` and `grantees` of objects."""
    found = {}
    with connection.cursor() as cursor:
        for name, statement in (("owners", OWNERS), ("grantees", GRANTEES)):
            cursor.execute(statement)
            found[name] = [str(row[0]) for row in cursor.fetchall()]
    return found


def require_extensions(connection: BaseDatabaseWrapper, names: Iterable[str]) -> None:
    """Raise RefusedError where an extension stands against a restore, or the server lacks it."""
    names = list(names)
    if why := why_not_restored(names):
        raise RefusedError(why, id="extension-not-restored", hint=HINT)
    with connection.cursor() as cursor:
        cursor.execute(UNAVAILABLE, [names])
        missing = [str(row[0]) for row in cursor.fetchall()]
    if missing:
        more = "the extensions" if len(missing) > 1 else "the extension"
        raise RefusedError(
            f"nothing can be restored on this server: it lacks the files of {more} "
            + ", ".join(missing),
            id="extension-unavailable",
            hint="install the packages on the server; verify_backup --level archive needs none",
            evidence={"extensions": missing},
        )


def why_not_owners(connection: BaseDatabaseWrapper, manifest: Manifest) -> str | None:
    """Return why owners and rights cannot be restored on the server, None where they can."""
    roles = manifest.properties.get("roles", {"owners": [], "grantees": []})
    names = [*roles["owners"], *roles["grantees"]]
    owns = [True] * len(roles["owners"]) + [False] * len(roles["grantees"])
    with connection.cursor() as cursor:
        cursor.execute(UNSETTABLE, [names, owns])
        row = cursor.fetchone()
    if row is None:
        return None
    name, missing = row
    return f'there is no role "{name}"' if missing else f'the role is not a member of "{name}"'


def restore_into(  # noqa: PLR0913 - what pg_restore is told
    connection: BaseDatabaseWrapper,
    clients: Clients,
    backup: Path,
    database: str,
    *,
    owners: bool,
    printed: Mapping[str, str],
    meanwhile: Callable[[], None],
) -> None:
    """Restore a backup into `database`, a scratch database; raise ClientError at any error.

    `printed` are the settings that its text was written with, and must be read with. `owners` says
    whether owners and rights come along. Subscriptions never do: two databases
    must not apply the same changes.
    """
    argv = [
        clients.program("pg_restore"),
        "--exit-on-error",
        "--no-password",
        "--no-subscriptions",
        f"--jobs={min(MOST_JOBS, os.cpu_count() or 1)}",
        f"--dbname={database}",
        str(backup.resolve()),
    ]
    if not owners:
        argv[1:1] = ["--no-owner", "--no-privileges"]
    settings = {**READING, **printed, **no_time_limits(connection)}
    with child_environment(connection, database=database, settings=settings) as environment:
        if environment.role:
            argv.insert(1, f"--role={environment.role}")
        run(argv, environment, meanwhile=meanwhile)
