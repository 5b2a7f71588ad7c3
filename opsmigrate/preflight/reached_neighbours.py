"""Whether a plan reaches what was left out of the catalog: then everything must be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from opsmigrate.postgres.neighbours import Neighbours
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.rehearsal.rehearsed_statement import FURTHER, RehearsedStatement
from opsmigrate.schema.drift_words import Drift
from opsmigrate.sql import nodes
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.sql.statement import Statement

# A dollar sign may also be a quote, and any other sign is written in more than one way.
WORD = re.compile(r"\w+")
# With escapes any name can be written without its letters.
ESCAPED = re.compile(r"""\bu&["']|\be'.*\\""", re.IGNORECASE | re.DOTALL)
# By these, bare names may mean other things; set_config() may be given the setting as a value.
SETTING = frozenset({"search_path", "set_config"})
# SET SCHEMA is another word for one of them; and a search_path may have "$user".
SET = frozenset({"search_path", "role", "session_authorization"})
# Statements that do nothing but to what they name, and to what rests on that.
NAMING = frozenset(
    {
        "alter_enum_stmt",
        "alter_seq_stmt",
        "alter_table_stmt",
        "comment_stmt",
        "constraints_set_stmt",
        "create_enum_stmt",
        "create_extension_stmt",
        "create_function_stmt",
        "create_policy_stmt",
        "create_seq_stmt",
        "create_stats_stmt",
        "create_stmt",
        "create_trig_stmt",
        "delete_stmt",
        "index_stmt",
        "insert_stmt",
        "lock_stmt",
        "rename_stmt",
        "select_stmt",
        "transaction_stmt",
        "truncate_stmt",
        "update_stmt",
        "variable_set_stmt",
        "variable_show_stmt",
        "view_stmt",
    }
)
DROPPED = frozenset(
    {
        "OBJECT_INDEX",
        "OBJECT_MATVIEW",
        "OBJECT_POLICY",
        "OBJECT_RULE",
        "OBJECT_SEQUENCE",
        "OBJECT_TABLE",
        "OBJECT_TRIGGER",
        "OBJECT_VIEW",
    }
)


def reaches_neighbours(
    neighbours: Neighbours,
    ledger: Ledger,
    drifts: Iterable[Drift],
    rehearsed: Iterable[RehearsedStatement] = (),
) -> bool:
    """Return whether anything that is executed or said names one of them, or what they reference.

    Or may do something to them without a name, as DROP OWNED does.
    """
    if not neighbours.schemas:
        return False
    executed = [*(each.sql for each in ledger.statements), *(each.sql for each in rehearsed)]
    with_values = [each.composed for each in ledger.statements]
    names = [_words(name) for name in (*neighbours.schemas, *neighbours.referenced)]
    if _any_names((*executed, *with_values, *_said(ledger, drifts)), names):
        return True
    return any(text == FURTHER or not _is_naming(text) for text in dict.fromkeys(executed)) or any(
        not all(map(_does_naming, found))
        for text in ledger.by_hand
        if (found := statements_if_readable(text)) is not None
    )


def _said(ledger: Ledger, drifts: Iterable[Drift]) -> Iterator[str]:
    yield from ledger.by_hand
    for finding in ledger.findings:
        yield f"{finding.message} {finding.hint} {finding.table}"
    for item in ledger.undecided:
        yield f"{item.what} {item.why}"
    for drift in drifts:
        yield f"{drift.table} {drift.words}"


def _any_names(texts: Iterable[str], names: Sequence[frozenset[str]]) -> bool:
    """Return whether any text has all words of any of the names, wherever."""
    # Of a thousand schemas most names are one word: these are looked up all at once.
    alone = SETTING.union(*(name for name in names if len(name) == 1))
    others = [name for name in names if len(name) != 1]
    return any(
        ESCAPED.search(text)
        or not alone.isdisjoint(words := _words(text))
        or any(name <= words for name in others)
        for text in dict.fromkeys(texts)
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text.casefold()))


def _is_naming(text: str) -> bool:
    found = statements_if_readable(text)
    return found is not None and all(map(_does_naming, found))


def _does_naming(statement: Statement) -> bool:
    if statement.kind == "drop_stmt":
        return nodes.label(statement.node, "remove_type") in DROPPED
    if statement.kind == "variable_set_stmt":
        everything = nodes.label(statement.node, "kind") == "VAR_RESET_ALL"
        return not everything and statement.node.name not in SET
    return statement.kind in NAMING
