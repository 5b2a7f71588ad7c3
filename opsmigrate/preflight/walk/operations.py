"""One operation of a migration, walked with an editor that executes nothing."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import django
from django.db import router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration, RunPython, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Index, Model

from opsmigrate.postgres.driver_errors import first_line
from opsmigrate.postgres.names import as_stored
from opsmigrate.preflight.walk.code_effects import effect_of_code
from opsmigrate.preflight.walk.collations import create_collation, remove_collation
from opsmigrate.preflight.walk.constraints import add_constraint
from opsmigrate.preflight.walk.definitions import is_empty
from opsmigrate.preflight.walk.expressions import require_fit
from opsmigrate.preflight.walk.schema_walk import SchemaWalk
from opsmigrate.preflight.walk.simulated_table import CHECK
from opsmigrate.preflight.walk.tracing import TracingEditor
from opsmigrate.preflight.walk.validation import validate_constraint
from opsmigrate.schema.applied import DDL, codes_in_reach, strings_in_reach
from opsmigrate.steps import statement

TRUSTED = ("django.db.migrations.operations.", "django.contrib.postgres.operations")
# Methods of a schema editor, with which code changes the schema without a word of SQL.
EDITS = frozenset(
    name
    for name, item in vars(BaseDatabaseSchemaEditor).items()
    if callable(item)
    and name.startswith(("create_", "delete_", "add_", "remove_", "rename_", "alter_"))
)
EXECUTES = frozenset({"execute", "cursor", "database_forwards", "database_backwards"})
# What raises in these, does so by what the migrations say, not by what the database holds.
OF_MODELS = tuple(
    f"{Path(django.__file__).parent}/{part}"
    for part in (
        "apps/",
        "db/models/",
        "db/migrations/state.py",
        "db/backends/base/schema.py",
        "db/backends/ddl_references.py",
    )
)


@dataclass(frozen=True, kw_only=True)
class Move:
    """An operation on its way, forwards or backwards, with the states before and after it."""

    operation: Any
    migration: Migration
    editor: TracingEditor
    from_state: ProjectState
    to_state: ProjectState
    backwards: bool

    @property
    def walk(self) -> SchemaWalk:
        """Whom to ask."""
        return self.editor.walk

    def model(self) -> type[Model]:
        """Return the model that the operation names, as the state after it has it."""
        label, name = self.migration.app_label, self.operation.model_name
        model: type[Model] = self.to_state.apps.get_model(label, name)
        return model


class MigrateWouldRaise(Exception):
    """What `migrate` raises as well, whatever the database holds: it lies in the migrations."""


@contextmanager
def migrate_would_raise(*, only: tuple[str, ...] = ("",)) -> Iterator[None]:
    """Raise MigrateWouldRaise instead: Django and the migrations do the same for `migrate`.

    `only` are the beginnings of the files that must have raised it.
    """
    try:
        yield
    except Exception as error:
        raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
        if not raised_in.startswith(only):
            raise
        raise MigrateWouldRaise(f"{type(error).__name__}: {first_line(error)}") from error


def walk_operation(move: Move) -> None:
    """Report what would fail of all that the operation does to the database."""
    operation = move.operation
    if isinstance(operation, SeparateDatabaseAndState):
        _walk_parts(move)
    elif isinstance(operation, RunPython):
        _run_python(move)
    elif not _is_djangos_own(operation, backwards=move.backwards):
        _run_own(move)
    elif (special := SPECIAL.get(_name(operation))) is not None:
        special(move)
    else:
        _drive(move)


def _drive(move: Move) -> None:
    """Let the operation drive the editor as `migrate` would."""
    operation, label = move.operation, move.migration.app_label
    run = operation.database_backwards if move.backwards else operation.database_forwards
    with migrate_would_raise(only=OF_MODELS), _noting_wrong_number(move):
        run(label, move.editor, move.from_state, move.to_state)


@contextmanager
def _noting_wrong_number(move: Move) -> Iterator[None]:
    """Report that an index or constraint to drop does not exist: this depends on the database."""
    try:
        yield
    except ValueError as error:
        # RenameIndex with old_fields looks for the one index on these columns.
        name = getattr(move.operation, "model_name", None)
        if name is None or not str(error).startswith("Found wrong number"):
            raise
        model = move.from_state.apps.get_model(move.migration.app_label, name)
        move.walk.wrong_number(model._meta.db_table, str(error))


def _walk_parts(move: Move) -> None:
    """Walk the database operations with states of their own, in Django's order."""
    state = move.to_state if move.backwards else move.from_state
    parts = []
    for part in move.operation.database_operations:
        before, state = state, state.clone()
        part.state_forwards(move.migration.app_label, state)
        start, end = (state, before) if move.backwards else (before, state)
        parts.append(replace(move, operation=part, from_state=start, to_state=end))
    for part in reversed(parts) if move.backwards else parts:
        walk_operation(part)


def _run_own(move: Move) -> None:
    """Mark a custom operation as undecided; what it executes may be in its attributes."""
    kind, ledger = type(move.operation), move.walk.ledger
    if is_empty(kind.database_backwards if move.backwards else kind.database_forwards):
        return
    what = f"{kind.__module__}.{kind.__qualname__} is a custom operation"
    ledger.code(what)
    methods = [item for owner in kind.__mro__ for item in vars(owner).values()]
    own = [item for item in methods if not _of_django(item)]
    if any(_names_any(item, EDITS | EXECUTES) for item in own):
        ledger.schema_unknown_since = (
            ledger.schema_unknown_since or f"{what}, and may have changed that earlier"
        )


