"""Everything that is to be applied is applied, and what is applied is there on disk."""

from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from opsmigrate.counted import counted
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.steps import APPLY
from opsmigrate.uat.context import Context
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.registry import check


@check("migrations-applied", tags=("database", "migrations"), severity="blocker")
def migrations_applied(context: Context) -> str:
    """The target of every app is applied, and nothing is pending."""
    with project_search_path(context.connection):
        executor = MigrationExecutor(context.connection)
        executor.loader.check_consistent_history(context.connection)
    leaves = executor.loader.graph.leaf_nodes()
    plan = executor.migration_plan(leaves)
    if plan:
        pending = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan)
        raise Failed(f"{len(plan)} pending: {pending}", steps=APPLY)
    last = ", ".join(f"{app}.{name}" for app, name in sorted(leaves))
    return f"nothing pending; applied up to {last}"


@check("migrations-on-disk", tags=("database", "migrations"), severity="major")
def migrations_on_disk(context: Context) -> str:
    """No migration is recorded as applied whose file this release does not have."""
    with project_search_path(context.connection):
        loader = MigrationLoader(context.connection)
    replaced = {key for item in loader.replacements.values() for key in item.replaces}
    applied = {key for key in loader.applied_migrations if key[0] in loader.migrated_apps}
    missing = sorted(applied - set(loader.disk_migrations) - replaced)
    if missing:
        raise Failed(
            "applied, but not on disk: " + ", ".join(f"{a}.{n}" for a, n in missing),
            hint="run it with the release that has them: this database is ahead of this release",
        )
    some = counted(len(applied), "applied migration is", "applied migrations are all")
    return f"{some} on disk"
