"""What migrate writes besides the plan: its history, content types and permissions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.migrations import RenameModel
from django.db.migrations.state import ProjectState

from opsmigrate.postgres.catalog import Relation
from opsmigrate.preflight.plan import Step
from opsmigrate.preflight.walk.receivers import (
    CONTENT_TYPES,
    HISTORY,
    PERMISSIONS,
    receivers_of_migrate,
)
from opsmigrate.preflight.walk.requirements import Requirements
from opsmigrate.preflight.walk.rights import (
    BY_OTHERS,
    Lack,
    lacking,
    lacking_to_insert,
    live_relation,
    on_schema,
)
from opsmigrate.preflight.walk.schemas import usable_schema


def require_history_table(requirements: Requirements) -> None:
    """Note where migrate would have to make its history table and may not."""
    catalog, ledger = requirements.catalog, requirements.ledger
    if requirements.schema.table(HISTORY) is not None or catalog.may_create:
        return
    if catalog.schema is None:
        ledger.find(
            "missing-schema",
            "the search_path names no schema that is there and that the role may use, so "
            f"{HISTORY} cannot be created",
            **usable_schema(requirements.connection, catalog),
        )
    else:
        ledger.find(
            "missing-privilege",
            f"the role may not create {HISTORY} in schema {catalog.schema}",
            hint=BY_OTHERS,
            steps=(on_schema("CREATE", catalog.schema).step(catalog.role),),
        )


def require_record(step: Step, requirements: Requirements) -> None:
    """Note where migrate may not record `step` in its history, after the operations."""
    relation = _live(requirements, HISTORY)
    if relation is None:
        return
    connection = requirements.connection
    if step.backwards:
        wanted = (
            lacking(connection, relation, "DELETE"),
            lacking(connection, relation, "SELECT", ["app", "name"]),
        )
        lacks = tuple(lack for lack in wanted if lack is not None)
    else:
        columns = ("app", "name", "applied")
        lacks = lacking_to_insert(connection, relation, columns, returning=["id"])
    if lacks:
        requirements.ledger.migration = step.label
        find_lack(requirements, lacks, relation, "record the migration")
        requirements.ledger.migration = None


@dataclass(frozen=True)
class _Rows:
    """What post_migrate will find: content types, and the codenames of their permissions."""

    types: frozenset[tuple[str, str]]
    permissions: frozenset[tuple[str, str, str]]


def require_post_migrate(
    steps: tuple[Step, ...],
    state_after: Callable[[], ProjectState | None],
    requirements: Requirements,
) -> None:
    """Note where Django's own receivers of post_migrate may not do what they would.

    `state_after` the plan is None where it is not known; it is asked for only where a right lacks.
    """
    types = live_table(requirements, CONTENT_TYPES, "contenttypes.ContentType")
    permissions = live_table(requirements, PERMISSIONS, "auth.Permission")
    lacks = dict(_lacks(requirements.connection, types, permissions))
    if not lacks:
        return
    ledger = requirements.ledger
    ledger.operation = "post_migrate"
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
        ledger.operation = None
        return
    state = state_after()
    if state is None:
        ledger.leave_open("whether content types or permissions must be added: " + _words(lacks))
    elif types is not None:
        _require_rows(steps, state, requirements, (types, permissions), lacks)
    ledger.operation = None


def _all_of(lacks: Mapping[tuple[str, str], tuple[Lack, ...]], relation: Relation) -> list[Lack]:
    return [each for (label, _), some in lacks.items() if label == relation.label for each in some]


def _require_rows(
    steps: tuple[Step, ...],
    state: ProjectState,
    requirements: Requirements,
    tables: tuple[Relation, Relation | None],
    lacks: Mapping[tuple[str, str], tuple[Lack, ...]],
) -> None:
    types, permissions = tables
    rows = _rows(requirements.connection, types, permissions)
    renamed = {
        live: later
        for later, live in content_types_after(steps, rows.types).items()
        if live != later
    }
    if renamed and (lack := lacks.get((types.label, "UPDATE"))):
        find_lack(requirements, lack, types, "rename content types with their models")
    known = {renamed.get(key, key) for key in rows.types}
    wanted = {(model._meta.app_label, _name(model)): model for model in _models(state)}
    if set(wanted) - known and (lack := lacks.get((types.label, "INSERT"))):
        find_lack(requirements, lack, types, "add content types")
    if permissions is None or not (lack := lacks.get((permissions.label, "INSERT"))):
        return
    held = {
        (*renamed.get((app, model), (app, model)), code) for app, model, code in rows.permissions
    }
    if any((*key, code) not in held for key, model in wanted.items() for code in _codes(model)):
        find_lack(requirements, lack, permissions, "add permissions")


def _live(requirements: Requirements, db_table: str) -> Relation | None:
    table = requirements.schema.table(db_table)
    return live_relation(requirements.catalog, table.origin) if table else None


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
    return _live(requirements, model._meta.db_table)


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


def _rows(connection: BaseDatabaseWrapper, types: Relation, permissions: Relation | None) -> _Rows:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("SELECT app_label, model FROM {}").format(
                sql.Identifier(types.schema, types.name)
            )
        )
        found = frozenset(cursor.fetchall())
        if permissions is None:
            return _Rows(found, frozenset())
        cursor.execute(
            sql.SQL(
                "SELECT t.app_label, t.model, p.codename FROM {} t JOIN {} p"
                " ON p.content_type_id = t.id"
            ).format(
                sql.Identifier(types.schema, types.name),
                sql.Identifier(permissions.schema, permissions.name),
            )
        )
        return _Rows(found, frozenset(cursor.fetchall()))


def content_types_after(
    steps: tuple[Step, ...], live: frozenset[tuple[str, str]]
) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the content types (app, model) after the plan, each with what it is called now.

    One whose new name is taken keeps its old one
    (django.contrib.contenttypes.management.RenameContentType).
    """
    now = {key: key for key in live}
    for step in steps:
        for old, new in renames(step):
            app = step.migration.app_label
            if (app, old.lower()) in now and (app, new.lower()) not in now:
                now[app, new.lower()] = now.pop((app, old.lower()))
    return now


def renames(step: Step) -> Iterator[tuple[str, str]]:
    """Yield the old and new names of the models that a step renames, in its order."""
    operations = step.migration.operations
    for operation in reversed(operations) if step.backwards else operations:
        if isinstance(operation, RenameModel):
            names = operation.old_name, operation.new_name
            yield (names[1], names[0]) if step.backwards else names


def _models(state: ProjectState) -> Iterator[Any]:
    for config in apps.get_app_configs():
        if config.models_module is not None:
            try:
                yield from state.apps.get_app_config(config.label).get_models()
            except LookupError:
                continue


def _name(model: Any) -> str:
    return str(model._meta.model_name)


def _codes(model: Any) -> Iterator[str]:
    options = model._meta
    yield from (f"{action}_{options.model_name}" for action in options.default_permissions)
    yield from (code for code, _ in options.permissions)


def find_lack(
    requirements: Requirements, lacks: Sequence[Lack], relation: Relation, purpose: str
) -> None:
    """Note that the role lacks rights for what migrate does besides the plan."""
    named = ", ".join(dict.fromkeys(f"{lack.privilege} on {lack.on}" for lack in lacks))
    are = "is" if len(lacks) == 1 else "are"
    requirements.ledger.find(
        "missing-privilege",
        f"migrate must {purpose}, and {named} {are} not granted to the role",
        hint=BY_OTHERS,
        steps=tuple(lack.step(requirements.catalog.role) for lack in lacks),
        table=relation.label,
    )
