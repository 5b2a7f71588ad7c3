"""Receivers of well-known apps that write rows, and what they need: read from their code.

What a function does is known of its text only: another release may do something else, and is left
open as any other code.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from django.contrib.auth import get_permission_codename, get_user_model
from django.db import Error, router
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.preflight.walk.new_rows import Permission, type_of
from opsmigrate.preflight.walk.schema_walk import SchemaWalk

WAGTAIL = "wagtail.snippets.models.create_extra_permissions"
GUARDIAN = "guardian.management.create_anonymous_user"
# SHA-256 of the function's text, its words with one space between them.
FINGERPRINTS = {
    # The same from Wagtail 5.2 to 8.0.
    WAGTAIL: {"47402eec0ccc2523"},
    # django-guardian 2.4 to 3.1; 3.2 to 3.5, where what the database refuses is passed over.
    GUARDIAN: {"d02d928413b23dac", "16b75fdf56aee082"},
}
PULPCORE = "pulpcore.app.apps."
# pulpcore 3.123.
PULPCORES = {
    "_clean_app_status": {"bace55ce6968a227"},
    "_populate_access_policies": {"e2a74906eb0d229b"},
    "_populate_system_id": {"e114338b90bc32ed"},
    "_ensure_default_domain": {"9d2cdbcbe299784a"},
    "_populate_roles": {"f122797333fe6b00"},
    "_populate_artifact_serving_distribution": {"3e9048bc88f59404"},
}
FINGERPRINTS |= {f"{PULPCORE}{name}": texts for name, texts in PULPCORES.items()}
# What known receivers call, by module and name.
CALLED = {
    f"{PULPCORE}_populate_access_policies": {
        ("pulpcore.app.util", "get_view_urlpattern"): "7539d4268be49103"
    },
    f"{PULPCORE}_ensure_default_domain": {
        ("pulpcore.app.util", "get_default_domain"): "7abf1167fbbc1e4e"
    },
    f"{PULPCORE}_populate_roles": {("pulpcore.app.apps", "adjust_roles"): "0ed6d88e35e95017"},
}
DIGITS = 16


def fingerprint(function: Callable[..., Any]) -> str | None:
    """Return what tells the text of a function from another, None where it has none."""
    try:
        words = inspect.getsource(function).split()
    except (OSError, TypeError):
        return None
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:DIGITS]


def is_known(name: str, function: Callable[..., Any]) -> bool:
    """Return whether the receiver is one of a well-known app, with a text that was read."""
    called = CALLED.get(name, {})
    return (
        name in FINGERPRINTS
        and fingerprint(function) in FINGERPRINTS[name]
        and all(fingerprint(_of(*where)) == text for where, text in called.items())
    )


def _of(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)


def why_open(name: str, walk: SchemaWalk) -> str | None:
    """Return why it is not known what a known receiver will do, None where it is."""
    # What pulpcore's do is asked in pulpcore_receivers.py.
    if name == GUARDIAN and not _is_there(walk):
        return f"{name} makes the anonymous user, which does not exist: only a rehearsal decides"
    # What Wagtail's inserts is asked with Django's own permissions.
    return None


def _is_there(walk: SchemaWalk) -> bool:
    """Return whether guardian's anonymous user is there, so that it does nothing."""
    user: Any = get_user_model()
    alias = walk.connection.alias
    table = walk.schema.table(user._meta.db_table)
    field = user._meta.get_field(user.USERNAME_FIELD)
    if table is None or table.origin is None or not router.allow_migrate_model(alias, user):
        return False
    if not {field.column, user._meta.pk.column} <= table.types.keys() & table.origins.keys():
        return False
    name = import_module("guardian.conf.settings").ANONYMOUS_USER_NAME
    # No parameter: a name may have a percent sign.
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {}::text = {})").format(
        sql.Identifier(*table.origin),
        sql.Identifier(table.origins[field.column]),
        sql.Literal(name),
    )
    try:
        with walk.connection.cursor() as cursor:
            cursor.execute(query)
            return bool(cursor.fetchone()[0])
    except Error:
        return False


def extra_permissions(names: Iterator[str]) -> Iterator[Permission]:
    """Yield the permissions that known receivers among `names` insert besides Django's."""
    if WAGTAIL not in names:
        return
    snippets, wagtail = import_module("wagtail.snippets.models"), import_module("wagtail.models")
    for mixin, actions in (
        (wagtail.DraftStateMixin, ("publish",)),
        (wagtail.LockableMixin, ("lock", "unlock")),
    ):
        for model in snippets.get_snippet_models():
            if issubclass(model, mixin):
                for action in actions:
                    options = model._meta
                    yield Permission(
                        type_of(model),
                        get_permission_codename(action, options),
                        f"Can {action} {options.verbose_name_raw}",
                    )
