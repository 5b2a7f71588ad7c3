"""Whether a plan reaches what was left out of the catalog: then everything must be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opsmigrate.postgres.neighbours import Neighbours, words_of
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.rehearsal.reaching_code import looks
from opsmigrate.preflight.rehearsal.rehearsed_statement import FURTHER, RehearsedStatement
from opsmigrate.schema.drift_words import Drift
from opsmigrate.sql import nodes
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.sql.statement import Statement

# By these, bare names may mean other things; set_config() may be given the setting as a value.
SETTING = frozenset({"search_path", "set_config"})
# SET SCHEMA is another word for the first; and a search_path may have "$user".
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
    ran = [each.sql for each in rehearsed]
    executed = [*(each.sql for each in ledger.statements), *ran]
    with_values = [each.composed for each in ledger.statements]
    said = dict.fromkeys([*executed, *with_values, *_said(ledger, drifts)])
    if any(map(neighbours.named_in, said)) or any(map(looks, ran)):
        return True
    if any(not words_of(text).isdisjoint(SETTING) and not _sets_path(text) for text in said):
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


def _sets_path(text: str) -> bool:
    """Return whether a text does nothing with the search_path but set it to what it names.

    $user may stand for anybody's schema.
    """
    found = statements_if_readable(text)
    return found is not None and all(map(_names_a_path, found))


def _names_a_path(statement: Statement) -> bool:
    if statement.kind == "variable_show_stmt":
        return True
    return (
        statement.kind == "variable_set_stmt"
        and statement.node.name == "search_path"
        and nodes.label(statement.node, "kind") == "VAR_SET_VALUE"
        and not any("$user" in str(part) for part in statement.node.args)
    )


def _is_naming(text: str) -> bool:
    found = statements_if_readable(text)
    return found is not None and all(map(_does_naming, found))


def _does_naming(statement: Statement) -> bool:
    if statement.kind == "drop_stmt":
        return nodes.label(statement.node, "remove_type") in DROPPED
    if statement.kind == "variable_set_stmt":
        everything = nodes.label(statement.node, "kind") == "VAR_RESET_ALL"
        return not everything and (statement.node.name not in SET or _names_a_path(statement))
    return statement.kind in NAMING
