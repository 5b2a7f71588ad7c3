"""The site that django.contrib.sites inserts after a migrate that leaves none."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import router
from django.db.migrations.state import ProjectState

from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.walk.bookkeeping import insert_instances
from opsmigrate.preflight.walk.missing_privileges import report_missing_privileges
from opsmigrate.preflight.walk.privileges import (
    MissingPrivilege,
    live_relation,
    missing_privilege,
    missing_to_insert,
)
from opsmigrate.preflight.walk.receivers import SITES, receivers_of_migrate
from opsmigrate.preflight.walk.schema_walk import SchemaWalk

NAME = "example.com"
# It sets the sequence too, which takes the right to UPDATE it.
SEQUENCE = """
SELECT n.nspname, s.relname FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace
WHERE s.oid = to_regclass(pg_get_serial_sequence(%s, %s))
    AND NOT has_sequence_privilege(s.oid, 'UPDATE')
"""


def require_default_site(walk: SchemaWalk, state: ProjectState) -> None:
    """Report if django.contrib.sites.management.create_default_site would fail."""
    if SITES not in receivers_of_migrate() or ("sites", "site") not in state.models:
        return
    model: Any = state.apps.get_model("sites", "site")
    connection = walk.connection
    table = walk.schema.table(model._meta.db_table)
    columns = [field.column for field in model._meta.local_concrete_fields]
    if table is None or not router.allow_migrate_model(connection.alias, model):
        return
    if not table.types.keys() >= set(columns):
        return
    relation = live_relation(walk.catalog, table.origin)
    if relation is not None and (missing := missing_privilege(connection, relation, "SELECT")):
        report_missing_privileges(walk, (missing,), relation, "look for a site after every plan")
    elif walk.rows(table) == 0:
        if relation is not None:
            all_missing = [
                *missing_to_insert(connection, relation, columns),
                *filter(None, [missing_privilege(connection, relation, "UPDATE")]),
            ]
            with connection.cursor() as cursor:
                name = quoted(relation.schema, relation.name)
                cursor.execute(SEQUENCE, [name, model._meta.pk.column])
                all_missing += [
                    MissingPrivilege(
                        "UPDATE", f"SEQUENCE {schema}.{each}", f"SEQUENCE {quoted(schema, each)}"
                    )
                    for schema, each in cursor.fetchall()
                ]
            if all_missing:
                report_missing_privileges(walk, all_missing, relation, "add the default site")
        site = model(pk=getattr(settings, "SITE_ID", 1), domain=NAME, name=NAME)
        insert_instances(walk, table, model, [site], f"the site {NAME}", with_key=True)
