"""--run-syncdb: tables of apps without migrations, made by `migrate` before its first step."""

from __future__ import annotations

from django.apps import apps
from django.db import router
from django.db.models import Model

from opsmigrate.postgres.catalog import TABLE_KINDS
from opsmigrate.preflight.plan import MigrateArguments, Plan
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.tracing import tracing_editor


def walk_syncdb(plan: Plan, arguments: MigrateArguments, walk: SchemaWalk) -> None:
    """Report what would fail of each table that migrate's sync_apps() would create."""
    assert plan.executor is not None  # noqa: S101 - only a plan without findings gets here
    unmigrated = plan.executor.loader.unmigrated_apps
    labels = {arguments.app_label} if arguments.app_label else set(unmigrated)
    editor = tracing_editor(walk.connection, walk, atomic=True)
    for config in apps.get_app_configs():
        if config.models_module is None or config.label not in labels:
            continue
        alias = walk.connection.alias
        for model in router.get_migratable_models(config, alias, include_auto_created=False):
            if model._meta.can_migrate(walk.connection) and _is_missing(model, walk):
                with walk.ledger.at(None, f"--run-syncdb: {model._meta.label}"):
                    editor.create_model(model)
                    editor.note_origins()
    editor.run_deferred()


def _is_missing(model: type[Model], walk: SchemaWalk) -> bool:
    # Where a view has the name, migrate tries, and fails.
    return walk.schema.kind(model._meta.db_table) not in TABLE_KINDS
