"""What post_migrate writes after every plan: the content types and permissions that are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import Error, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState

from opsmigrate.postgres.catalog import Relation
from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.preflight.plan import PlanStep
from opsmigrate.preflight.questions import summed_up
from opsmigrate.preflight.walk.insert_rejections import insert_rejections
from opsmigrate.preflight.walk.known_receivers import extra_permissions
from opsmigrate.preflight.walk.missing_privileges import report_missing_privileges
from opsmigrate.preflight.walk.new_rows import (
    LiveRows,
    Permission,
    Type,
    content_types_after,
    live_rows,
    models_after,
    permissions_of,
    renamed_codenames,
    type_of,
    without_keys,
)
from opsmigrate.preflight.walk.privileges import (
    MissingPrivilege,
    live_relation,
    missing_privilege,
    missing_to_insert,
)
from opsmigrate.preflight.walk.receivers import (
    CONTENT_TYPES,
    PERMISSIONS,
    RENAMES,
    known_besides,
    receivers_of_migrate,
)
from opsmigrate.preflight.walk.rejections import Rejection
from opsmigrate.preflight.walk.rows_to_insert import Later, NewRows
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import SimulatedTable

SHOWN = 3


def require_post_migrate(
    steps: tuple[PlanStep, ...],
    state_after: Callable[[], ProjectState | None],
    walk: SchemaWalk,
) -> None:
    """Report if Django's own receivers of post_migrate cannot write what they would.

    `state_after` the plan is None where it is not known.
    """
    types = live_table(walk, CONTENT_TYPES, "contenttypes.ContentType")
    permissions = live_table(walk, PERMISSIONS, "auth.Permission")
    all_missing = dict(_missing(walk.connection, types, permissions))
    unread = [
        relation
        for relation in (types, permissions)
        if relation is not None and (relation.label, "SELECT") in all_missing
    ]
    for relation in unread:
        # Which rows must be added is not to be seen: all that adding them takes is said at once.
        both = (types, permissions) if relation is unread[0] else (relation,)
        every = [each for one in both if one for each in _all_of(all_missing, one)]
        report_missing_privileges(walk, every, relation, "read after every plan")
    if unread:
        return
    state = state_after()
    if state is None:
        words = "whether content types or permissions must be added, and can be"
        walk.ledger.mark_undecided(f"{words}: {_words(all_missing)}" if all_missing else words)
        return
    _require_rows(steps, state, walk, all_missing)


def _all_of(
    all_missing: Mapping[tuple[str, str], tuple[MissingPrivilege, ...]], relation: Relation
) -> list[MissingPrivilege]:
    return [
        each for (label, _), some in all_missing.items() if label == relation.label for each in some
    ]


@dataclass(frozen=True)
class _New:
    """The rows to insert; `keys` are those of the content types that are there."""

    types: Sequence[Type]
    permissions: Sequence[Permission]
    keys: Mapping[Type, Any]
    renamed: bool


def _require_rows(
    steps: tuple[PlanStep, ...],
    state: ProjectState,
    walk: SchemaWalk,
    all_missing: Mapping[tuple[str, str], tuple[MissingPrivilege, ...]],
) -> None:
    types = _table(walk, state, CONTENT_TYPES, "contenttypes.ContentType")
    if types is None:
        return
    permissions = _table(walk, state, PERMISSIONS, "auth.Permission")
    try:
        with summed_up(walk.connection) as by:
            live = live_rows(walk.connection, types, permissions)
            new = _new(steps, state, live, walk, with_permissions=permissions is not None)
            if not any(item.type in new.keys for item in new.permissions):
                # Then nothing is made of the keys, which may differ where all else is equal.
                for query, rows in without_keys(live, types, permissions):
                    by(query, rows)
    except Error as error:
        walk.ledger.mark_undecided(
            f"which content types and permissions are missing: {first_line(error)}"
        )
        return
    if live.doubled & {item.type for item in new.permissions}:
        walk.ledger.mark_undecided(f"which of equal rows of {types.label} permissions are for")
    _require_rights(new, walk, types, permissions, all_missing)
    model = state.apps.get_model("contenttypes.ContentType")
    rows = [model(app_label=app, model=name) for app, name in new.types]
    some = _some(".".join(item) for item in new.types)
    insert_instances(walk, types, model, rows, f"the content types {some}")
    if permissions is not None:
        model = state.apps.get_model("auth.Permission")
        rows = [
            model(
                codename=item.codename,
                name=item.name,
                content_type_id=new.keys.get(item.type, Later(item.type)),
            )
            for item in new.permissions
        ]
        some = _some(item.codename for item in new.permissions)
        targets = {"content_type_id": types}
        insert_instances(walk, permissions, model, rows, f"the permissions {some}", targets)


def _table(
    walk: SchemaWalk, state: ProjectState, receiver: str, label: str
) -> SimulatedTable | None:
    """Return the table as the plan leaves it, where the receiver works on it and can."""
    if receiver not in receivers_of_migrate():
        return None
    try:
        model: Any = state.apps.get_model(label)
    except LookupError:
        return None
    if not router.allow_migrate_model(walk.connection.alias, model):
        return None
    table = walk.schema.table(model._meta.db_table)
    if table is None:
        return None
    columns = {field.column for field in model._meta.local_concrete_fields}
    # What is missing is a finding of its own; what the plan has added cannot be read now.
    there = set(table.types) if table.origin is None else set(table.origins)
    return table if columns <= there else None


def _new(
    steps: tuple[PlanStep, ...],
    state: ProjectState,
    live: LiveRows,
    walk: SchemaWalk,
    *,
    with_permissions: bool,
) -> _New:
    """Return the rows that the models of `state` want and that will not be there."""
    now = content_types_after(steps, live.types)
    keys = {later: live.types[former] for later, former in now.items()}
    models = list(models_after(state))
    held = live.permissions
    if RENAMES in receivers_of_migrate():
        for model in models:
            former = now.get(type_of(model), type_of(model))
            if former != type_of(model):
                changes = renamed_codenames(model, former[1], held, keys[type_of(model)])
                held = frozenset(changes.get(item, item) for item in held)
    wanted = [item for model in models for item in permissions_of(model)]
    wanted += extra_permissions(known_besides()) if with_permissions else ()
    types = dict.fromkeys([*map(type_of, models), *(item.type for item in wanted)])
    return _New(
        types=[item for item in types if item not in keys],
        permissions=[
            item
            for item in wanted
            if with_permissions and (keys.get(item.type, item.type), item.codename) not in held
        ],
        keys=keys,
        renamed=any(later != former for later, former in now.items()),
    )


def _require_rights(
    new: _New,
    walk: SchemaWalk,
    types: SimulatedTable,
    permissions: SimulatedTable | None,
    all_missing: Mapping[tuple[str, str], tuple[MissingPrivilege, ...]],
) -> None:
    for table, verb, needed, purpose in (
        (types, "UPDATE", new.renamed, "rename content types with their models"),
        (types, "INSERT", bool(new.types), "add content types"),
        (permissions, "INSERT", bool(new.permissions), "add permissions"),
    ):
        relation = live_relation(walk.catalog, table.origin) if table else None
        if needed and relation and (missing := all_missing.get((relation.label, verb))):
            report_missing_privileges(walk, missing, relation, purpose)


def insert_instances(  # noqa: PLR0913 - rows, and how they come
    walk: SchemaWalk,
    table: SimulatedTable,
    model: Any,
    rows: Sequence[Any],
    what: str,
    targets: Mapping[str, SimulatedTable] | None = None,
    *,
    with_key: bool = False,
) -> None:
    """Report what would refuse the rows, which are instances of the model.

    Without their key, the database gives it.
    """
    fields = model._meta.local_concrete_fields
    given = [field for field in fields if with_key or not field.primary_key]
    new = NewRows(
        table=table,
        types={
            field.column: field.db_parameters(connection=walk.connection)["type"] for field in given
        },
        rows=[tuple(getattr(row, field.attname) for field in given) for row in rows],
        key=None if with_key else model._meta.pk.column,
        targets=targets,
    )
    for rejection in insert_rejections(walk, new):
        report_rejection(walk, rejection, table, f"post_migrate inserts {what}")


def report_rejection(
    walk: SchemaWalk, rejection: Rejection, table: SimulatedTable, does: str
) -> None:
    """Report refused rows, or mark them as undecided if that is uncertain or rows may change."""
    ledger = walk.ledger
    words = f"{does} into {table.label}, and {rejection.what}"
    if not rejection.certain:
        ledger.mark_undecided(rejection.what)
    elif rejection.of_rows and ledger.code_runs:
        ledger.mark_undecided(f"{words}, unless code of a migration changes that first")
    else:
        ledger.find(
            "insert-refused",
            words,
            hint=rejection.hint,
            steps=rejection.steps,
            table=table.label,
            column=rejection.column,
        )


def _some(names: Iterable[str]) -> str:
    """Return the first of the names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


