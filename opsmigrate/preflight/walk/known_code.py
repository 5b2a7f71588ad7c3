"""Functions that RunPython of well-known apps calls, and what they do: read from their code.

What a function does is known of its text only: another release may do something else, and is
undecided as any other code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db.migrations.state import ProjectState

from opsmigrate.preflight.walk.known_receivers import fingerprint

PROXIES = "django.contrib.auth.migrations.0011_update_proxy_permissions"
# SHA-256 of the function's text, as fingerprint() has it: the same from Django 5.2 to 6.1.
FINGERPRINTS = {
    f"{PROXIES}.update_proxy_model_permissions": {"37c8270e0bb671ca"},
    f"{PROXIES}.revert_proxy_model_permissions": {"f5c5d1878fbc0600"},
}
ASKED_FOR = {("auth", "permission"), ("contenttypes", "contenttype")}


def asks_nothing(code: Callable[..., Any], state: ProjectState) -> bool:
    """Return whether the code, given the models of `state`, leaves the database alone.

    Django's own in auth.0011, which every project has, goes through the proxy models only.
    """
    name = f"{code.__module__}.{getattr(code, '__qualname__', '')}"
    if name not in FINGERPRINTS or fingerprint(code) not in FINGERPRINTS[name]:
        return False
    return state.models.keys() >= ASKED_FOR and not _has_proxies(state)


def _has_proxies(state: ProjectState) -> bool:
    # Models of apps without migrations are among those of the state, too (StateApps).
    unmigrated = (apps.get_app_config(label).get_models() for label in state.real_apps)
    return any(model.options.get("proxy") for model in state.models.values()) or any(
        model._meta.proxy for models in unmigrated for model in models
    )
