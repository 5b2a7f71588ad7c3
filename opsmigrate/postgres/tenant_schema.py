"""Whether a tenant's schema is there: without it, all that is made would land in what is shared."""

from __future__ import annotations

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.errors import RefusedError
from opsmigrate.postgres.django_tenants import sets_path_itself
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.postgres.tenant import schema_of
from opsmigrate.steps import Step, command, statement

# Of the history, where the first one that the project sees is; the table's name is Django's.
PLACES = """
SELECT (SELECT CASE WHEN n.oid IS NOT NULL THEN has_schema_privilege(n.oid, 'USAGE') END
        FROM (SELECT to_regnamespace(quote_ident(%s)) AS oid) n),
       current_user::text,
       (SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = 'django_migrations' AND pg_table_is_visible(c.oid))
"""


def _creating(connection: BaseDatabaseWrapper, schema: str) -> Step:
    """Return what creates a tenant's schema: django-tenants has a command for all that lack one."""
    if sets_path_itself(connection) and apps.is_installed("django_tenants"):
        return command("python manage.py create_missing_schemas")
    return statement(f"CREATE SCHEMA {quoted(schema)}")


def require_own_schema(connection: BaseDatabaseWrapper) -> None:
    """Raise RefusedError where `migrate` of a tenant would work in a schema that it shares.

    PostgreSQL passes over a schema of the search_path that does not exist, and Django takes the
    first history that it sees for the tenant's own.
    """
    schema = schema_of(connection)
    if schema is None:
        return
    [(usable, role, history)] = seen_by_project(connection, PLACES, [schema])
    if usable is None:
        raise RefusedError(
            f"the schema {schema} of this target does not exist",
            id="tenant-schema-missing",
            hint="create it as your tenants are created; or let the fleet's function not yield it, "
            "where the tenant is gone",
            steps=(_creating(connection, schema),),
        )
    if not usable:
        raise RefusedError(
            f"the role {role} may not use the schema {schema} of this target",
            id="tenant-schema-missing",
            hint="let the owner of the schema, or a superuser, grant it",
            steps=(statement(f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(role)}"),),
        )
    if history is not None and history != schema:
        own, shared = quoted(schema), quoted(history)
        raise RefusedError(
            f"the schema {schema} of this target has no django_migrations of its own; migrate "
            f"would take that of {history} for it",
            id="tenant-without-history",
            hint="let what creates your tenants create it; or create it empty, where nothing is "
            "applied yet",
            steps=(
                statement(
                    f"CREATE TABLE {own}.django_migrations "
                    f"(LIKE {shared}.django_migrations INCLUDING ALL)"
                ),
            ),
        )
