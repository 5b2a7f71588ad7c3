"""Bodies of functions that name what the plan drops or renames: PostgreSQL does not follow them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.mentions import mentions
from opsmigrate.postgres.names import literal
from opsmigrate.postgres.of_users import of_users
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.walk.simulated_table import SimulatedTable
from opsmigrate.report import Finding, Severity
from opsmigrate.sql import nodes
from opsmigrate.sql.grammar import scan
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.sql.statement import NoGrammarError, NotParsedError, Statement
from opsmigrate.steps import Step, statement

# Of what was written as BEGIN ATOMIC, pg_depend knows what it uses; extensions bring their own.
BODIES = of_users("""
SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
       p.proname, p.prosrc,
       ARRAY(SELECT t.tgname::text FROM pg_trigger t
             WHERE t.tgfoid = p.oid AND NOT t.tgisinternal),
       ARRAY(SELECT tn.nspname || '.' || c.relname
             FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
             JOIN pg_namespace tn ON tn.oid = c.relnamespace
             WHERE t.tgfoid = p.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
WHERE {of_users}
  AND l.lanname NOT IN ('c', 'internal') AND p.prosqlbody IS NULL
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                  AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1
""")
# What may put another function, or another trigger, in the place of one.
REPLACING = frozenset(
    {"alter_function_stmt", "create_function_stmt", "create_trig_stmt", "do_stmt"}
)
REPLACING_OBJECTS = ("OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_TRIGGER")
OBJECTS = ("object_type", "remove_type", "rename_type")


class _Function(NamedTuple):
    label: str
    name: str
    body: str
    triggers: list[str]
    fired_by: list[str]


@dataclass(frozen=True)
class _Change:
    """What the plan drops or renames, by the names of the live database; and where in the plan."""

    doing: str
    table: str
    column: str | None
    migration: str | None
    operation: str | None


@dataclass
class FunctionBodies:
    """Remembers what the plan drops and renames, and says in the end which bodies name it."""

    connection: BaseDatabaseWrapper
    _changes: dict[tuple[str, str | None], _Change] = field(default_factory=dict)

    def left_behind(
        self, ledger: Ledger, table: SimulatedTable, doing: str, column: str | None = None
    ) -> None:
        """Remember a live table or column that loses its name; what the plan makes has no users."""
        live = table.origins.get(column) if column is not None else None
        if table.origin is None or (column is not None and live is None):
            return
        name = ".".join(table.origin)
        self._changes.setdefault(
            (name, live), _Change(doing, name, live, ledger.migration, ledger.operation)
        )

    def note(self, ledger: Ledger, executed: Iterable[str]) -> None:
        """Add a warning for each change that a body names.

        A function that SQL written by hand names, or a rehearsal `executed`, is replaced with the
        plan, or its trigger is.
        """
        if not self._changes:
            return
        texts = "\n".join([*ledger.by_hand, *(each for each in executed if _replaces(each))])
        functions = [each for each in self._functions if not _handled(each, texts)]
        for change in self._changes.values():
            found = [each.label for each in functions if _names(each, change)]
            if found:
                ledger.add(_finding(change, found))

    @cached_property
    def _functions(self) -> list[_Function]:
        rows = seen_by_project(self.connection, BODIES)
        return [
            _Function(label, name, _without_comments(body), *rest)
            for label, name, body, *rest in rows
        ]


def _without_comments(body: str) -> str:
    """Return a body's words, and its texts, which may be executed; or itself, if unreadable."""
    try:
        return " ".join(token.text for token in scan(body))
    except (NotParsedError, NoGrammarError):
        return body


def _replaces(text: str) -> bool:
    """Return whether a text that was executed may replace a function; what is unreadable may."""
    statements = statements_if_readable(text)
    return statements is None or any(map(_is_replacing, statements))


def _is_replacing(statement: Statement) -> bool:
    fields = statement.node.DESCRIPTOR.fields_by_name
    kinds = [nodes.label(statement.node, each) for each in OBJECTS if each in fields]
    return statement.kind in REPLACING or any(kind in REPLACING_OBJECTS for kind in kinds)


def _handled(function: _Function, texts: str) -> bool:
    return _has_word(texts, [function.name, *function.triggers])


def _names(function: _Function, change: _Change) -> bool:
    fired, table = change.table in function.fired_by, change.table.partition(".")[2]
    if change.column is None:
        return _has_word(function.body, [table])
    about = fired or _has_word(function.body, [table])
    return about and _has_word(function.body, [change.column])


def _has_word(text: str, words: Iterable[str]) -> bool:
    return mentions(text, *words)


def _finding(change: _Change, functions: list[str]) -> Finding:
    them = f"the function{'s' if len(functions) > 1 else ''} {', '.join(functions)}"
    name = change.column or change.table.partition(".")[2]
    return Finding(
        id="named-in-function",
        severity=Severity.WARNING,
        message=f"{change.doing}: the body of {them} names {name}, and PostgreSQL does not update "
        "it: the next call may fail",
        hint=f"look at it; if it means this {name}, replace the function in the same migration, "
        "with RunSQL",
        steps=tuple(_definitions(functions)),
        migration=change.migration,
        operation=change.operation,
        table=change.table,
        column=change.column,
        evidence={"functions": functions},
    )


def _definitions(functions: list[str]) -> Iterator[Step]:
    for function in functions:
        yield statement(f"SELECT pg_get_functiondef({literal(function)}::regprocedure)")
