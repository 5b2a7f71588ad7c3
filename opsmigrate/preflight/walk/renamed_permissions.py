"""What django.contrib.auth does once models were renamed: it renames their permissions too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.migrations.state import ProjectState

from opsmigrate.postgres.catalog import Relation
from opsmigrate.postgres.names import former_name, literal, quoted
from opsmigrate.preflight.plan import Plan, PlanStep
from opsmigrate.preflight.walk.bookkeeping import live_table
from opsmigrate.preflight.walk.missing_privileges import report_missing_privileges
from opsmigrate.preflight.walk.new_rows import content_types_after, renames
from opsmigrate.preflight.walk.privileges import missing_privilege
from opsmigrate.preflight.walk.receivers import CONTENT_TYPES, RENAMES
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.steps import Step as Command
from opsmigrate.steps import statement


@dataclass(frozen=True)
class _Renaming:
    """A permission that gets another codename; `taken_by` has that codename already."""

    key: Any
    codename: str
    later: str
    taken_by: Any


def require_renamed_permissions(
    plan: Plan, state: ProjectState, walk: SchemaWalk, *, faked: bool
) -> None:
    """Report if permissions cannot follow their renamed models, so that `migrate` fails.

    `state` is the one after the plan. What django.contrib.auth does stands in
    django.contrib.auth.management.rename_permissions_after_model_rename, from Django 6.1 on.
    """
    if not any(True for step in plan.steps for _ in renames(step)):
        return
    permissions = live_table(walk, RENAMES, "auth.Permission")
    types = live_table(walk, CONTENT_TYPES, "contenttypes.ContentType")
    connection, ledger = walk.connection, walk.ledger
    if permissions is None or types is None or _unreadable(connection, types, permissions):
        return
    rows = _read(connection, types, permissions)
    after = content_types_after(() if faked else plan.steps, frozenset(rows))
    held = {later: rows[live] for later, live in after.items()}
    found = [item for app in apps.get_app_configs() for item in _of(app, plan.steps, state, held)]
    missing = (
        missing_privilege(connection, permissions, "UPDATE", ["codename", "name"])
        if found
        else None
    )
    for item in found:
        if item.taken_by is None:
            continue
        words = (
            f"migrate must rename the permission {item.codename} to {item.later}, which already "
            "exists"
        )
        if ledger.code_runs:
            ledger.mark_undecided(f"{words}, unless code removes it first")
            continue
        ledger.find(
            "permission-exists",
            words,
            hint="delete the existing one; if a group or a user has it, rename it",
            steps=_out_of_the_way(permissions, item),
            table=permissions.label,
            column="codename",
        )
        break
    else:
        if missing is not None:
            report_missing_privileges(
                walk, (missing,), permissions, "rename permissions with their models"
            )


def _out_of_the_way(permissions: Relation, item: _Renaming) -> tuple[Command, ...]:
    table = quoted(permissions.schema, permissions.name)
    former = literal(former_name(item.later, ()))
    return (
        statement(
            f"DELETE FROM {table} WHERE id = {item.taken_by}",  # noqa: S608
            risk="loses this permission",
        ),
        statement(
            f"UPDATE {table} SET codename = {former} WHERE id = {item.taken_by}",  # noqa: S608
            risk="changes its codename",
            alternative=2,
        ),
    )


def _unreadable(connection: BaseDatabaseWrapper, types: Relation, permissions: Relation) -> bool:
    """Return whether a privilege or a column is missing, which is a finding of its own."""
    wanted = ((types, ("id", "app_label", "model")), (permissions, ("id", "content_type_id")))
    for relation, columns in (*wanted, (permissions, ("codename", "name"))):
        there = {column.name for column in relation.columns}
        if not there.issuperset(columns) or missing_privilege(
            connection, relation, "SELECT", columns
        ):
            return True
    return False


def _read(
    connection: BaseDatabaseWrapper, types: Relation, permissions: Relation
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the content types (app, model), each with its permissions: codename and key."""
    query = sql.SQL(
        "SELECT t.app_label, t.model, p.codename, p.id FROM {} t LEFT JOIN {} p"
        " ON p.content_type_id = t.id"
    ).format(
        sql.Identifier(types.schema, types.name),
        sql.Identifier(permissions.schema, permissions.name),
    )
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    with connection.cursor() as cursor:
        cursor.execute(query)
        for app, model, codename, key in cursor.fetchall():
            of = rows.setdefault((app, model), {})
            if codename is not None:
                of[codename] = key
    return rows


def _of(
    app: Any,
    steps: tuple[PlanStep, ...],
    state: ProjectState,
    held: Mapping[tuple[str, str], Mapping[str, Any]],
) -> Iterator[_Renaming]:
    """Yield what will be renamed of the permissions of one app's models."""
    if app.models_module is None:
        return
    original: dict[str, str] = {}
    for step in steps:
        if step.migration.app_label == app.label:
            for old, new in renames(step):
                original[new.lower()] = original.pop(old.lower(), old.lower())
    for new, old in original.items():
        codenames = held.get((app.label, new), {})
        for action in _actions(state, app.label, new):
            before, later = f"{action}_{old}", f"{action}_{new}"
            if before in codenames:
                taken = codenames.get(later) if later != before else None
                yield _Renaming(codenames[before], before, later, taken)


def _actions(state: ProjectState, app_label: str, model: str) -> tuple[str, ...]:
    """Return the actions that Django makes permissions for; of Permission's where it is gone."""
    key = (app_label, model) if (app_label, model) in state.models else ("auth", "permission")
    if key not in state.models:
        return ()
    return tuple(state.apps.get_model(*key)._meta.default_permissions)
