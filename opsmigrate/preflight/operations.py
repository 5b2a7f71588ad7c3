"""One operation of a migration, walked with an editor that executes nothing."""

from typing import Any

from django.db import router
from django.db.migrations import Migration, RunPython, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Index

from opsmigrate.preflight.constraints import add_constraint, need_constraint
from opsmigrate.preflight.simulation import CHECK
from opsmigrate.preflight.tracing import TracingEditor

TRUSTED = ("django.db.migrations.operations.", "django.contrib.postgres.operations")


def walk_operation(
    operation: Operation,
    migration: Migration,
    editor: TracingEditor,
    from_state: ProjectState,
    to_state: ProjectState,
    *,
    backwards: bool,
) -> None:
    """Ask about everything that the operation would do to the database."""
    if isinstance(operation, SeparateDatabaseAndState):
        _walk_parts(operation, migration, editor, from_state, to_state, backwards=backwards)
    elif isinstance(operation, RunPython):
        _run_python(operation, migration, editor, backwards=backwards)
    elif not _is_djangos_own(operation, backwards=backwards):
        editor.requirements.ledger.code(
            f"{type(operation).__module__}.{type(operation).__qualname__} is an operation of its "
            "own kind"
        )
    elif (special := SPECIAL.get(_name(operation))) is not None:
        special(operation, migration, editor, to_state, backwards)
    else:
        _drive(operation, migration, editor, from_state, to_state, backwards=backwards)


def _drive(
    operation: Operation,
    migration: Migration,
    editor: TracingEditor,
    from_state: ProjectState,
    to_state: ProjectState,
    *,
    backwards: bool,
) -> None:
    """Let the operation drive the editor as `migrate` would."""
    move = operation.database_backwards if backwards else operation.database_forwards
    try:
        move(migration.app_label, editor, from_state, to_state)
    except ValueError as error:
        # RenameIndex with old_fields looks for the one index on these columns.
        name = getattr(operation, "model_name", None)
        if name is None or not str(error).startswith("Found wrong number"):
            raise
        model = from_state.apps.get_model(migration.app_label, name)
        editor.requirements.wrong_number(model._meta.db_table, str(error))


def _walk_parts(
    operation: SeparateDatabaseAndState,
    migration: Migration,
    editor: TracingEditor,
    from_state: ProjectState,
    to_state: ProjectState,
    *,
    backwards: bool,
) -> None:
    """Walk the database operations with states of their own, in Django's order."""
    state = to_state if backwards else from_state
    moves = []
    for part in operation.database_operations:
        before, state = state, state.clone()
        part.state_forwards(migration.app_label, state)
        moves.append((part, before, state))
    for part, before, after in reversed(moves) if backwards else moves:
        start, end = (after, before) if backwards else (before, after)
        walk_operation(part, migration, editor, start, end, backwards=backwards)


def _run_python(
    operation: RunPython, migration: Migration, editor: TracingEditor, *, backwards: bool
) -> None:
    alias = editor.connection.alias
    code = operation.reverse_code if backwards else operation.code
    allowed = router.allow_migrate(alias, migration.app_label, **operation.hints)
    if allowed and code is not None and code is not RunPython.noop:
        name = f"{code.__module__}.{getattr(code, '__qualname__', code)}"
        editor.requirements.ledger.code(f"RunPython calls {name}, which only running decides")


def _is_djangos_own(operation: Operation, *, backwards: bool) -> bool:
    """Say whether the code that would run is Django's: a subclass may only add a name to it."""
    method = "database_backwards" if backwards else "database_forwards"
    owner = next(kind for kind in type(operation).__mro__ if method in vars(kind))
    return f"{owner.__module__}.".startswith(TRUSTED)


def _name(operation: Operation) -> str:
    """Return the name of the nearest class of Django's own."""
    return next(
        kind.__name__
        for kind in type(operation).__mro__
        if f"{kind.__module__}.".startswith(TRUSTED)
    )


