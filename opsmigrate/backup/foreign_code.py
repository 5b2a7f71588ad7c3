"""Whose code a restore would run with a superuser's rights, by the archive's own text."""

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.conf import load_seal_key
from opsmigrate.errors import RefusedError
from opsmigrate.manifest import manifest_path
from opsmigrate.pgtools.archive_entries import ArchiveEntry, read_entries
from opsmigrate.pgtools.clients import Clients
from opsmigrate.postgres.of_users import of_users
from opsmigrate.postgres.superuser_powers import has_superuser_powers

ROLES = "SELECT rolname, rolsuper OR rolname = session_user FROM pg_roles"
# Nothing that their owner wrote is evaluated when these are restored. Whatever is not named here
# counts as code: a table has checks, defaults and generated columns, an index has expressions.
NO_CODE = {
    "ACL",
    "BLOB",
    "BLOB METADATA",
    "BLOBS",
    "COMMENT",
    "DATABASE",
    "DEFAULT ACL",
    "SCHEMA",
    "SECURITY LABEL",
    "SEQUENCE",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "TABLE DATA",
}
# The same, of a database that is there: what a copy of it would evaluate.
LIVE = of_users("""
WITH other AS (
  SELECT oid, rolname FROM pg_roles WHERE NOT rolsuper AND rolname <> session_user
),
own AS (SELECT n.oid FROM pg_namespace n WHERE {of_users})
SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
            WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, c.relname, rolname
FROM pg_class c JOIN other ON other.oid = relowner
WHERE relnamespace IN (SELECT oid FROM own) AND relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL SELECT 'FUNCTION', proname, rolname FROM pg_proc JOIN other ON other.oid = proowner
UNION ALL SELECT 'TYPE', typname, rolname FROM pg_type JOIN other ON other.oid = typowner
WHERE typtype IN ('d', 'b') AND typelem = 0
UNION ALL SELECT 'OPERATOR', oprname, rolname FROM pg_operator JOIN other ON other.oid = oprowner
UNION ALL SELECT 'EVENT TRIGGER', evtname, rolname FROM pg_event_trigger
JOIN other ON other.oid = evtowner
ORDER BY 1, 2
""")
NO_OWNER = "-"
LINE_BREAKS = re.compile(r"[\r\n]")
SHOWN = 3
# What can be called comes first: it is what one looks at.
CALLED = ("FUNCTION", "PROCEDURE", "TRIGGER", "EVENT TRIGGER")


@dataclass(frozen=True, kw_only=True)
class Code:
    """Something whose text a restore evaluates: what it is, and whose."""

    kind: str
    name: str
    owner: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} of {self.owner}"


def foreign_code(connection: BaseDatabaseWrapper, clients: Clients, file: Path) -> tuple[Code, ...]:
    """Return what others wrote that would run with the rights of a superuser: the login role's.

    Empty where the login role of `connection` has none of their powers. Others are all roles but
    the login role and superusers, and whoever else could have written the file. What the archive
    says is read from its text; nothing in it is run. Raises ClientError where it is unreadable.
    """
    if not has_superuser_powers(connection):
        return ()
    trusted = _trusted(connection)
    found = [
        Code(kind=entry.kind, name=entry.name, owner=entry.owner)
        for entry in read_entries(connection, clients, file)
        if _is_foreign(entry, trusted)
    ]
    found.sort(key=lambda code: (code.kind not in CALLED, code.kind, code.name))
    return (*_files_of_others(file), *found)


def foreign_code_of_database(connection: BaseDatabaseWrapper) -> tuple[Code, ...]:
    """Return what others wrote in the database, which whoever copies it would run.

    Others are all roles but the login role and superusers.
    """
    with connection.cursor() as cursor:
        cursor.execute(LIVE)
        found = [Code(kind=kind, name=name, owner=owner) for kind, name, owner in cursor]
    return tuple(sorted(found, key=lambda code: code.kind not in CALLED))


def refused_copy(code: Iterable[Code]) -> RefusedError:
    """Return the refusal to copy a database, within a server that others use, with its `code`."""
    return _refusal(
        code,
        "a copy on a shared server would run code of other roles with the privileges of a "
        "superuser",
        "a temporary embedded server does not fit (the extra opsmigrate[clients] provides one)",
    )


def refused(file: Path, code: Iterable[Code], why: str) -> RefusedError:
    """Return the refusal to run `code`; `why` says what else was thought of, and the remedies."""
    what = f"restoring {file.name} would run code of other roles with the privileges of a superuser"
    return _refusal(code, what, why)


def _refusal(code: Iterable[Code], what: str, why: str) -> RefusedError:
    everything = tuple(code)
    owners = sorted({each.owner for each in everything})
    more = f" and {len(everything) - SHOWN} more" if len(everything) > SHOWN else ""
    return RefusedError(
        f"{what}: {', '.join(map(str, everything[:SHOWN]))}{more}; {why}",
        id="restore-runs-code",
        hint="name the alias of a role that is not a superuser with --database; or, if you trust "
        f"{', '.join(owners)} as you trust a superuser, use --trust-code",
        evidence={
            "owners": owners,
            "code": [{"kind": c.kind, "name": c.name, "owner": c.owner} for c in everything],
        },
    )


def _is_foreign(entry: ArchiveEntry, trusted: dict[str, bool]) -> bool:
    if not entry.clear:
        return True
    if entry.kind in NO_CODE:
        return False
    # Nobody is the owner of a cast; and a role may be called so, too.
    return not trusted.get(entry.owner, entry.owner == NO_OWNER)


def _trusted(connection: BaseDatabaseWrapper) -> dict[str, bool]:
    """Return each role as pg_restore shows it, and whether all that are shown so are trusted."""
    found: dict[str, bool] = {}
    with connection.cursor() as cursor:
        cursor.execute(ROLES)
        for name, trusted in cursor.fetchall():
            shown = LINE_BREAKS.sub(" ", name)
            found[shown] = found.get(shown, True) and bool(trusted)
    return found


def _files_of_others(file: Path) -> list[Code]:
    """Return the files of the backup that others of this system may write, or have written.

    None where a key is set: without it nobody could have made the manifest, nor its SHA-256.
    """
    if not hasattr(os, "geteuid") or load_seal_key() is not None:
        return []
    paths = [file.parent, file, manifest_path(file), *(file.iterdir() if file.is_dir() else ())]
    found = []
    for path in paths:
        status = path.stat()
        sticky = path.is_dir() and status.st_mode & stat.S_ISVTX
        if status.st_uid not in (os.geteuid(), 0):
            found.append(Code(kind="FILE", name=path.name, owner=f"user {status.st_uid}"))
        elif status.st_mode & stat.S_IWOTH and not sticky:
            found.append(Code(kind="FILE", name=path.name, owner="every user of this machine"))
    return found
