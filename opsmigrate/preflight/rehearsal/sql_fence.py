"""The fence for SQL: statements that would take effect beyond the scratch database are refused."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import lru_cache

from opsmigrate.errors import UndecidedError
from opsmigrate.preflight.rehearsal.copy_name import WHAT, asks_for_name
from opsmigrate.preflight.rehearsal.fence_error import FenceError
from opsmigrate.preflight.rehearsal.outward import beyond
from opsmigrate.preflight.rehearsal.outward_names import SQL_TEXT
from opsmigrate.preflight.rehearsal.outward_rules import FenceBounds
from opsmigrate.sql import nodes
from opsmigrate.sql.bodies import names_in, names_in_bodies
from opsmigrate.sql.grammar import INSTALL, require_grammar
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.sql.statement import NoGrammarError, NotParsedError
from opsmigrate.steps import command

# Raised in the copy by what stands in the place of a function that leads outside.
DISARMED = "OPS01"
MAKES_BODIES = ("function", "procedure")
# PostgreSQL reads no row of a foreign table for these, also where it refuses them.
READ_NO_ROW = frozenset({
    "alter_object_schema_stmt", "alter_owner_stmt", "alter_table_stmt", "drop_stmt", "index_stmt",
    "rename_stmt",
})  # fmt: skip
OF_TABLES = ("OBJECT_FOREIGN_TABLE", "OBJECT_INDEX", "OBJECT_TABLE")
OBJECTS = ("object_type", "objtype", "remove_type", "rename_type", "relation_type")


def require_grammar_here(where: str) -> None:
    """Raise UndecidedError where SQL cannot be read, although it must be `where` the copy is."""
    try:
        require_grammar()
    except NoGrammarError as error:
        raise UndecidedError(
            f"no rehearsal {where}: {error}",
            id="no-grammar",
            steps=(command(INSTALL),),
        ) from error


def sql_fence(
    bounds: FenceBounds,
    *,
    live: str,
    names: Iterable[str],
    record: Callable[[str], None],
    foreign: Collection[str] = (),
) -> Callable[[str], None]:
    """Return what raises FenceError for a statement that would take effect elsewhere.

    `live` is the examined database's name; `names` are what the copy has that leads outside:
    foreign tables, schedulers. Those that are `foreign` may be altered.
    """
    outside = set(names)
    # What functions call is only looked for when they are called: it may be made after them.
    in_bodies: set[str] = set()
    # The package loads its library now: once the fence stands, nobody may.
    with suppress(NoGrammarError):
        names_in("SELECT 1")

    @lru_cache(maxsize=1024)
    def refusal(statement: str, known: frozenset[str]) -> tuple[str | None, frozenset[str]]:
        """Return why it may not run, and the functions that it makes and that may not be used."""
        found = beyond(statement, bounds)
        created = frozenset(each.created for each in found if each.created is not None)
        why = [each.why for each in found if each.created is None]
        if known or created:
            times = _times_named(statement)
            harmless = foreign if _reads_no_row(statement) else ()
            used = [name for name in known if times[name] and name not in harmless]
            used += [name for name in created if times[name] > 1 or name in in_bodies]
            why += [f"it names {name}, which leads outside" for name in sorted(used)]
        return (why[0] if why else None), created

    def require_inside(statement: str) -> None:
        if asks_for_name(statement, live):
            record(WHAT)
        why, created = refusal(str(statement), frozenset(outside))
        if not bounds.unseen_may_run:
            why = getattr(statement, "unreadable", None) or why
        if why is None:
            # To make them is no harm; to use them is.
            outside.update(created)
            if any(word in statement.lower() for word in MAKES_BODIES):
                in_bodies.update(names_in_bodies(statement))
            return
        record(f"it may not do this in a rehearsal: {why}")
        raise FenceError(f"a rehearsal may not run SQL that reaches beyond its database: {why}")

    return require_inside


def _times_named(statement: str) -> Counter[str]:
    words = Counter(re.findall(r"\w+", statement))
    try:
        names = Counter(names_in(statement))
    except (NotParsedError, NoGrammarError):
        return words
    # The texts that these execute are literals.
    return words if SQL_TEXT & names.keys() else names


def _reads_no_row(text: str) -> bool:
    """Return whether a text is one statement that alters or drops tables and indexes alone.

    One with the text of another in it is left out, as a dollar or a semicolon tells.
    """
    statements = statements_if_readable(text) or ()
    if len(statements) != 1 or "$" in text or ";" in text.strip().removesuffix(";"):
        return False
    [statement] = statements
    if statement.kind not in READ_NO_ROW:
        return False
    fields = statement.node.DESCRIPTOR.fields_by_name
    kinds = [nodes.label(statement.node, each) for each in OBJECTS if each in fields]
    return statement.kind == "index_stmt" or any(kind in OF_TABLES for kind in kinds)
