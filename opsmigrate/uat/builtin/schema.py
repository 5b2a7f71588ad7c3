"""The live schema is what the applied migrations claim."""

from django.db.migrations.executor import MigrationExecutor

from opsmigrate.counted import counted
from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.schema.drift import drift_of
from opsmigrate.steps import as_lines, command
from opsmigrate.uat.context import Context
from opsmigrate.uat.outcome import Failed
from opsmigrate.uat.registry import check

NAMED = 8
EACH = "preflight_migrate says for each what to type"


@check("schema-as-claimed", tags=("database", "schema", "migrations"), severity="blocker")
def schema_as_claimed(context: Context) -> str:
    """Tables, columns, types, NULLs, defaults, keys, indexes and checks are as migrations say."""
    with project_search_path(context.connection):
        executor = MigrationExecutor(context.connection)
    catalog = read_catalog(context.connection)
    found = drift_of(context.connection, executor, catalog)
    if found:
        head = ("table", "column or name", "claimed", "live", "to type")
        rows = [
            (
                each.table,
                each.column or each.name or "",
                each.claimed or "",
                each.live or "none",
                "\n".join(as_lines(each.hint, each.steps)),
            )
            for each in found
        ]
        context.add_table("Schema drift", [head, *rows])
        some = counted(len(found), "difference")
        more = f"; {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise Failed(
            f"{some}: {'; '.join(each.words for each in found[:NAMED])}{more}",
            hint=found[0].hint
            if len(found) == 1
            else "preflight_migrate says what to type for each",
            steps=found[0].steps
            if len(found) == 1
            else (command("python manage.py preflight_migrate"),),
        )
    applied = len(executor.loader.applied_migrations)
    claimed = counted(applied, "applied migration claims", "applied migrations claim")
    return f"no difference from what {claimed}"
