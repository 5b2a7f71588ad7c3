"""Which event triggers a plan fires: they run with DDL, and may refuse it."""

from itertools import dropwhile

from opsmigrate.postgres.catalog import Catalog, EventTrigger
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import Plan
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.schema.history_table import HISTORY
from opsmigrate.sql import nodes
from opsmigrate.sql.grammar import scan
from opsmigrate.sql.placeholders import statements_if_readable
from opsmigrate.sql.statement import Node, Statement

# What stands between CREATE and the kind of object, and is not in the tag of the command.
ADJECTIVES = frozenset({
    "CONSTRAINT", "DEFAULT", "GLOBAL", "LOCAL", "OR", "PROCEDURAL", "RECURSIVE", "REPLACE",
    "TEMP", "TEMPORARY", "TRUSTED", "UNIQUE", "UNLOGGED",
})  # fmt: skip
# What may execute anything.
EXECUTES = frozenset({"call_stmt", "do_stmt", "execute_stmt"})
# Functions that do nothing else than give a value, or change a sequence or a setting; besides those
# whose names begin with pg_.
HARMLESS = frozenset({
    "abs", "array_agg", "avg", "bool_and", "bool_or", "coalesce", "concat", "count",
    "current_database", "current_schema", "current_schemas", "current_setting", "date_trunc",
    "format", "format_type", "generate_series", "json_agg", "json_build_object", "jsonb_agg",
    "jsonb_build_object", "length", "lower", "max", "min", "now", "nextval", "obj_description",
    "quote_ident", "quote_literal", "replace", "round", "row_number", "set_config", "setval",
    "string_agg", "substring", "sum", "to_char", "to_regclass", "unnest", "upper", "version",
})  # fmt: skip
# Of these the first word is the tag, or the beginning of it.
ALONE = frozenset({"COMMENT", "GRANT", "REVOKE", "REINDEX", "REFRESH", "SECURITY", "IMPORT"})
# migrate makes it where it is not there.
MAKES_HISTORY = f"CREATE TABLE {HISTORY} ()"


def mark_event_triggers_undecided(catalog: Catalog, plan: Plan, ledger: Ledger) -> None:
    """Mark as undecided the first statement, or code, that fires each event trigger."""
    statements = [*ledger.statements]
    if plan.steps and not any(each.name == HISTORY and each.visible for each in catalog.relations):
        statements.insert(0, PlannedStatement(migration=None, operation=None, sql=MAKES_HISTORY))
    for trigger in catalog.event_triggers:
        fires = next((item for item in statements if fired(trigger, item.sql)), None)
        if fires is not None:
            with ledger.at(fires.migration, fires.operation):
                ledger.mark_undecided(
                    f"the event trigger {trigger.name} runs with it and may refuse it"
                )
        elif ledger.code_runs:
            ledger.mark_undecided(
                f"whether code fires the event trigger {trigger.name}, which may refuse DDL"
            )


def fired(trigger: EventTrigger, sql: str) -> bool:
    """Return whether a text of SQL may fire an event trigger, by the tags of its commands.

    Source: PostgreSQL documentation, Event Trigger Firing Matrix. In doubt it does: of a tag, two
    words are compared, a query that calls a function may do anything, and so may what cannot be
    read.
    """
    statements = statements_if_readable(sql)
    return statements is None or any(_fired(trigger, each) for each in statements)


def _fired(trigger: EventTrigger, statement: Statement) -> bool:
    if statement.kind in EXECUTES:
        return True
    if statement.kind == "select_stmt":
        makes = any(part.kind == "IntoClause" for part in statement.parts())
        may = trigger.tags is None or "SELECT INTO" in trigger.tags
        return (makes and may) or any(map(_may_do_anything, statement.parts()))
    if statement.kind == "create_table_as_stmt":
        words = tuple(_tag_of_query(statement).split())
        return trigger.tags is None or " ".join(words) in trigger.tags
    words = tuple(_words(statement))
    if not words or words[0] not in ALONE | {"CREATE", "ALTER", "DROP"}:
        return False
    if trigger.event == "table_rewrite" and words[0] != "ALTER":
        return False
    if trigger.tags is None:
        return True
    length = 1 if words[0] in ALONE else 2
    return any(tuple(tag.split()[:length]) == words[:length] for tag in trigger.tags)


def _may_do_anything(part: Node) -> bool:
    if part.kind != "FuncCall":
        return False
    name = nodes.names(part.value.funcname)[-1]
    return not (name in HARMLESS or name.startswith("pg_"))


def _tag_of_query(statement: Statement) -> str:
    if nodes.label(statement.node, "objtype") == "OBJECT_MATVIEW":
        return "CREATE MATERIALIZED VIEW"
    return "CREATE TABLE AS"


def _words(statement: Statement) -> list[str]:
    """Return the first words of a command, without those that are not in its tag."""
    first, *others = (token.text.upper() for token in scan(statement.text))
    if first == "CREATE":
        others = list(dropwhile(ADJECTIVES.__contains__, others))
    return [first, *others[:1]]
