"""What a fleet consists of: databases, and schemas of tenants in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.module_loading import import_string

from opsmigrate.errors import SettingsError, UndecidedError, UsageError
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.redaction import Redactor, secrets_of_settings
from opsmigrate.shown import shown
from opsmigrate.steps import command

EXAMPLE = 'yield {"alias": "default", "schema": "tenant_1"} for each'
DEFAULT_PORT = "5432"
SHARED_FIRST = (command("python manage.py migrate_schemas --shared"),)
LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One database, or one tenant's schema of one.

    `alias` is of DATABASES. `schema` is None for the alias as it is, else the tenant's schema,
    first in the search_path. `label` is unique in the fleet: what people see. `server` is
    "host:port": what the limit per server counts.
    """

    alias: str
    schema: str | None
    label: str
    server: str

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Target:
        """Return the target that as_json() was made of."""
        return cls(**body)


def targets(
    fleet: str | None, databases: Sequence[BaseDatabaseWrapper], *, without: Iterable[str] = ()
) -> tuple[Target, ...]:
    """Return the targets of the fleet, in the order in which they are worked on.

    They are what the function with the dotted path `fleet` (OPSMIGRATE["FLEET"]) yields; without
    one the tenants of django-tenants, its shared schema first; else all `databases`, which are the
    connections of PostgreSQL, each database once. `without` are aliases that are no targets of
    their own, such as the one that rehearsals are made on. Raises SettingsError where the function
    is not there or yields what is no target, UndecidedError where it fails.
    """
    by_alias = {each.alias: each for each in databases}
    if fleet is not None:
        return _required_unique(_from_function(fleet, by_alias))
    if apps.is_installed("django_tenants"):
        return _required_unique(_from_django_tenants(by_alias))
    return tuple(_once_each(each for each in databases if each.alias not in set(without)))


