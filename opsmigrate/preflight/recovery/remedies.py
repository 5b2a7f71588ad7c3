"""What to type after a migration stopped half-way: the rest of it, or its undoing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import DeleteModel, Migration, RemoveField
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.preflight.recovery.writing import WritingEditor, writing_editor
from opsmigrate.preflight.walk.operations import Move, walk_operation
from opsmigrate.sql import nodes
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.steps import Step, command, statement

# A part of a statement, its field with a choice, and the choice.
LOSING = (
    ("AlterTableCmd", "subtype", "AT_DropColumn"),
    ("DropStmt", "remove_type", "OBJECT_TABLE"),
)


@dataclass(frozen=True)
class Remedy:
    """What to do, in words, and what to type."""

    hint: str | None
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Halfway:
    """A migration of which the first `done` operations are there, and the live schema.

    `states` are the states before, between and after its operations.
    """

    connection: BaseDatabaseWrapper
    catalog: Catalog
    migration: Migration
    states: Sequence[ProjectState]
    done: int


def remedy(
    halfway: Halfway,
    *,
    partly: bool,
    unknown: Sequence[str],
    invalid: Sequence[tuple[str, str]],
) -> Remedy:
    """Return the SQL for a database shell, then `migrate`.

    The rest as SQL and --fake where SQL can say the rest; else what undoes the done operations,
    for `migrate` to begin anew. Of `unknown` it cannot be seen whether they ran.
    """
    connection, migration, done = halfway.connection, halfway.migration, halfway.done
    again = f"python manage.py migrate {migration.app_label} {migration.name}"
    drops = [
        f"DROP INDEX CONCURRENTLY {_quoted(connection, schema)}.{_quoted(connection, name)}"
        for schema, name in invalid
    ]
    if not done and not partly:
        return Remedy(None, _lines(drops, again))
    rest = rest_of(halfway)
    if rest is not None and not unknown:
        return Remedy(
            "this is the rest of the migration", _lines([*drops, *rest], f"{again} --fake")
        )
    undo = None if partly else _written(_undo, halfway)
    if undo is not None:
        return Remedy("this undoes it, so that it can run again", _lines([*undo, *drops], again))
    if rest is not None:
        sure = f"first check that this has run completely: {', '.join(unknown)}"
        return Remedy(sure, _lines([*drops, *rest], f"{again} --fake"))
    words = f"complete its operations from {done} on by hand, then type {again} --fake"
    return Remedy(words, tuple(map(statement, drops)))


def rest_of(halfway: Halfway) -> list[str] | None:
    """Return the SQL of what comes after the operations that are done, None where it takes code."""
    return _written(_rest, halfway)


def _written(write: Callable[[Halfway], list[str] | None], halfway: Halfway) -> list[str] | None:
    try:
        return write(halfway)
    except (ValueError, LookupError):
        return None  # an operation that does not find what it looks for cannot be written


def _lines(statements: Sequence[str], last: str) -> tuple[Step, ...]:
    return (*map(_typed, statements), command(last))


def _typed(text: str) -> Step:
    return statement(text, risk="loses its values" if _loses(text) else None)


def _loses(text: str) -> bool:
    """Return whether it drops a table or a column: migrate makes it again, but without values."""
    return any(
        nodes.label(part.value, field) == word
        for each in statements_if_readable(text) or ()
        for part in each.parts()
        for kind, field, word in LOSING
        if part.kind == kind
    )


def _quoted(connection: BaseDatabaseWrapper, name: str) -> str:
    return str(connection.ops.quote_name(name))


def _walk(
    editor: WritingEditor,
    migration: Migration,
    operation: Operation,
    states: tuple[ProjectState, ProjectState],
    *,
    backwards: bool,
) -> None:
    before, after = states
    walk_operation(
        Move(
            operation=operation,
            migration=migration,
            editor=editor,
            from_state=before,
            to_state=after,
            backwards=backwards,
        )
    )


def _rest(halfway: Halfway) -> list[str] | None:
    """Return the SQL that is missing, None where it takes code.

    Foreign keys and indexes of new tables come at the end of a migration: those of what is done
    are missing, too.
    """
    migration, states = halfway.migration, halfway.states
    editor = writing_editor(halfway.connection, halfway.catalog)
    ledger = editor.walk.ledger
    for number, operation in enumerate(migration.operations):
        before = ledger.code_runs
        pair = (states[number].clone(), states[number + 1])
        _walk(editor, migration, operation, pair, backwards=False)
        if number < halfway.done:
            editor.written.clear()
        elif ledger.code_runs > before:
            return None
    editor.run_deferred()
    return editor.written if editor.complete else None


def _undo(halfway: Halfway) -> list[str] | None:
    """Return the SQL that takes back what is done, None where that cannot be or loses rows."""
    migration, states = halfway.migration, halfway.states
    editor = writing_editor(halfway.connection, halfway.catalog)
    for number in range(halfway.done - 1, -1, -1):
        operation = migration.operations[number]
        if not operation.reversible or isinstance(operation, (RemoveField, DeleteModel)):
            return None
        pair = (states[number + 1].clone(), states[number])
        _walk(editor, migration, operation, pair, backwards=True)
        editor.run_deferred()
    return editor.written if editor.complete else None
