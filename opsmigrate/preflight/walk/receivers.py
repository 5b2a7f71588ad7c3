"""The receivers of `migrate`'s signals: what they read, and of which it is known what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.db import router
from django.db.migrations.state import ProjectState
from django.db.models.signals import post_migrate, pre_migrate

from opsmigrate.preflight.walk.conflict_remedies import KINDS
from opsmigrate.preflight.walk.known_receivers import is_known, why_open
from opsmigrate.preflight.walk.plain_receivers import is_plain
from opsmigrate.preflight.walk.schema_walk import SchemaWalk

# A wrapper made without one serves no query at all (documentation, CREATE FOREIGN DATA WRAPPER).
WITHOUT_HANDLER = """
SELECT w.fdwname
FROM pg_foreign_table t
JOIN pg_class c ON c.oid = t.ftrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_foreign_server s ON s.oid = t.ftserver
JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
WHERE n.nspname = %s AND c.relname = %s AND w.fdwhandler = 0
"""


class Known(NamedTuple):
    """A model that a receiver of Django's own reads, and inserts into."""

    app: str
    model: str


CONTENT_TYPES = "django.contrib.contenttypes.management.create_contenttypes"
PERMISSIONS = "django.contrib.auth.management.create_permissions"
SITES = "django.contrib.sites.management.create_default_site"
# From Django 6.1 on.
RENAMES = "django.contrib.auth.management.rename_permissions_after_model_rename"
KNOWN = {
    CONTENT_TYPES: (Known("contenttypes", "contenttype"),),
    PERMISSIONS: (Known("contenttypes", "contenttype"), Known("auth", "permission")),
    SITES: (Known("sites", "site"),),
    # It adds operations to migrations that rename models; they catch what fails.
    "django.contrib.contenttypes.management.inject_rename_contenttypes_operations": (),
    # Which rows it renames, and when it refuses: renamed_permissions.py.
    RENAMES: (),
}


def require_receivers(walk: SchemaWalk, state: ProjectState) -> None:
    """Examine the receivers of pre_migrate and post_migrate; unknown ones are undecided.

    What Django's own insert is asked in bookkeeping.py.
    """
    ledger = walk.ledger
    alias = walk.connection.alias
    known = [item for name in receivers_of_migrate() for item in _at_work(name, alias, state)]
    for item in dict.fromkeys(known):
        _require(walk, item, state)
    for name, function in _receivers():
        if name in KNOWN or is_plain(function):
            continue
        if is_known(name, function):
            if why := why_open(name, walk):
                ledger.mark_undecided(why)
        else:
            ledger.mark_undecided(f"{name} runs with every migrate: only a rehearsal decides")


def _at_work(name: str, alias: str, state: ProjectState) -> Iterable[Known]:
    """Return what a receiver looks at: nothing where a router keeps its model, the last, away."""
    items = KNOWN.get(name, ())
    if not items or (items[-1].app, items[-1].model) not in state.models:
        return items
    own = state.apps.get_model(items[-1].app, items[-1].model)
    return items if router.allow_migrate_model(alias, own) else ()


def receivers_of_migrate() -> Iterator[str]:
    """Yield the receivers that migrate would call, by the name of their functions."""
    yield from dict.fromkeys(name for name, _ in _receivers())


def known_besides() -> Iterator[str]:
    """Yield those of well-known apps of which it is known what they do."""
    yield from (name for name, function in _receivers() if is_known(name, function))


def _receivers() -> list[tuple[str, Callable[..., Any]]]:
    """Return the receivers with their names, each once; several may have one name."""
    senders = [config for config in apps.get_app_configs() if config.models_module is not None]
    signals: tuple[Any, ...] = (pre_migrate, post_migrate)
    found: dict[int, tuple[str, Callable[..., Any]]] = {}
    for signal in signals:
        for sender in senders:
            for function in _live(signal, sender):
                name = f"{function.__module__}.{function.__qualname__}"
                found.setdefault(id(function), (name, function))
    return list(found.values())


def _live(signal: Any, sender: Any) -> list[Callable[..., Any]]:
    synchronous, asynchronous = signal._live_receivers(sender)
    return [
        receiver if hasattr(receiver, "__qualname__") else type(receiver)
        for receiver in (*synchronous, *asynchronous)
    ]


def _require(walk: SchemaWalk, item: Known, state: ProjectState) -> None:
    """Report if the table or a column of it does not exist; another relation is undecided."""
    if (item.app, item.model) not in state.models:
        return
    model: Any = state.apps.get_model(item.app, item.model)
    name = model._meta.db_table
    table = walk.schema.table(name)
    purpose = f"{item.app}'s receiver of post_migrate"
    if table is None:
        kind = walk.schema.visible_kind(name)
        if kind is not None:
            is_a = KINDS.get(kind, "relation of another kind")
            wrapper = _wrapper_without_handler(walk, *walk.schema.home(name))
            if wrapper is not None:
                walk.ledger.find(
                    "missing-table",
                    f"{purpose} reads {name}, which is a foreign table now, of the wrapper "
                    f"{wrapper}, which has no handler: nobody can read it",
                    hint="put the table itself back in its place, from a backup",
                    table=walk.schema.label(name),
                )
                return
            walk.ledger.mark_undecided(
                f"what the {is_a} {walk.schema.label(name)}, which is not a table, gives "
                f"to {purpose}, and takes"
            )
            return
        walk.ledger.find(
            "missing-table",
            f"{purpose} reads {name}, which does not exist",
            hint=f"restore the table from a backup; python manage.py showmigrations {item.app} "
            "lists the migrations that should have created it",
            table=walk.schema.label(name),
        )
        return
    columns = {field.column for field in model._meta.local_concrete_fields}
    for column in sorted(columns - set(table.types)):
        walk.require_column(table, column, purpose)


def _wrapper_without_handler(walk: SchemaWalk, schema: str, name: str) -> str | None:
    """Return the wrapper of a foreign table whose every query fails for want of a handler."""
    with walk.connection.cursor() as cursor:
        cursor.execute(WITHOUT_HANDLER, [schema, name])
        found = cursor.fetchone()
    return str(found[0]) if found else None
