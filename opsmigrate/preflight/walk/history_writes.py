"""What `migrate` writes in its history: whether it may, and whether the very rows suit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.catalog import Relation
from opsmigrate.preflight.plan import Plan, PlanStep
from opsmigrate.preflight.plan_order import REPLACEMENTS
from opsmigrate.preflight.walk.changed_rows import grant_on_new_tables, require_told_apart
from opsmigrate.preflight.walk.conflict_remedies import KINDS, set_aside
from opsmigrate.preflight.walk.insert_rejections import insert_rejections
from opsmigrate.preflight.walk.missing_privileges import report_missing_privileges
from opsmigrate.preflight.walk.privileges import (
    BY_OTHERS,
    live_relation,
    missing_privilege,
    missing_to_insert,
    on_schema,
)
from opsmigrate.preflight.walk.rejections import Rejection
from opsmigrate.preflight.walk.rows_to_insert import Later, NewRows
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.usable_schema import usable_schema
from opsmigrate.schema.history import applied_migrations
from opsmigrate.schema.history_table import HISTORY

# As the model of django.db.migrations.recorder has them.
TYPES = {
    "app": "varchar(255)",
    "name": "varchar(255)",
    "applied": "timestamp with time zone",
}
Node = tuple[str, str]


def require_history(walk: SchemaWalk, plan: Plan) -> None:
    """Report if `migrate` cannot create its history table, or cannot write its records to it."""
    if plan.steps:
        _require_table(walk)
    table = walk.schema.table(HISTORY)
    if table is None:
        return
    records = list(_records(plan))
    nodes = _replacements(walk.connection, plan)
    squashed = [(f"{app}.{name}", (app, name)) for app, name in nodes]
    new = NewRows(
        table=table,
        types=TYPES,
        rows=[(*node, Later(number)) for number, (_, node) in enumerate([*records, *squashed])],
        key="id",
    )
    labels = [label for label, _ in (*records, *squashed)]
    for rejection in insert_rejections(walk, new):
        after = rejection.row >= len(records)
        with walk.ledger.at(None, REPLACEMENTS if after else None):
            _tell(walk, rejection, labels[rejection.row], table.label)
    relation = _live(walk)
    if squashed and not records and relation is not None:
        all_missing = missing_to_insert(walk.connection, relation, TYPES, returning=["id"])
        if all_missing:
            purpose = f"record the squashed {squashed[0][0]}, whose parts are all applied"
            with walk.ledger.at(None, REPLACEMENTS):
                report_missing_privileges(walk, all_missing, relation, purpose)


def _require_table(walk: SchemaWalk) -> None:
    """Report if migrate would have to create its history table and cannot."""
    catalog, ledger = walk.catalog, walk.ledger
    schema = walk.schema
    if schema.table(HISTORY) is not None:
        return
    kind = schema.kind(HISTORY)
    # A foreign table is one to Django, a view is not (DatabaseIntrospection.table_names).
    if kind in ("v", "m"):
        ledger.find(
            "table-exists",
            f"migrate creates its history {schema.label(HISTORY)}, but a {KINDS[kind]} of that "
            "name exists",
            hint="rename it, and give the table of the history its own name back",
            steps=(set_aside(schema, *schema.home(HISTORY)),),
            table=schema.label(HISTORY),
        )
    for verb in ("INSERT", "SELECT"):
        if verb in catalog.withheld:
            ledger.find(
                "missing-privilege",
                f"migrate creates its history {schema.label(HISTORY)}, and the role will not have "
                f"{verb} on it, which it takes from the tables that it makes",
                hint="the role types this",
                steps=(grant_on_new_tables(walk, verb),),
                table=schema.label(HISTORY),
            )
    if catalog.may_create:
        return
    if catalog.schema is None:
        ledger.find(
            "missing-schema",
            f"the search_path names no existing schema that the role may use, so {HISTORY} cannot "
            "be created",
            **usable_schema(walk.connection, catalog),
        )
    else:
        ledger.find(
            "missing-privilege",
            f"the role may not create {HISTORY} in schema {catalog.schema}",
            hint=BY_OTHERS,
            steps=on_schema("CREATE", catalog.schema).steps(catalog.role),
        )


def _records(plan: Plan) -> Iterator[tuple[str, Node]]:
    """Yield what is recorded of the steps, each with the label of its step, in that order.

    Of a squashed migration, what it replaces (MigrationExecutor.record_migration).
    """
    for step in plan.steps:
        if not step.backwards:
            for node in _nodes(step):
                yield step.label, node


def _nodes(step: PlanStep) -> list[Node]:
    migration = step.migration
    return list(migration.replaces) or [(migration.app_label, migration.name)]


def _replacements(connection: BaseDatabaseWrapper, plan: Plan) -> list[Node]:
    """Return the squashed migrations that get a record of their own at the end of every migrate.

    Also where nothing is to be applied (MigrationExecutor.check_replacements).
    """
    loader: Any = plan.executor.loader if plan.executor else None
    if not loader or not loader.replacements:
        return []
    # In the loader's own graph, those without a record can no longer be distinguished.
    recorded = (label.partition(".") for label in applied_migrations(connection))
    applied = dict.fromkeys((app, name) for app, _, name in recorded)
    for step in plan.steps:
        if step.backwards:
            own = (step.migration.app_label, step.migration.name)
            for node in (*step.migration.replaces, own):
                applied.pop(node, None)
        else:
            applied.update(dict.fromkeys(_nodes(step)))
    return [
        key for key in loader.replacements if key not in applied and _whole(loader, key, applied)
    ]


def _whole(loader: Any, key: Node, applied: dict[Node, None]) -> bool:
    """Return whether all that a squashed migration replaces is applied."""
    if hasattr(loader, "all_replaced_applied"):
        # From Django 6.0 on, what is replaced may be squashed itself.
        return bool(loader.all_replaced_applied(key, applied))
    return all(node in applied for node in loader.replacements[key].replaces)


def _tell(walk: SchemaWalk, rejection: Rejection, label: str, table: str) -> None:
    ledger = walk.ledger
    if not rejection.certain:
        ledger.mark_undecided(rejection.what)
        return
    with ledger.at(label, ledger.operation):
        ledger.find(
            "history-not-writable",
            f"migrate cannot record {label} in {table}: {rejection.what}",
            hint=rejection.hint,
            steps=rejection.steps,
            table=table,
            column=rejection.column,
        )


def require_record(step: PlanStep, walk: SchemaWalk) -> None:
    """Report if migrate may not record `step` in its history, after the operations."""
    relation = _live(walk)
    if relation is None:
        return
    connection = walk.connection
    if step.backwards:
        wanted = (
            missing_privilege(connection, relation, "DELETE"),
            missing_privilege(connection, relation, "SELECT", ["app", "name"]),
        )
        all_missing = tuple(missing for missing in wanted if missing is not None)
        if (table := walk.schema.table(HISTORY)) is not None:
            with walk.ledger.at(step.label):
                require_told_apart(walk, table, "DELETE", "deleting the migration's record")
    else:
        all_missing = missing_to_insert(connection, relation, TYPES, returning=["id"])
    if all_missing:
        with walk.ledger.at(step.label):
            report_missing_privileges(walk, all_missing, relation, "record the migration")


def _live(walk: SchemaWalk) -> Relation | None:
    table = walk.schema.table(HISTORY)
    return live_relation(walk.catalog, table.origin) if table else None
