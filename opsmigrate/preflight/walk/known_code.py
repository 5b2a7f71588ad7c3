"""Functions that RunPython of well-known apps calls, and what they do: read from their code.

What a function does is known of its text only: another release may do something else, and is
undecided as any other code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db.migrations.state import ProjectState
from django.db.models import Q

from opsmigrate.preflight.walk.empty_query import NotEmptyError, require_nothing_to_do
from opsmigrate.preflight.walk.known_receivers import fingerprint
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.updated_rows import (
    OpenError,
    require_as_described,
    rows_read,
)

PROXIES = "django.contrib.auth.migrations.0011_update_proxy_permissions"
# SHA-256 of the function's text, as fingerprint() has it: the same from Django 5.2 to 6.1.
FINGERPRINTS = {
    f"{PROXIES}.update_proxy_model_permissions": {"37c8270e0bb671ca"},
    f"{PROXIES}.revert_proxy_model_permissions": {"f5c5d1878fbc0600"},
}
BACKWARDS = "revert_proxy_model_permissions"
ASKED_FOR = {("auth", "permission"), ("contenttypes", "contenttype")}


def does_nothing(code: Callable[..., Any], walk: SchemaWalk, state: ProjectState) -> bool:
    """Return whether the code, given the models of `state`, leaves the database as it is.

    Django's own in auth.0011, which every project has, gives permissions of proxy models that were
    made for their concrete models (before Django 2.2) to the proxies.
    """
    name = f"{code.__module__}.{getattr(code, '__qualname__', '')}"
    if name not in FINGERPRINTS or fingerprint(code) not in FINGERPRINTS[name]:
        return False
    if not state.models.keys() >= ASKED_FOR:
        return False
    if not _has_proxies(state):
        return True
    try:
        _require_none_to_move(walk, state, backwards=name == f"{PROXIES}.{BACKWARDS}")
    except (OpenError, NotEmptyError):
        return False
    return True


def _require_none_to_move(walk: SchemaWalk, state: ProjectState, *, backwards: bool) -> None:
    types = state.apps.get_model("contenttypes", "ContentType")
    permissions: Any = state.apps.get_model("auth", "Permission")
    keys: dict[tuple[Any, ...], list[Any]] = {}
    columns = ("id", "app_label", "model")
    for key, *label in rows_read(walk, require_as_described(walk, types), columns):
        keys.setdefault(tuple(label), []).append(key)
    for model in state.apps.get_models():
        options: Any = model._meta
        if not options.proxy:
            continue
        concrete = options.concrete_model._meta
        both = [keys.get((each.app_label, each.model_name), []) for each in (concrete, options)]
        if any(len(found) != 1 for found in both):
            raise OpenError("a content type is made")
        [[old], [new]] = reversed(both) if backwards else both
        names = [f"{action}_{options.model_name}" for action in options.default_permissions]
        wanted = Q(codename__in=names)
        for codename, words in options.permissions:
            wanted |= Q(codename=codename, name=words)
        found = permissions.objects.using(walk.connection.alias).filter(wanted, content_type=old)
        require_nothing_to_do(walk, found, changes={"content_type": new})


def _has_proxies(state: ProjectState) -> bool:
    # Models of apps without migrations are among those of the state, too (StateApps).
    unmigrated = (apps.get_app_config(label).get_models() for label in state.real_apps)
    return any(model.options.get("proxy") for model in state.models.values()) or any(
        model._meta.proxy for models in unmigrated for model in models
    )
