"""What post_migrate writes after every plan: content types and permissions that lack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import Error, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ProjectState

from opsmigrate.postgres.catalog import Relation
from opsmigrate.postgres.errors import first_line
from opsmigrate.preflight.plan import Step
from opsmigrate.preflight.walk.insertable import Later, NewRows, insert_objections
from opsmigrate.preflight.walk.known_receivers import extra_permissions
from opsmigrate.preflight.walk.lacks import find_lack
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
)
from opsmigrate.preflight.walk.objections import Objection
from opsmigrate.preflight.walk.receivers import (
    CONTENT_TYPES,
    PERMISSIONS,
    RENAMES,
    known_besides,
    receivers_of_migrate,
)
from opsmigrate.preflight.walk.requirements import Requirements
from opsmigrate.preflight.walk.rights import Lack, lacking, lacking_to_insert, live_relation
from opsmigrate.preflight.walk.simulation import SimulatedTable

SHOWN = 3


def require_post_migrate(
    steps: tuple[Step, ...],
    state_after: Callable[[], ProjectState | None],
    requirements: Requirements,
) -> None:
    """Report if Django's own receivers of post_migrate cannot write what they would.

    `state_after` the plan is None where it is not known.
    """
    types = live_table(requirements, CONTENT_TYPES, "contenttypes.ContentType")
    permissions = live_table(requirements, PERMISSIONS, "auth.Permission")
    lacks = dict(_lacks(requirements.connection, types, permissions))
    unread = [
        relation
        for relation in (types, permissions)
        if relation is not None and (relation.label, "SELECT") in lacks
    ]
    for relation in unread:
        # Which rows must be added is not to be seen: all that adding them takes is said at once.
        both = (types, permissions) if relation is unread[0] else (relation,)
        every = [each for one in both if one for each in _all_of(lacks, one)]
        find_lack(requirements, every, relation, "read after every plan")
    if unread:
        return
    state = state_after()
    if state is None:
        words = "whether content types or permissions must be added, and can be"
        requirements.ledger.leave_open(f"{words}: {_words(lacks)}" if lacks else words)
        return
    _require_rows(steps, state, requirements, lacks)


def _all_of(lacks: Mapping[tuple[str, str], tuple[Lack, ...]], relation: Relation) -> list[Lack]:
    return [each for (label, _), some in lacks.items() if label == relation.label for each in some]


@dataclass(frozen=True)
class _New:
    """What there will be to insert; `keys` are those of the content types that are there."""

    types: Sequence[Type]
    permissions: Sequence[Permission]
    keys: Mapping[Type, Any]
    renamed: bool


def _require_rows(
    steps: tuple[Step, ...],
    state: ProjectState,
    requirements: Requirements,
    lacks: Mapping[tuple[str, str], tuple[Lack, ...]],
) -> None:
    types = _table(requirements, state, CONTENT_TYPES, "contenttypes.ContentType")
    if types is None:
        return
    permissions = _table(requirements, state, PERMISSIONS, "auth.Permission")
    try:
        live = live_rows(requirements.connection, types, permissions)
    except Error as error:
        requirements.ledger.leave_open(
            f"which content types and permissions lack: {first_line(error)}"
        )
        return
    new = _new(steps, state, live, requirements, with_permissions=permissions is not None)
    if live.doubled & {item.type for item in new.permissions}:
        requirements.ledger.leave_open(f"which of equal rows of {types.label} permissions are for")
    _require_rights(new, requirements, types, permissions, lacks)
    model = state.apps.get_model("contenttypes.ContentType")
    rows = [model(app_label=app, model=name) for app, name in new.types]
    some = _some(".".join(item) for item in new.types)
    insert_instances(requirements, types, model, rows, f"the content types {some}")
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
        insert_instances(requirements, permissions, model, rows, f"the permissions {some}", targets)


def _table(
    requirements: Requirements, state: ProjectState, receiver: str, label: str
) -> SimulatedTable | None:
    """Return the table as the plan leaves it, where the receiver works on it and can."""
    if receiver not in receivers_of_migrate():
        return None
    try:
        model: Any = state.apps.get_model(label)
    except LookupError:
        return None
    if not router.allow_migrate_model(requirements.connection.alias, model):
        return None
    table = requirements.schema.table(model._meta.db_table)
    if table is None:
        return None
    columns = {field.column for field in model._meta.local_concrete_fields}
    # What lacks is a finding of its own; what the plan has added cannot be read now.
    there = set(table.types) if table.origin is None else set(table.origins)
    return table if columns <= there else None


def _new(
    steps: tuple[Step, ...],
    state: ProjectState,
    live: LiveRows,
    requirements: Requirements,
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
    requirements: Requirements,
    types: SimulatedTable,
    permissions: SimulatedTable | None,
    lacks: Mapping[tuple[str, str], tuple[Lack, ...]],
) -> None:
    for table, verb, needed, purpose in (
        (types, "UPDATE", new.renamed, "rename content types with their models"),
        (types, "INSERT", bool(new.types), "add content types"),
        (permissions, "INSERT", bool(new.permissions), "add permissions"),
    ):
        relation = live_relation(requirements.catalog, table.origin) if table else None
        if needed and relation and (lack := lacks.get((relation.label, verb))):
            find_lack(requirements, lack, relation, purpose)


def insert_instances(  # noqa: PLR0913 - rows, and how they come
    requirements: Requirements,
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
            field.column: field.db_parameters(connection=requirements.connection)["type"]
            for field in given
        },
        rows=[tuple(getattr(row, field.attname) for field in given) for row in rows],
        key=None if with_key else model._meta.pk.column,
        targets=targets,
    )
    for objection in insert_objections(requirements, new):
        tell_objection(requirements, objection, table, f"post_migrate inserts {what}")


def tell_objection(
    requirements: Requirements, objection: Objection, table: SimulatedTable, does: str
) -> None:
    """Report refused rows, or mark them as undecided if that is uncertain or rows may change."""
    ledger = requirements.ledger
    words = f"{does} into {table.label}, and {objection.what}"
    if not objection.certain:
        ledger.leave_open(objection.what)
    elif objection.of_rows and ledger.code_runs:
        ledger.leave_open(f"{words}, unless code of a migration changes that first")
    else:
        ledger.find(
            "insert-refused",
            words,
            hint=objection.hint,
            steps=objection.steps,
            table=table.label,
            column=objection.column,
        )


def _some(names: Iterable[str]) -> str:
    """Return the first of the names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