def chosen(
    every: Sequence[Target], *, only: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[Target, ...]:
    """Return the targets whose label matches a pattern of `only`, if any, and none of `exclude`.

    The patterns are those of a shell (*, ?, [a-c]). Raises UsageError where a pattern matches no
    target at all: it was mistyped.
    """
    for option, patterns in (("--only", only), ("--exclude", exclude)):
        for pattern in patterns:
            if not any(fnmatchcase(each.label, pattern) for each in every):
                raise UsageError(
                    f"{option} {shown(pattern)} matches none of the targets",
                    id="no-such-target",
                    hint="see what they are called with --list",
                )
    return tuple(
        each
        for each in every
        if (not only or any(fnmatchcase(each.label, pattern) for pattern in only))
        and not any(fnmatchcase(each.label, pattern) for pattern in exclude)
    )


def part_of(every: Sequence[Target], number: int, parts: int) -> tuple[Target, ...]:
    """Return the part `number`, from 1, of `parts`: each target is in exactly one of them."""
    return tuple(every[number - 1 :: parts])


def once_per_database(every: Sequence[Target]) -> tuple[Target, ...]:
    """Return one target for each alias, without a schema: a database has all of its tenants."""
    found = {
        each.alias: Target(alias=each.alias, schema=None, label=each.alias, server=each.server)
        for each in reversed(every)
    }
    return tuple(found[alias] for alias in dict.fromkeys(each.alias for each in every))


def server_of(connection: BaseDatabaseWrapper) -> str:
    """Return the server of a connection as "host:port"; for a socket its folder."""
    try:
        parameters = connection.get_connection_params()
    except ImproperlyConfigured as error:
        raise SettingsError(
            f"DATABASES[{connection.alias!r}] cannot be used: {error}",
            id="bad-setting",
            hint="complete it in the settings",
        ) from error
    host, port = parameters.get("host") or LOCAL, parameters.get("port") or DEFAULT_PORT
    return f"{host}:{port}"


def _once_each(databases: Iterable[BaseDatabaseWrapper]) -> Iterable[Target]:
    """Yield a target for each database; a second alias of one, or its replica, is none."""
    seen: set[tuple[str, str]] = set()
    for each in databases:
        server = server_of(each)
        place = (server, str(each.settings_dict["NAME"] or ""))
        # Django's word for an alias that shows another one's data, such as a replica.
        is_mirror = (each.settings_dict.get("TEST") or {}).get("MIRROR")
        if place not in seen and not is_mirror:
            seen.add(place)
            yield Target(alias=each.alias, schema=None, label=each.alias, server=server)


def _from_function(path: str, by_alias: dict[str, BaseDatabaseWrapper]) -> Iterable[Target]:
    try:
        function = import_string(path)
    except ImportError as error:
        raise _wrong(f"names {path!r}, which cannot be imported: {error}") from error
    if not callable(function):
        raise _wrong(f"names {path!r}, which is not a function")
    try:
        yielded = list(function())
    except (Exception, SystemExit) as error:
        raise UndecidedError(
            f"the function {path} of OPSMIGRATE['FLEET'] failed: {_words(error)}",
            id="fleet-unknown",
            hint="mend the function; it is called without arguments",
        ) from error
    for entry in yielded:
        yield _target(path, entry, by_alias)


def _target(path: str, entry: Any, by_alias: dict[str, BaseDatabaseWrapper]) -> Target:
    if isinstance(entry, str):
        entry = {"alias": entry}
    known = {"alias", "schema", "label", "server"}
    if not isinstance(entry, dict) or "alias" not in entry or set(entry) - known:
        raise _wrong(f"names {path!r}, which yields {entry!r}: that is no target")
    alias, schema = entry["alias"], entry.get("schema")
    if not isinstance(alias, str) or alias not in by_alias:
        raise _wrong(
            f"names {path!r}, which yields the alias {alias!r}: DATABASES has no such alias of "
            "PostgreSQL"
        )
    if not (schema is None or (isinstance(schema, str) and schema and "\0" not in schema)):
        raise _wrong(f"names {path!r}, which yields {entry!r}: that is no name of a schema")
    return Target(
        alias=alias,
        schema=schema,
        label=str(entry.get("label") or _label(alias, schema, len(by_alias))),
        server=str(entry.get("server") or server_of(by_alias[alias])),
    )


def _from_django_tenants(by_alias: dict[str, BaseDatabaseWrapper]) -> Iterable[Target]:
    # Of a library that not every project has.
    from django_tenants.utils import (
        get_public_schema_name,
        get_tenant_database_alias,
        get_tenant_model,
    )

    alias, shared = get_tenant_database_alias(), get_public_schema_name()
    connection = by_alias[alias]
    server = server_of(connection)
    tenants = get_tenant_model()._base_manager.using(alias)
    try:
        names = tenants.order_by("schema_name").values_list("schema_name", flat=True)
        found = [name for name in names if name != shared]
    except Exception as error:
        raise UndecidedError(
            f"the tenants cannot be read: {_words(error)}",
            id="fleet-unknown",
            hint="the shared schema must be migrated before there can be tenants",
            steps=SHARED_FIRST if isinstance(error, ProgrammingError) else (),
        ) from error
    for name in (shared, *found):
        yield Target(alias=alias, schema=name, label=_label(alias, name, 1), server=server)
    for other in by_alias.values():
        if other.alias != alias:
            yield from _once_each([other])


def _label(alias: str, schema: str | None, aliases: int) -> str:
    if schema is None:
        return alias
    return schema if aliases == 1 else f"{alias}/{schema}"


def _required_unique(found: Iterable[Target]) -> tuple[Target, ...]:
    every = tuple(found)
    labels: set[str] = set()
    for each in every:
        if each.label in labels:
            raise _wrong(f"yields two targets that are called {each.label!r}")
        labels.add(each.label)
    return every


def _words(error: BaseException) -> str:
    """Return what an error of the project's own code says, without secrets."""
    redactor = Redactor(secrets_of_settings())
    return redactor.text(f"{type(error).__name__}: {first_line(error)}")


def _wrong(what: str) -> SettingsError:
    return SettingsError(
        f"OPSMIGRATE['FLEET'] {what}", id="bad-setting", hint=f"let the function {EXAMPLE}"
    )
