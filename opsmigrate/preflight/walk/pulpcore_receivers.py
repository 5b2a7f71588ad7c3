"""The receivers of pulpcore and its plugins: what is there, compared with what they want.

Each function here does what pulpcore.app.apps does, up to its writing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.apps import apps as installed
from django.conf import settings as of_django
from django.db import Error
from django.db.backends.postgresql.psycopg_any import sql
from django.db.migrations.state import ProjectState
from django.utils import timezone

from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.search_path import transaction_as_project
from opsmigrate.preflight.walk.bookkeeping import insert_instances
from opsmigrate.preflight.walk.found import LIMITS, TIMEOUT
from opsmigrate.preflight.walk.new_rows import models_after, permissions_of
from opsmigrate.preflight.walk.privileges import live_relation, missing_to_insert
from opsmigrate.preflight.walk.receivers import known_besides
from opsmigrate.preflight.walk.rows_to_insert import Later
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.preflight.walk.updated_rows import (
    OpenError,
    require_as_described,
    require_deletable,
    require_updatable,
    require_writable,
    rows_read,
)

APP, AUTH = "core", "auth"
PERMISSION = (AUTH, "permission")
# What pulpcore adds to it.
settings: Any = of_django
MODULE, UTIL = "pulpcore.app.apps", "pulpcore.app.util"
POLICY = ("statements", "creation_hooks", "queryset_scoping")
FILES = "pulpcore.app.models.storage.FileSystem"


def _model(state: ProjectState, name: str) -> Any:
    """Return the model of the state, None where the receiver finds none and does nothing."""
    return state.apps.get_model(APP, name) if (APP, name.lower()) in state.models else None


def clean_app_status(walk: SchemaWalk, state: ProjectState) -> None:
    """It deletes the status of applications that have ended, before the plan."""
    live = {(each.name, each.kind) for each in walk.catalog.relations}
    if (f"{APP}_appstatus", "r") not in live:
        return
    model = _model(state, "AppStatus")
    if model is None:
        raise OpenError("which rows of its status can be deleted before the plan")
    table = require_as_described(walk, model)
    if walk.rows(table) != 0:
        _require_old_status_deletable(walk, table, model)


def _require_old_status_deletable(walk: SchemaWalk, table: SimulatedTable, model: Any) -> None:
    """Raise OpenError unless each row can be deleted, as each may be too old by then."""
    require_writable(walk, table, "DELETE")
    live = live_relation(walk.catalog, table.origin)
    keys = {
        (each.name, *key.columns): (each, key)
        for each in walk.catalog.relations
        for key in each.constraints
        if live is not None and key.references == live.oid
    }
    for related in model._meta.related_objects:
        options = related.related_model._meta
        if (options.db_table, related.field.column) not in keys:
            raise OpenError(f"{options.db_table} points to {table.label} without a foreign key")
    questions = [
        sql.SQL("EXISTS (SELECT FROM {} WHERE {} IS NOT NULL)").format(
            sql.Identifier(each.schema, each.name), sql.Identifier(key.columns[0])
        )
        for each, key in keys.values()
    ]
    # PostgreSQL itself computes how old they are, which an extreme interval would stop.
    old = "(SELECT count(*) FROM {} WHERE last_heartbeat < now() - ttl) < 0"
    questions.append(sql.SQL(old).format(sql.Identifier(*(table.origin or ()))))
    with transaction_as_project(walk.connection, "READ ONLY") as cursor:
        cursor.execute(LIMITS, [TIMEOUT, TIMEOUT])
        cursor.execute(sql.SQL("SELECT {}").format(sql.SQL(" OR ").join(reversed(questions))))
        [[found]] = cursor.fetchall()
    if found:
        raise OpenError(f"rows point to those of {table.label} that are too old by then")


def populate_system_id(walk: SchemaWalk, state: ProjectState) -> None:
    """It inserts a row where there is none."""
    model = _model(state, "SystemID")
    if model is None:
        return
    table = require_as_described(walk, model)
    if walk.rows(table) == 0:
        _insert(walk, table, [model()], "the system's id")


def populate_access_policies(walk: SchemaWalk, state: ProjectState) -> None:
    """It inserts the policies that are missing, and updates those that nobody has changed."""
    model = _model(state, "AccessPolicy")
    if model is None:
        return
    table = require_as_described(walk, model)
    rows = rows_read(walk, table, ("viewset_name", "customized", *POLICY))
    there = {str(row[0]): row[1:] for row in rows}
    new = []
    for name, policy in _wanted_policies():
        if name not in there:
            new.append(_new_policy(model, name, policy))
            continue
        customized, *held = there[name]
        wanted = {key: policy.get(key) for key in POLICY}
        now = dict(zip(POLICY, map(_as_json, held), strict=True))
        if customized == "false" and now != wanted:
            changes = {key: value for key, value in wanted.items() if now[key] != value}
            changes["pulp_last_updated"] = timezone.now()
            kept = {field.column for field in model._meta.local_concrete_fields} - changes.keys()
            require_updatable(walk, table, changes, kept - {model._meta.pk.column})
    _insert(walk, table, new, "access policies")


def _insert(
    walk: SchemaWalk,
    table: SimulatedTable,
    rows: Sequence[Any],
    what: str,
    targets: Mapping[str, SimulatedTable] | None = None,
) -> None:
    """Report what would refuse these instances of one model; with `targets`, without their keys."""
    live = live_relation(walk.catalog, table.origin)
    if rows and (live is None or missing_to_insert(walk.connection, live, table.types)):
        raise OpenError(f"the role may not insert into {table.label}")
    if rows:
        keyed = targets is None
        insert_instances(walk, table, type(rows[0]), rows, what, targets, with_key=keyed)


def _new_policy(model: Any, name: str, policy: dict[str, Any]) -> Any:
    fields = {field.name: field for field in model._meta.local_concrete_fields}
    if not policy.keys() <= fields.keys():
        raise OpenError(f"the access policy of {name} has parts that are not known")
    # What is inserted is asked without what NOT NULL and JSON may say.
    given = {**dict.fromkeys(POLICY), **policy}
    if any(value is None and not fields[key].null for key, value in given.items()):
        raise OpenError(f"the access policy of {name} lacks what it must have")
    if "\\u" in json.dumps([name, given]):
        raise OpenError(f"the access policy of {name} is not plain text")
    return model(viewset_name=name, pulp_created=timezone.now(), **policy)


def _wanted_policies() -> Iterator[tuple[str, dict[str, Any]]]:
    util = sys.modules[UTIL]
    extra = sys.modules["pulpcore.app.viewsets"].LoginViewSet
    for config in _plugins():
        for batch in [*config.named_viewsets.values(), [extra]]:
            for viewset in batch:
                policy = getattr(viewset, "DEFAULT_ACCESS_POLICY", None)
                if policy is not None:
                    yield util.get_view_urlpattern(viewset), policy


def _plugins() -> Iterable[Any]:
    """Return the apps for which migrate calls the receivers."""
    every = sys.modules[MODULE].pulp_plugin_configs()
    return [config for config in every if config.models_module is not None]


def _as_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def ensure_default_domain(walk: SchemaWalk, state: ProjectState) -> None:
    """It looks for the default domain, and lets it be as the settings say."""
    if _model(state, "Domain") is None:
        return
    # The project's own, whatever the state is.
    model: Any = sys.modules["pulpcore.app.models"].Domain
    table = require_as_described(walk, model)
    columns = ("name", "storage_settings", "storage_class")
    switches = ("hide_guarded_distributions", "redirect_to_object_storage")
    rows = rows_read(walk, table, (*columns, *switches))
    found = [row for row in rows if row[0] == "default"]
    if len(found) != 1:
        raise OpenError("the default domain is not there")
    [(_, secret, storage, *held)] = found
    try:
        field = model._meta.get_field("storage_settings")
        field.from_db_value(secret, None, walk.connection)
    except Exception as error:
        raise OpenError("whether the settings of the default domain can be decrypted") from error
    wanted = [settings.HIDE_GUARDED_DISTRIBUTIONS, settings.REDIRECT_TO_OBJECT_STORAGE]
    if storage != settings.STORAGES["default"]["BACKEND"] or held != [
        "true" if each else "false" for each in wanted
    ]:
        raise OpenError("the default domain is not as the settings say, and is changed")


def populate_roles(walk: SchemaWalk, state: ProjectState) -> None:
    """It makes the roles as the plugins describe them, and writes each of them again."""
    model = _model(state, "Role")
    if model is None or PERMISSION not in state.models:
        return
    table = require_as_described(walk, model)
    through = model._meta.get_field("permissions").remote_field.through
    pairs_table = require_as_described(walk, through)
    desired = dict(_desired_roles())
    there = _roles_there(walk, table, desired)
    made = {name: model(name=name, pulp_created=timezone.now()) for name in desired.keys() - there}
    _insert(walk, table, list(made.values()), "roles")
    changes = {"locked": True, "pulp_last_updated": timezone.now()}
    for description in {_description(each) for each in desired.values()}:
        require_updatable(walk, table, {**changes, "description": description}, ("name",))
    keys = {name: there.get(name) or str(made[name].pk) for name in desired}
    wanted = set(_pairs_wanted(walk, state, desired, keys))
    held = set(rows_read(walk, pairs_table, ("role_id", "permission_id")))
    if {pair for pair in held if pair[0] in keys.values()} - wanted:
        require_deletable(walk, pairs_table)
    new = [through(role_id=role, permission_id=each) for role, each in wanted - held]
    targets = {"role_id": table, "permission_id": _permissions(walk, state)}
    _insert(walk, pairs_table, new, "permissions of roles", targets)


def _roles_there(
    walk: SchemaWalk, table: SimulatedTable, desired: Mapping[str, Any]
) -> dict[str, str]:
    """Return the keys of the roles that are there, of which none is to go."""
    rows = rows_read(walk, table, ("pulp_id", "name", "locked"))
    prefixes = tuple(f"{config.label}." for config in _plugins())
    for _, name, locked in rows:
        if locked == "true" and str(name).startswith(prefixes) and name not in desired:
            raise OpenError(f"the role {name} is wanted no longer, and is deleted")
    return {str(name): str(key) for key, name, _ in rows}


def _desired_roles() -> Iterator[tuple[str, Any]]:
    for config in _plugins():
        for batch in config.named_viewsets.values():
            for viewset in batch:
                for name, wanted in (getattr(viewset, "LOCKED_ROLES", None) or {}).items():
                    of_its_own = name.startswith(f"{config.label}.") and name.isascii()
                    if not of_its_own or not isinstance(wanted, dict | list):
                        raise OpenError(f"the role {name} is refused by pulpcore itself")
                    yield name, wanted


def _description(role: Any) -> str | None:
    return role.get("description") if isinstance(role, dict) else None


def _permissions(walk: SchemaWalk, state: ProjectState) -> SimulatedTable:
    return require_as_described(walk, state.apps.get_model(*PERMISSION))


def _pairs_wanted(
    walk: SchemaWalk, state: ProjectState, desired: Mapping[str, Any], keys: Mapping[str, str]
) -> Iterator[tuple[Any, Any]]:
    """Yield which role is to have which permission, by their keys.

    A permission that Django inserts in this very migrate has its key later: Django's receivers were
    connected before those of pulpcore, and post_migrate is sent for each app.
    """
    types = state.apps.get_model("contenttypes", "ContentType")
    apps: dict[Any, Any] = {
        row[0]: row[1]
        for row in rows_read(walk, require_as_described(walk, types), ("id", "app_label"))
    }
    columns = ("id", "content_type_id", "codename")
    there: dict[str, list[Any]] = {}
    for key, type_, codename in rows_read(walk, _permissions(walk, state), columns):
        there.setdefault(f"{apps.get(type_)}.{codename}", []).append(key)
    coming = _permissions_coming(state)
    for name, each in desired.items():
        for permission in each["permissions"] if isinstance(each, dict) else each:
            found = there.get(permission, [])
            if not found and (name.partition(".")[0], permission) in coming:
                found = [Later(permission)]
            if len(found) != 1:
                raise OpenError(f"whether the permission {permission} is there by then, and once")
            yield keys[name], found[0]


def _permissions_coming(state: ProjectState) -> set[tuple[str, str]]:
    """Return the permissions of each app that Django makes before pulpcore looks for them."""
    labels = list(installed.app_configs)
    if AUTH not in labels or labels.index(AUTH) > labels.index(APP):
        return set()
    return {
        (item.type[0], f"{item.type[0]}.{item.codename}")
        for model in models_after(state)
        for item in permissions_of(model)
    }


def populate_artifact_serving_distribution(walk: SchemaWalk, state: ProjectState) -> None:
    """It looks for the one distribution of artifacts."""
    if settings.STORAGES["default"]["BACKEND"] != FILES and settings.REDIRECT_TO_OBJECT_STORAGE:
        return
    model = _model(state, "ArtifactDistribution")
    if model is None or _model(state, "ContentRedirectContentGuard") is None:
        return
    table = require_as_described(walk, model)
    for parent in model._meta.parents:
        require_as_described(walk, parent)
    if walk.rows(table) != 1:
        raise OpenError(f"{table.label} has not the one row that is looked for")


OF: dict[str, Callable[[SchemaWalk, ProjectState], None]] = {
    f"{MODULE}._clean_app_status": clean_app_status,
    f"{MODULE}._populate_access_policies": populate_access_policies,
    f"{MODULE}._populate_system_id": populate_system_id,
    f"{MODULE}._ensure_default_domain": ensure_default_domain,
    f"{MODULE}._populate_roles": populate_roles,
    f"{MODULE}._populate_artifact_serving_distribution": populate_artifact_serving_distribution,
}


def require_pulpcore_receivers(walk: SchemaWalk, state: ProjectState) -> None:
    """Report what stands against what pulpcore's receivers will write, or mark it as undecided.

    `state` is the one after the plan.
    """
    for name in known_besides():
        if name in OF:
            try:
                OF[name](walk, state)
            except (OpenError, Error) as error:
                walk.ledger.mark_undecided(f"{name}: {first_line(error)}")
            except Exception as error:  # what a plugin's viewsets raise is anybody's guess
                what = f"{type(error).__name__}: {first_line(error)}"
                walk.ledger.mark_undecided(f"{name} raises {what}")