def _of_django(item: Any) -> bool:
    return f"{getattr(item, '__module__', None)}.".startswith(("django.", "builtins."))


def _names_any(function: Any, names: frozenset[str]) -> bool:
    return any(names.intersection(each.co_names) for each in codes_in_reach(function))


def _run_python(move: Move) -> None:
    operation, alias = move.operation, move.editor.connection.alias
    code = operation.reverse_code if move.backwards else operation.code
    allowed = router.allow_migrate(alias, move.migration.app_label, **operation.hints)
    if code is None or code is RunPython.noop:
        return
    # Loaded only where there is code: most plans have none.
    from opsmigrate.preflight.walk.idle_code import is_understood
    from opsmigrate.preflight.walk.known_code import does_nothing

    if does_nothing(code, move.walk, move.from_state):
        return
    if allowed and not is_understood(code, move.walk, move.from_state):
        ledger = move.walk.ledger
        name = f"{code.__module__}.{getattr(code, '__qualname__', code)}"
        texts = filter(DDL.search, strings_in_reach(code))
        # The report names the migration beside it.
        of_its_own = code.__module__ == move.migration.__module__
        called = getattr(code, "__qualname__", name) if of_its_own else name
        what = f"RunPython calls {called}, which only a rehearsal decides"
        ledger.code(what, texts, effect=effect_of_code(code))
        if _names_any(code, EDITS):
            ledger.schema_unknown_since = (
                ledger.schema_unknown_since or f"{name} may have changed that earlier"
            )


def _is_djangos_own(operation: Operation, *, backwards: bool) -> bool:
    """Return whether the code that would run is Django's: a subclass may only add a name to it."""
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


def _concurrently(move: Move) -> None:
    """CREATE or DROP INDEX CONCURRENTLY, which Django refuses inside a transaction."""
    operation, editor, model = move.operation, move.editor, move.model()
    if move.migration.atomic:
        move.walk.ledger.find(
            "concurrently-in-transaction",
            f"{_name(operation)} cannot run in a transaction, but the migration is atomic",
            hint="set atomic = False in the class Migration",
        )
    if not operation.allow_migrate_model(editor.connection.alias, model):
        return
    adds = (_name(operation) == "AddIndexConcurrently") is not move.backwards
    if adds:
        index = getattr(operation, "index", None) or _index(move)
        editor.add_index(model, index, concurrently=True)
    else:
        name = operation.index.name if hasattr(operation, "index") else operation.name
        editor.remove_index(model, Index(fields=["pk"], name=name), concurrently=True)


def _index(move: Move) -> Index:
    key = move.migration.app_label, move.operation.model_name_lower
    index: Index = move.to_state.models[key].get_index_by_name(move.operation.name)
    return index


def _create_extension(move: Move) -> None:
    walk, name = move.walk, move.operation.name
    if not router.allow_migrate(move.editor.connection.alias, move.migration.app_label):
        return
    if move.backwards:
        walk.ledger.mark_undecided(f"whether anything depends on the extension {name}")
        return
    if name in walk.schema.extensions:
        return
    walk.schema.extensions.add(name)
    move.editor.note(f"CREATE EXTENSION IF NOT EXISTS {move.editor.quote_name(name)}")
    catalog = walk.catalog
    if name not in catalog.available_extensions:
        walk.ledger.find(
            "missing-extension",
            f"the server lacks the files of the extension {name}",
            hint=f"install the package with {name} on the server (often postgresql-contrib)",
        )
    elif not (
        catalog.superuser or (catalog.available_extensions[name] and catalog.may_create_extensions)
    ):
        walk.ledger.find(
            "missing-privilege",
            f"the role may not create the extension {name}",
            hint="a superuser types this",
            steps=(statement(f"CREATE EXTENSION {move.editor.quote_name(name)}"),),
        )


def _collation(move: Move) -> None:
    operation, editor = move.operation, move.editor
    if not router.allow_migrate(editor.connection.alias, move.migration.app_label):
        return
    creates = (_name(operation) == "CreateCollation") is not move.backwards
    verb = "CREATE" if creates else "DROP"
    editor.note(f"{verb} COLLATION {editor.quote_name(operation.name)}")
    if creates:
        create_collation(move.walk, operation)
    else:
        remove_collation(move.walk, operation.name)


def _add_not_valid(move: Move) -> None:
    walk, constraint, model = move.walk, move.operation.constraint, move.model()
    if move.backwards:
        move.editor.remove_constraint(model, constraint)
        return
    table = walk.require_owned_table(model._meta.db_table)
    statement = constraint.create_sql(model, move.editor)
    move.editor.note(f"{statement} NOT VALID", None)
    if table is not None:
        walk.name_columns(model, str(statement))
        check = str(statement.parts["check"])
        name = as_stored(constraint.name)
        require_fit(walk, table, check, f"the check {name}")
        columns = walk.columns_in(table, check)
        add_constraint(walk, table, name, CHECK, columns)
        table.not_valid[name] = check
        table.made_checks[name] = check


def _validate(move: Move) -> None:
    if move.backwards:
        return
    walk, name, editor = move.walk, move.operation.name, move.editor
    db_table = move.model()._meta.db_table
    table = walk.require_owned_table(db_table)
    quoted = editor.quote_name(db_table), editor.quote_name(name)
    editor.note("ALTER TABLE {} VALIDATE CONSTRAINT {}".format(*quoted))
    if table is not None:
        validate_constraint(walk, table, as_stored(name))


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
    "CreateCollation": _collation,
    "RemoveCollation": _collation,
    "AddConstraintNotValid": _add_not_valid,
    "ValidateConstraint": _validate,
}
