"""--run-syncdb: tables of apps without migrations, made by `migrate` before its first step."""

from __future__ import annotations

from django.apps import apps
from django.db import router
from django.db.models import Model

from opsmigrate.postgres.catalog import TABLE_KINDS
from opsmigrate.preflight.plan import Plan, Target
from opsmigrate.preflight.walk.requirements import Requirements
from opsmigrate.preflight.walk.tracing import tracing_editor


def walk_syncdb(plan: Plan, target: Target, requirements: Requirements) -> None:
    """Ask about each table that would be made, as migrate's sync_apps() makes it."""
    assert plan.executor is not None  # noqa: S101 - only a plan without findings gets here
    unmigrated = plan.executor.loader.unmigrated_apps
    labels = {target.app_label} if target.app_label else set(unmigrated)
    editor = tracing_editor(requirements.connection, requirements, atomic=True)
    for config in apps.get_app_configs():
        if config.models_module is None or config.label not in labels:
            continue
        alias = requirements.connection.alias
        for model in router.get_migratable_models(config, alias, include_auto_created=False):
            if model._meta.can_migrate(requirements.connection) and _is_missing(
                model, requirements
            ):
                with requirements.ledger.at(None, f"--run-syncdb: {model._meta.label}"):
                    editor.create_model(model)
                    editor.note_origins()
    editor.run_deferred()


def _is_missing(model: type[Model], requirements: Requirements) -> bool:
    # Where a view has the name, migrate tries, and fails.
    return requirements.schema.kind(model._meta.db_table) not in TABLE_KINDS
