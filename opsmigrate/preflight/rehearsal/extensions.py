"""Extensions of an older version: pg_dump asks for the one that is the server's default."""

from contextlib import suppress
from typing import NamedTuple

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.transaction import SNAPSHOT, transaction
from opsmigrate.preflight.rehearsal.archive_selection import OBSERVERS, SCHEDULERS

# In the order in which they were made, which is that of what they need.
INSTALLED = """
SELECT e.extname, n.nspname, e.extversion FROM pg_extension e
JOIN pg_namespace n ON n.oid = e.extnamespace WHERE NOT e.extname = ANY(%s) ORDER BY e.oid
"""
DEFAULTS = "SELECT name, default_version FROM pg_available_extensions"


class Installed(NamedTuple):
    """An extension of the live database, the schema of what it brings, and its version."""

    name: str
    schema: str
    version: str


def other_versions(
    source: BaseDatabaseWrapper, scratch: BaseDatabaseWrapper
) -> tuple[Installed, ...]:
    """Return all extensions where one is of another version than the copy's server would make."""
    with transaction(source, SNAPSHOT) as cursor:
        cursor.execute(INSTALLED, [sorted({*SCHEDULERS, *OBSERVERS})])
        installed = tuple(Installed(*row) for row in cursor.fetchall())
    with scratch.cursor() as cursor:
        cursor.execute(DEFAULTS)
        defaults = dict(cursor.fetchall())
    same = all(defaults.get(item.name) == item.version for item in installed)
    return () if same else installed


def create_as_live(scratch: BaseDatabaseWrapper, extensions: tuple[Installed, ...]) -> None:
    """Create the extensions in their versions; one whose version no script makes is left out.

    pg_restore makes it in its default version then, which is found by copy_differences.py.
    """
    for item in extensions:
        create = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {} VERSION {}").format(
            *map(sql.Identifier, item)
        )
        with suppress(Error), transaction(scratch) as cursor:
            cursor.execute(create)