def _concurrently(
    operation: Any,
    migration: Migration,
    editor: TracingEditor,
    state: ProjectState,
    backwards: bool,
) -> None:
    """CREATE or DROP INDEX CONCURRENTLY, which Django refuses inside a transaction."""
    if migration.atomic:
        editor.requirements.ledger.find(
            "concurrently-in-transaction",
            f"{_name(operation)} cannot run in a transaction, and the migration is atomic",
            hint="set atomic = False in the class Migration",
        )
    model = state.apps.get_model(migration.app_label, operation.model_name)
    if not operation.allow_migrate_model(editor.connection.alias, model):
        return
    adds = (_name(operation) == "AddIndexConcurrently") is not backwards
    if adds:
        index = getattr(operation, "index", None) or _index(state, migration, operation)
        editor.add_index(model, index, concurrently=True)
    else:
        editor.remove_index(model, _named(operation), concurrently=True)


def _index(state: ProjectState, migration: Migration, operation: Any) -> Any:
    model_state = state.models[migration.app_label, operation.model_name_lower]
    return model_state.get_index_by_name(operation.name)


def _named(operation: Any) -> Any:
    name = operation.index.name if hasattr(operation, "index") else operation.name
    return Index(fields=["pk"], name=name)


def _create_extension(
    operation: Any,
    migration: Migration,
    editor: TracingEditor,
    state: ProjectState,
    backwards: bool,
) -> None:
    requirements, name = editor.requirements, operation.name
    if not router.allow_migrate(editor.connection.alias, migration.app_label):
        return
    if backwards:
        requirements.ledger.leave_open(f"whether anything depends on the extension {name}")
        return
    if name in requirements.schema.extensions:
        return
    requirements.schema.extensions.add(name)
    catalog = requirements.catalog
    if name not in catalog.available_extensions:
        requirements.ledger.find(
            "missing-extension",
            f"the server does not have the files of the extension {name}",
            hint=f"install the package that brings {name} on the server (often postgresql-contrib)",
        )
    elif not (
        catalog.superuser or (catalog.available_extensions[name] and catalog.may_create_extensions)
    ):
        requirements.ledger.find(
            "missing-privilege",
            f"the role may not create the extension {name}",
            hint=f"let a superuser type: CREATE EXTENSION {name}",
        )


def _add_not_valid(
    operation: Any,
    migration: Migration,
    editor: TracingEditor,
    state: ProjectState,
    backwards: bool,
) -> None:
    model = state.apps.get_model(migration.app_label, operation.model_name)
    if backwards:
        editor.remove_constraint(model, operation.constraint)
        return
    table = editor.requirements.own_table(model._meta.db_table)
    if table is not None:
        editor.requirements.name_columns(model, str(operation.constraint.create_sql(model, editor)))
        add_constraint(editor.requirements, table, operation.constraint.name, CHECK, ())


def _validate(
    operation: Any,
    migration: Migration,
    editor: TracingEditor,
    state: ProjectState,
    backwards: bool,
) -> None:
    if backwards:
        return
    model = state.apps.get_model(migration.app_label, operation.model_name)
    table = editor.requirements.own_table(model._meta.db_table)
    if table is not None:
        need_constraint(editor.requirements, table, operation.name, "validates")
        editor.requirements.if_rows(
            table, f"whether the rows of {table.label} satisfy {operation.name}", None
        )


SPECIAL = {
    "AddIndexConcurrently": _concurrently,
    "RemoveIndexConcurrently": _concurrently,
    "CreateExtension": _create_extension,
    **dict.fromkeys(
        [
            "BloomExtension",
            "BtreeGinExtension",
            "BtreeGistExtension",
            "CITextExtension",
            "CryptoExtension",
            "HStoreExtension",
            "TrigramExtension",
            "UnaccentExtension",
        ],
        _create_extension,
    ),
    "AddConstraintNotValid": _add_not_valid,
    "ValidateConstraint": _validate,
}
