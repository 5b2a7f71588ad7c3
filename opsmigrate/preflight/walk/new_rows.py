"""The content types and permissions that post_migrate inserts for models without them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.migrations import RenameModel
from django.db.migrations.state import ProjectState

from opsmigrate.postgres.compose import Composable
from opsmigrate.preflight.plan import PlanStep
from opsmigrate.preflight.walk.simulated_table import SimulatedTable

# App and name of a model, as in a content type.
Type = tuple[str, str]


@dataclass(frozen=True)
class LiveRows:
    """The content types with their keys, and the codenames of their permissions by those keys.

    `doubled` are content types that are there more than once.
    """

    types: Mapping[Type, Any]
    permissions: frozenset[tuple[Any, str]] = frozenset()
    doubled: frozenset[Type] = frozenset()


@dataclass(frozen=True)
class Permission:
    """A permission of a model: its codename, and its name for people."""

    type: Type
    codename: str
    name: str


def live_rows(
    connection: BaseDatabaseWrapper,
    types: SimulatedTable | None,
    permissions: SimulatedTable | None,
) -> LiveRows:
    """Return what the live tables hold; nothing of those that the plan makes.

    Raises Error where that cannot be read.
    """
    if types is None or types.origin is None:
        return LiveRows({})
    with connection.cursor() as cursor:
        cursor.execute(_select(types, "id", "app_label", "model"))
        rows = [(key, (app, model)) for key, app, model in cursor.fetchall()]
        found = {type_: key for key, type_ in rows}
        doubled = {type_ for key, type_ in rows if found[type_] != key}
        held: frozenset[tuple[Any, str]] = frozenset()
        if permissions is not None and permissions.origin is not None:
            cursor.execute(_select(permissions, "content_type_id", "codename"))
            held = frozenset(cursor.fetchall())
    return LiveRows(found, held, frozenset(doubled))


def without_keys(
    live: LiveRows, types: SimulatedTable, permissions: SimulatedTable | None
) -> Iterator[tuple[Composable, list[tuple[Any, ...]]]]:
    """Yield what gives the live rows without their keys, each with the rows that it gives.

    Nothing where a content type is there twice: which of the two is meant is said by its key.
    """
    if types.origin is None or live.doubled:
        return
    yield _select(types, "app_label", "model"), list(live.types)
    if permissions is None or permissions.origin is None:
        return
    own, other = types.origins, permissions.origins
    query = sql.SQL("SELECT t.{}, t.{}, p.{} FROM {} AS p LEFT JOIN {} AS t ON t.{} = p.{}").format(
        sql.Identifier(own["app_label"]),
        sql.Identifier(own["model"]),
        sql.Identifier(other["codename"]),
        sql.Identifier(*permissions.origin),
        sql.Identifier(*types.origin),
        sql.Identifier(own["id"]),
        sql.Identifier(other["content_type_id"]),
    )
    of = {key: type_ for type_, key in live.types.items()}
    yield query, [(*of.get(key, (None, None)), codename) for key, codename in live.permissions]


def _select(table: SimulatedTable, *columns: str) -> Any:
    return sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(sql.Identifier(table.origins[column]) for column in columns),
        sql.Identifier(*(table.origin or ())),
    )


def content_types_after(steps: Iterable[PlanStep], live: Iterable[Type]) -> dict[Type, Type]:
    """Return the content types (app, model) after the plan, each with what it is called now.

    One whose new name is taken keeps its old one
    (django.contrib.contenttypes.management.RenameContentType).
    """
    now = {key: key for key in live}
    for step in steps:
        for old, new in renames(step):
            app = step.migration.app_label
            if (app, old.lower()) in now and (app, new.lower()) not in now:
                now[app, new.lower()] = now.pop((app, old.lower()))
    return now


def renames(step: PlanStep) -> Iterator[tuple[str, str]]:
    """Yield the old and new names of the models that a step renames, in its order."""
    operations = step.migration.operations
    for operation in reversed(operations) if step.backwards else operations:
        if isinstance(operation, RenameModel):
            names = operation.old_name, operation.new_name
            yield (names[1], names[0]) if step.backwards else names


def models_after(state: ProjectState) -> Iterator[Any]:
    """Yield the models for which post_migrate makes content types and permissions."""
    for config in apps.get_app_configs():
        if config.models_module is not None:
            try:
                yield from state.apps.get_app_config(config.label).get_models()
            except LookupError:
                continue


def type_of(model: Any) -> Type:
    """Return the content type of a model."""
    return model._meta.app_label, str(model._meta.model_name)


def permissions_of(model: Any) -> Iterator[Permission]:
    """Yield the permissions that Django makes for a model (django.contrib.auth.management)."""
    options = model._meta
    for action in options.default_permissions:
        codename = get_permission_codename(action, options)
        yield Permission(type_of(model), codename, f"Can {action} {options.verbose_name_raw}")
    for codename, name in options.permissions:
        yield Permission(type_of(model), str(codename), str(name))


def renamed_codenames(
    model: Any, former: str, held: frozenset[tuple[Any, str]], key: Any
) -> dict[tuple[Any, str], tuple[Any, str]]:
    """Return which permissions of a renamed model get which codenames, from Django 6.1 on."""
    found = {}
    for action in model._meta.default_permissions:
        before = (key, f"{action}_{former}")
        if before in held:
            found[before] = (key, f"{action}_{model._meta.model_name}")
    return found
