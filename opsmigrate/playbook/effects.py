"""What a migration has done that stays, whatever becomes of it: it must not be tried again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration, RunPython, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation

from opsmigrate.preflight.labels import label_of
from opsmigrate.preflight.rehearsal.current_operation import CurrentOperation
from opsmigrate.preflight.rehearsal.sent_text import written

# A quote within a comment begins nothing, and no comment is within quotes.
APART = re.compile(
    r"""("(?:[^"]|"")*")|(\bE'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(\w*)\$.*?\$\3\$)"""
    r"""|--[^\n]*|/\*.*?\*/""",
    re.DOTALL | re.IGNORECASE,
)
CONCURRENTLY = re.compile(
    r"^\s*(?:CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY|DROP\s+INDEX\s+CONCURRENTLY"
    r"|REINDEX\b.*?\bCONCURRENTLY|ALTER\s+TABLE\b.*?\bDETACH\s+PARTITION\b.*\bCONCURRENTLY)\b",
    re.I | re.S,
)
# What changes nothing: what Django asks of the catalog and of the history, and transactions.
READS = re.compile(
    r'^\s*(?:SELECT\b(?!.*\bINTO\b).*\bFROM\s+"?(?:pg_|information_schema|django_migrations)'
    r"|(?:SAVEPOINT|RELEASE|ROLLBACK|SHOW|SET)\b)",
    re.I | re.S,
)
# Another function than these may do anything.
CALLED = re.compile(r'([\w"]+)\s*\(')
HARMLESS = re.compile(
    r"all|and|any|array|array_agg|as|by|coalesce|count|exists|from|in|not|on|or|pg_get_\w+"
    r"|pg_table_is_visible|select|then|unnest|using|values|when|where",
    re.I,
)
# What takes from a transaction what it has done so far, also among several statements.
COMMITS = re.compile(r"(?:^|;)\s*(?:COMMIT|END)\b", re.I)
# What may leave something behind where it fails, outside of a transaction.
FAILS_IN_PARTS = re.compile(r"^\s*(?:CALL|DO|REINDEX|VACUUM|CLUSTER)\b", re.I)


def bare(sql: str) -> str:
    """Return a statement without its comments, and with nothing in its literals."""
    return APART.sub(lambda found: found[1] or ("''" if found[2] else " "), sql)


def runs_concurrently(sql: str) -> bool:
    """Return whether a statement waits for others without blocking them."""
    return CONCURRENTLY.match(bare(sql)) is not None


def only_reads(sql: str) -> bool:
    """Return whether a statement, as bare() has it, surely changes nothing that stays."""
    if ";" in sql.strip().removesuffix(";") or not READS.match(sql):
        return False
    return all(HARMLESS.fullmatch(name) for name in CALLED.findall(sql))


class Effects:
    """What the migration that runs has done which the end of its transaction would not undo."""

    def __init__(self, alias: str, plan: Iterable[Migration]) -> None:
        """Take the alias that is migrated, and the migrations of the plan."""
        self._alias = alias
        self._with_code = {
            (f"{each.app_label}.{each.name}", label_of(number, operation))
            for each in plan
            if not each.atomic
            for number, operation in enumerate(each.operations)
            if _has_code(operation)
        }
        self.current = CurrentOperation(self._moved)
        self._in_transaction: set[str | None] = set()
        self._lasting: set[str | None] = set()

    def _moved(self) -> None:
        # It may have transactions of its own, each committed, and pass Django by: with COPY, say.
        place = self.current.place
        if (place.migration, place.operation) in self._with_code:
            self._lasting.add(place.migration)

    def watch(self, connection: BaseDatabaseWrapper) -> None:
        """Notice each statement that is executed on `connection` from here on."""

        def noticing(
            execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
        ) -> Any:
            alone = not connection.in_atomic_block
            migration = self.current.place.migration
            text = bare(written(sql, context["cursor"].cursor))
            try:
                result = execute(sql, params, many, context)
            except Error:
                # Django records a migration with deferred SQL after it has committed it.
                after_commit = alone and migration in self._in_transaction
                in_parts = FAILS_IN_PARTS.match(text) or CONCURRENTLY.match(text)
                if after_commit or (alone and in_parts) or COMMITS.search(text):
                    self._lasting.add(migration)
                raise
            self._note(connection, migration, text, alone=alone)
            return result

        connection.execute_wrappers.append(noticing)

    def _note(
        self, connection: BaseDatabaseWrapper, migration: str | None, text: str, *, alone: bool
    ) -> None:
        if COMMITS.search(text):
            self._lasting.add(migration)
        elif only_reads(text):
            return
        elif alone or connection.alias != self._alias:
            self._lasting.add(migration)
        else:
            self._in_transaction.add(migration)

    def of(self, migration: str | None) -> bool:
        """Return whether anything of that migration stays, or may stay."""
        return migration in self._lasting


def _has_code(operation: Operation) -> bool:
    """Return whether an operation executes more than Django's own statements and RunSQL's."""
    if isinstance(operation, SeparateDatabaseAndState):
        return any(map(_has_code, operation.database_operations))
    own = not type(operation).__module__.startswith("django.")
    return own or isinstance(operation, RunPython)
