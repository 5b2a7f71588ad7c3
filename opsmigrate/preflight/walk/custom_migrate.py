"""What of `migrate` is not Django's own: the command, the engine, how a migration is applied."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from django.core.management import get_commands, load_command_class
from django.core.management.commands.migrate import Command
from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.migrations import Migration

from opsmigrate.postgres.django_tenants import migrate_command
from opsmigrate.postgres.search_path import project_search_path
from opsmigrate.postgres.session import is_pooled_by_transaction
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import PlanStep
from opsmigrate.schema.applied import strings_of
from opsmigrate.sql.placeholders import statements_if_readable

DJANGOS_BACKENDS = "django.db.backends."
# What a command of the project may have of its own without doing anything else.
HARMLESS = {"__init__", "add_arguments", "create_parser", "get_version"}
WRITES = frozenset({
    "ALTER", "CALL", "CLUSTER", "COMMENT", "COPY", "CREATE", "DELETE", "DO", "DROP", "GRANT",
    "INSERT", "LOCK", "MERGE", "REFRESH", "REINDEX", "REVOKE", "TRUNCATE", "UPDATE", "VACUUM",
})  # fmt: skip
# Of others, parts of what the project's own code asks.
READS = frozenset({
    "constraints_set_stmt", "execute_stmt", "explain_stmt", "prepare_stmt", "select_stmt",
    "transaction_stmt", "variable_set_stmt", "variable_show_stmt",
})  # fmt: skip
WRITING = frozenset({"DeleteStmt", "InsertStmt", "IntoClause", "MergeStmt", "UpdateStmt"})
EXECUTE = ("execute", "executemany")
# The former value comes first: expressions of a row are computed from left to right.
READ_ONLY = """
SELECT current_setting('default_transaction_read_only'),
       set_config('default_transaction_read_only', %s, false)
"""
MAKES = ("ALTER ", "CREATE ", "DROP ")


def mark_custom_migrate_undecided(connection: BaseDatabaseWrapper, ledger: Ledger) -> None:
    """Mark as undecided the project's own `migrate`, and its engine's prepare_database()."""
    for kind in _own_command(connection):
        ledger.mark_undecided(
            f"migrate is {kind.__module__}, not Django's: only a rehearsal decides what it does"
        )
    method: Any = type(connection).prepare_database
    if not method.__module__.startswith(DJANGOS_BACKENDS):
        texts = [
            text
            for text in strings_of(method.__code__)
            if any(word in " ".join(text.upper().split()) for word in MAKES)
        ]
        ledger.prepared(f"{method.__module__}.{method.__qualname__}", texts)


def flag_custom_apply(step: PlanStep, ledger: Ledger) -> None:
    """Mark as undecided a migration with its own apply(), which may skip its operations."""
    name = "unapply" if step.backwards else "apply"
    method = getattr(type(step.migration), name)
    if method is not getattr(Migration, name):
        own = f"{method.__module__} has its own {name}()"
        ledger.doubt(own)
        ledger.code(f"{own}: only a rehearsal decides what it does")


@contextmanager
def nothing_written(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let this session write nothing: an engine's editor may pass by its own execute().

    The text of a statement shows most of what writes, and the server refuses the rest. But behind
    a pooler in transaction mode, a setting would be other people's too.
    """

    def refuse(execute: Callable[..., Any], sql: Any, *args: Any) -> Any:
        by_project = _asked_by_project(sys._getframe(1))
        if _writes(str(sql), by_project=by_project):
            words = " ".join(str(sql).split())
            raise RuntimeError(f"the database engine would execute here: {words[:60]}")
        if by_project:
            with project_search_path(connection):
                return execute(sql, *args)
        return execute(sql, *args)

    before = None if is_pooled_by_transaction(connection) else _set_read_only(connection, "on")
    try:
        with connection.execute_wrapper(refuse):
            yield
    finally:
        if before is not None:
            with suppress(Error):  # A session that was lost takes its settings along.
                _set_read_only(connection, before)


def _writes(text: str, *, by_project: bool) -> bool:
    """Return whether a statement writes: by its first word, and else as the grammar reads it.

    Our own queries, which come often, are not parsed. What cannot be read is left to the server.
    """
    first = text.split(maxsplit=1)[0].upper() if text.strip() else ""
    if first.rstrip(";(") in WRITES:
        return True
    statements = (statements_if_readable(text) or ()) if by_project else ()
    return any(
        each.kind not in READS or any(part.kind in WRITING for part in each.parts())
        for each in statements
    )


def _asked_by_project(frame: FrameType | None) -> bool:
    """Return whether what executes a statement is code of the project, such as its engine's.

    `frame` is the one that execute() was called from, through Django's own. What wraps a statement
    on its way, or stands in place of Django's cursor, as Sentry does, did not ask.
    """
    asking = frame
    while asking is not None and not _is_cursor(asking):
        asking = asking.f_back
    asking = asking or frame
    replaced = (vars(CursorWrapper)[name] for name in EXECUTE)
    passing = {"django", *(_package(getattr(each, "__globals__", {})) for each in replaced)}
    while asking is not None and _package(asking.f_globals) in passing:
        asking = asking.f_back
    return asking is not None and _package(asking.f_globals) != "opsmigrate"


def _is_cursor(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return name == CursorWrapper.__module__ and frame.f_code.co_name in EXECUTE


def _package(names: Mapping[str, Any]) -> str:
    return str(names.get("__name__")).partition(".")[0]


def _set_read_only(connection: BaseDatabaseWrapper, value: str) -> str:
    """Set whether the session's next transactions are read-only; return what it was before."""
    with connection.cursor() as cursor:
        cursor.execute(READ_ONLY, [value])
        return str(cursor.fetchone()[0])


def _own_command(connection: BaseDatabaseWrapper) -> list[type]:
    """Return the class that `migrate` would run, where its work is not all Django's."""
    command = migrate_command(connection)
    found = get_commands()["migrate"] if isinstance(command, str) else command
    kind = type(load_command_class(found, "migrate") if isinstance(found, str) else found)
    own = kind.__mro__[: kind.__mro__.index(Command)] if Command in kind.__mro__ else [kind]
    methods = {name for part in own for name, item in vars(part).items() if callable(item)}
    return [kind] if methods - HARMLESS else []
