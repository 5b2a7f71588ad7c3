"""What leads to the live databases, taken out of an environment and of settings."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from opsmigrate.postgres.tenant import VARIABLE

# In their place; RFC 2606 keeps .invalid for names that lead nowhere.
NO_PASSWORD = "taken-out-for-the-rehearsal"  # noqa: S105 - it is none
NO_HOST = "taken-out-for-the-rehearsal.invalid"
# Shorter ones are words of other values.
SHORTEST = 6
# The system's own, in which a word may look like a weak password.
OF_THE_SYSTEM = frozenset({
    "DJANGO_SETTINGS_MODULE", "HOME", "LANG", "LOGNAME", "OLDPWD", "PWD", "SHELL", "SYSTEMROOT",
    "TEMP", "TERM", "TMP", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV",
})  # fmt: skip
SYSTEMS_PREFIXES = ("DYLD_", "LC_", "LD_", "PYTHON")
# Of libpq's variables those that settings read to name the database, and what names the copy.
OF_COPY = {
    "PGDATABASE": "NAME",
    "PGHOST": "HOST",
    "PGPASSWORD": "PASSWORD",
    "PGPORT": "PORT",
    "PGUSER": "USER",
}
# They lead nowhere, and settings may need them; the server of the copy has no TLS.
HARMLESS = ("PGAPPNAME", "PGCLIENTENCODING", "PGCONNECT_TIMEOUT", "PGDATESTYLE", "PGTZ")
WITHOUT_TLS = {"PGSSLMODE": "prefer"}
NOWHERE = ("PGPASSFILE", "PGSERVICEFILE", "PGSYSCONFDIR", "PGSSLCERT", "PGSSLKEY")
# As dj-database-url and django-environ call PostgreSQL's engines.
SCHEMES = ("cockroach", "pgsql", "postg", "psql", "redshift", "timescale")
# Names of ours, in which a word may look like a host.
OWN = (VARIABLE,)
# Beside sockets, which are paths, or names of Linux that begin with @.
LOCAL = ("", "localhost", "::1")


@dataclass(frozen=True)
class Live:
    """What leads to the databases of the project's aliases."""

    hosts: frozenset[str]
    passwords: frozenset[str]


def live_of(databases: Iterable[Mapping[str, Any]], environment: Mapping[str, str]) -> Live:
    """Return what leads to the databases of these entries of DATABASES, and of PGPASSWORD."""
    entries = list(databases)
    passwords = {str(each.get("PASSWORD") or "") for each in entries}
    passwords |= {str((each.get("OPTIONS") or {}).get("password") or "") for each in entries}
    passwords.add(environment.get("PGPASSWORD", ""))
    hosts = {part for each in entries for part in str(each.get("HOST") or "").split(",")}
    hosts.add(environment.get("PGHOST", ""))
    return Live(
        hosts=frozenset(host for host in hosts if not _is_local(host)),
        passwords=frozenset(passwords - {""}),
    )


def _is_local(host: str) -> bool:
    return host in LOCAL or host.startswith(("127.", "/", "@"))


def _is_of_the_system(name: str) -> bool:
    return (
        name in (*OF_THE_SYSTEM, *OWN) or name.startswith(SYSTEMS_PREFIXES) or name.endswith("PATH")
    )


def scrubbed(
    variables: Mapping[str, str], live: Live, examined: str, copy: Mapping[str, Any]
) -> dict[str, str]:
    """Return the variables with no live password or host in them, and of libpq's what is harmless.

    A URL of the database named `examined` becomes one of the copy, `copy`, and PGHOST and its like
    become the copy's: settings that read them find one. PGPASSFILE and its like lead nowhere, so
    that what stands in the home folder does not help either.
    """
    others = {name: value for name, value in variables.items() if not name.startswith("PG")}
    kept = {name: value for name, value in variables.items() if name in HARMLESS}
    replaced = {name: str(copy[key] or "") for name, key in OF_COPY.items() if name in variables}
    return {
        **{name: clean(name, value, live, examined, copy) for name, value in others.items()},
        **kept,
        **replaced,
        **{name: value for name, value in WITHOUT_TLS.items() if name in variables},
        **dict.fromkeys(NOWHERE, os.devnull),
    }


def taken_out(variables: Mapping[str, str], words: str) -> list[str]:
    """Return which variables of libpq a process that ended with `words` names and has not got."""
    return [
        name
        for name in sorted(os.environ.keys() - variables.keys())
        if name.startswith("PG") and re.search(rf"\b{re.escape(name)}\b", words)
    ]


def pointed_at_copy(
    variables: Mapping[str, str], examined: str, copy: Mapping[str, Any]
) -> dict[str, str]:
    """Return the variables with URLs of the copy in the place of those of the examined database.

    All else stays: on the live server the copy is reached with what leads there.
    """
    return {name: url_of_copy(value, examined, copy) or value for name, value in variables.items()}


def clean(name: str, value: str, live: Live, examined: str, copy: Mapping[str, Any]) -> str:
    """Return a variable's or a setting's value without what leads to a live database."""
    if _is_of_the_system(name):
        return value
    if value in live.passwords:
        return str(copy["PASSWORD"])
    url = url_of_copy(value, examined, copy)
    if url is not None:
        return url
    for password in live.passwords:
        for written in {password, quote(password, safe=""), quote(password)}:
            if len(written) >= SHORTEST:
                value = _replaced(written, NO_PASSWORD, value)
    for host in live.hosts:
        value = _replaced(host, NO_HOST, value)
    return value


def _replaced(word: str, by: str, text: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", lambda _: by, text)


def url_of_copy(value: str, examined: str, copy: Mapping[str, Any]) -> str | None:
    """Return the copy's URL where `value` is one of the examined database, else None."""
    try:
        given = urlsplit(value)
    except ValueError:
        return None
    is_postgresql = any(scheme in given.scheme for scheme in SCHEMES)
    if not is_postgresql or unquote(given.path.lstrip("/")) != examined:
        return None
    user, password, host, name = (
        quote(str(copy[key] or ""), safe="") for key in ("USER", "PASSWORD", "HOST", "NAME")
    )
    return f"{given.scheme}://{user}:{password}@{host}:{copy['PORT'] or ''}/{name}"
