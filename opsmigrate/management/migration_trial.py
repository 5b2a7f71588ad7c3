"""A database at a migration, filled or damaged: what preflight says, and what migrate does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import StringIO
from secrets import token_hex
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.management import CommandError, call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.shown import shown

# The server is of the test alone, whatever the settings say of the environment.
APPROVAL = "a test: the server is its own"
# "app.0001_initial", "app" (its last one), or several of them; None: an empty database.
Target = str | Iterable[str] | None


@dataclass(frozen=True, kw_only=True, repr=False)
class Trial:
    """What came of it; `report` is the JSON report of preflight_migrate.

    `error` is what `migrate` raised, in one line; None where it applied.
    """

    report: dict[str, Any]
    error: str | None

    @property
    def verdict(self) -> str:
        """Return what preflight says: passed, failed, undecided …."""
        return str(self.report["verdict"])

    @property
    def findings(self) -> list[str]:
        """Return the ids of the findings of severity error and warning."""
        found = self.report["findings"]
        return [each["id"] for each in found if each["severity"] != "info"]

    @property
    def applied(self) -> bool:
        """Return whether `migrate` applied."""
        return self.error is None

    @property
    def agrees(self) -> bool:
        """Return whether preflight said beforehand what migrate did."""
        return self.verdict == ("passed" if self.applied else "failed")

    def __repr__(self) -> str:
        """Return it as the message of an assertion has it."""
        lines = [f"preflight: {self.verdict}: {self.report['facts']['summary']}"]
        for each in self.report["findings"]:
            lines.append(f"  {each['severity']} [{each['id']}] {each['message']}")
        lines += [f"  undecided: {each['what']}: {each['why']}" for each in self._undecided]
        lines.append(f"migrate: {'applied' if self.applied else self.error}")
        return shown("\n".join(lines), lines=True)

    @property
    def _undecided(self) -> list[dict[str, str]]:
        return list(self.report["undecided"])


@dataclass(frozen=True)
class TrialServer:
    """A server on which databases are made and dropped at will; `url` is its superuser's."""

    url: str = field(repr=False)

    def settings(self, name: str, before: dict[str, Any]) -> dict[str, Any]:
        """Return what DATABASES has for a database there, in the place of `before`."""
        place = urlsplit(self.url)
        return {
            **before,
            "NAME": name,
            "USER": unquote(place.username or ""),
            "PASSWORD": unquote(place.password or ""),
            "HOST": place.hostname or "",
            "PORT": place.port or "",
            "OPTIONS": {},
            "ATOMIC_REQUESTS": False,
            "AUTOCOMMIT": True,
            "CONN_MAX_AGE": 0,
        }


@contextmanager
def trials(server: TrialServer) -> Iterator[Callable[..., Trial]]:
    """Yield the function that makes a trial; at the end each alias is what it was before.

    Until then the alias leads to the database of its last trial, after `migrate`.
    """
    undo: list[Callable[[], None]] = []

    def migrates(
        from_: Target,
        to: Target = None,
        *,
        sql: str | Iterable[str] = (),
        database: str = "default",
        **options: Any,
    ) -> Trial:
        """Put a new database at `from_`, execute `sql`, and migrate it to `to`, or entirely.

        `options` are those of preflight_migrate; it rehearses on a copy unless told otherwise.
        """
        while undo:
            undo.pop()()
        undo.append(_point(server, database))
        for target in _targets(from_):
            call_command("migrate", *target, database=database, verbosity=0)
        with connections[database].cursor() as cursor:
            for statement in [sql] if isinstance(sql, str) else sql:
                cursor.execute(statement)
        given = {"rehearse": "clone", "rehearse_on": database, "approval": APPROVAL, **options}
        (target, *more) = _targets(to) or [()]
        if more:
            raise ValueError("`to` is one migration, as migrate takes it, or None for all")
        report = _preflight(*target, database=database, **given)
        return Trial(report=report, error=_migrate(*target, database=database))

    try:
        yield migrates
    finally:
        while undo:
            undo.pop()()


def _targets(target: Target) -> list[tuple[str, ...]]:
    if target is None:
        return []
    several = [target] if isinstance(target, str) else target
    return [tuple(each.split(".", 1)) for each in several]


def _point(server: TrialServer, alias: str) -> Callable[[], None]:
    """Let the alias lead to a new database; return what undoes that, and drops it."""
    former = connections[alias]
    if former.in_atomic_block:
        raise RuntimeError(
            f"migrates() brings a database of its own for the alias {alias!r}, and the test is in "
            "a transaction on the present one: leave out the mark django_db and the fixture db"
        )
    if former.vendor != "postgresql":
        raise RuntimeError(
            f"migrates() needs PostgreSQL, and DATABASES[{alias!r}] is {former.display_name}"
        )
    before, name = connections.settings[alias], f"migrates_{token_hex(6)}"
    _on_server(server, before, "CREATE DATABASE {}", name)
    connections.settings[alias] = server.settings(name, before)
    connections[alias] = connections.create_connection(alias)

    def undo() -> None:
        connections[alias].close()
        connections.settings[alias] = before
        connections[alias] = former
        _on_server(server, before, "DROP DATABASE {} WITH (FORCE)", name)

    return undo


def _on_server(server: TrialServer, before: dict[str, Any], text: str, name: str) -> None:
    maintenance = _wrapper(server.settings("postgres", before))
    try:
        with maintenance.cursor() as cursor:
            cursor.execute(sql.SQL(text).format(sql.Identifier(name)))
    finally:
        maintenance.close()


def _wrapper(settings: dict[str, Any]) -> BaseDatabaseWrapper:
    from django.db.utils import load_backend

    wrapper: BaseDatabaseWrapper = load_backend(settings["ENGINE"]).DatabaseWrapper(
        settings, "opsmigrate_trial"
    )
    return wrapper


def _preflight(*target: str, **options: Any) -> dict[str, Any]:
    out, options = StringIO(), {"verbosity": 0, **options, "format": "json"}
    # The report says why it did not pass.
    with suppress(CommandError):
        call_command("preflight_migrate", *target, stdout=out, stderr=StringIO(), **options)
    report: dict[str, Any] = json.loads(out.getvalue())
    return report


def _migrate(*target: str, database: str) -> str | None:
    try:
        call_command("migrate", *target, database=database, verbosity=0, stdout=StringIO())
    except Exception as error:  # what a migration raises is anybody's guess
        return f"{type(error).__name__}: {first_line(error)}"
    finally:
        # Where a deferred statement fails, Django leaves the transaction open.
        connections[database].close()
    return None