def live_table(requirements: Requirements, receiver: str, label: str) -> Relation | None:
    """Return the model's live table, where migrate would call the receiver that writes to it."""
    if receiver not in receivers_of_migrate():
        return None
    try:
        model = apps.get_model(label)
    except LookupError:
        return None
    if not router.allow_migrate_model(requirements.connection.alias, model):
        return None
    table = requirements.schema.table(model._meta.db_table)
    return live_relation(requirements.catalog, table.origin) if table else None


def _lacks(
    connection: BaseDatabaseWrapper, types: Relation | None, permissions: Relation | None
) -> Iterator[tuple[tuple[str, str], tuple[Lack, ...]]]:
    for relation, given in (
        (types, ("app_label", "model")),
        (permissions, ("name", "content_type_id", "codename")),
    ):
        if relation is None:
            continue
        yield from _of_verb(
            relation, "SELECT", lacking(connection, relation, "SELECT", [*given, "id"])
        )
        yield from _of_verb(relation, "INSERT", *lacking_to_insert(connection, relation, given))
        if relation is types:
            yield from _of_verb(
                relation, "UPDATE", lacking(connection, relation, "UPDATE", ["model"])
            )


def _of_verb(
    relation: Relation, verb: str, *found: Lack | None
) -> Iterator[tuple[tuple[str, str], tuple[Lack, ...]]]:
    lacks = tuple(lack for lack in found if lack is not None)
    if lacks:
        yield (relation.label, verb), lacks


def _words(lacks: Mapping[tuple[str, str], tuple[Lack, ...]]) -> str:
    return "; ".join(
        f"{lack.privilege} on {lack.on} is not granted" for each in lacks.values() for lack in each
    )