def live_table(walk: SchemaWalk, receiver: str, label: str) -> Relation | None:
    """Return the model's live table, where migrate would call the receiver that writes to it."""
    if receiver not in receivers_of_migrate():
        return None
    try:
        model = apps.get_model(label)
    except LookupError:
        return None
    if not router.allow_migrate_model(walk.connection.alias, model):
        return None
    table = walk.schema.table(model._meta.db_table)
    return live_relation(walk.catalog, table.origin) if table else None


def _missing(
    connection: BaseDatabaseWrapper, types: Relation | None, permissions: Relation | None
) -> Iterator[tuple[tuple[str, str], tuple[MissingPrivilege, ...]]]:
    for relation, given in (
        (types, ("app_label", "model")),
        (permissions, ("name", "content_type_id", "codename")),
    ):
        if relation is None:
            continue
        yield from _of_verb(
            relation, "SELECT", missing_privilege(connection, relation, "SELECT", [*given, "id"])
        )
        yield from _of_verb(relation, "INSERT", *missing_to_insert(connection, relation, given))
        if relation is types:
            yield from _of_verb(
                relation, "UPDATE", missing_privilege(connection, relation, "UPDATE", ["model"])
            )


def _of_verb(
    relation: Relation, verb: str, *found: MissingPrivilege | None
) -> Iterator[tuple[tuple[str, str], tuple[MissingPrivilege, ...]]]:
    all_missing = tuple(missing for missing in found if missing is not None)
    if all_missing:
        yield (relation.label, verb), all_missing


def _words(all_missing: Mapping[tuple[str, str], tuple[MissingPrivilege, ...]]) -> str:
    return "; ".join(
        f"{missing.privilege} on {missing.on} is not granted"
        for each in all_missing.values()
        for missing in each
    )
