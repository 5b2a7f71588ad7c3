"""What the migrations themselves do to a field: which one makes its table, which one alters it."""

from django.db import ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import AlterField, CreateModel, Migration
from django.db.migrations.loader import MigrationLoader

from opsmigrate.schema.applied import flat
from opsmigrate.schema.history import applied_migrations


def altering_migration(
    connection: BaseDatabaseWrapper, app: str, model: str, field: str
) -> tuple[str, str] | None:
    """Return (app, name) of the last pending migration that alters the field, else None."""
    try:
        applied = set(applied_migrations(connection))
    except ProgrammingError:
        # It is a word of advice that the history is read for, and the role may not read it.
        return None
    found = None
    for migration in _in_order(app):
        names = [f"{migration.app_label}.{migration.name}"]
        names += [f"{app}.{name}" for app, name in migration.replaces]
        if not applied.isdisjoint(names):
            continue
        for operation in flat(migration.operations):
            if isinstance(operation, AlterField) and (
                (operation.model_name_lower, operation.name_lower) == (model, field)
            ):
                found = (migration.app_label, migration.name)
    return found


def creating_migration(app: str, model: str) -> tuple[str, str] | None:
    """Return (app, name) of the migration on disk that creates the model, else None."""
    for migration in _in_order(app):
        for operation in flat(migration.operations):
            if isinstance(operation, CreateModel) and operation.name_lower == model:
                return migration.app_label, migration.name
    return None


def _in_order(app: str) -> list[Migration]:
    """Return the migrations of the app on disk, in the order in which they are applied."""
    # Without a connection: Django would ask for the history through a session of its own making.
    loader = MigrationLoader(None)
    keys = [
        key
        for leaf in loader.graph.leaf_nodes(app)
        for key in loader.graph.forwards_plan(leaf)
        if key[0] == app
    ]
    return [loader.graph.nodes[key] for key in dict.fromkeys(keys)]
