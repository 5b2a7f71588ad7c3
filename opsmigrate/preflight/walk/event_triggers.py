"""Which event triggers a plan fires: they run with DDL, and may refuse it."""

import re

from opsmigrate.postgres.catalog import Catalog, EventTrigger
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.plan import Plan
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.schema.history_table import HISTORY

# What stands between CREATE and the kind of object, and is not in the tag of the command.
ADJECTIVES = re.compile(
    r"\b(?:OR\s+REPLACE|UNIQUE|TEMP|TEMPORARY|UNLOGGED|LOCAL|GLOBAL|RECURSIVE"
    r"|CONSTRAINT(?=\s+TRIGGER)|TRUSTED|PROCEDURAL|DEFAULT(?=\s+CONVERSION))\s+",
    re.IGNORECASE,
)
COMMENTS = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
DATA = re.compile(r"\s*(?:WITH|SELECT|INSERT|UPDATE|DELETE|MERGE|VALUES|TABLE)\b", re.IGNORECASE)
# What may execute anything: a block, and a function that is called for what it does.
EXECUTES = re.compile(
    r"\s*(?:DO|CALL|EXECUTE)\b|\s*SELECT\s+(?:\*\s+FROM\s+)?(?!(?:count|max|min|sum|avg|coalesce"
    r"|exists|setval|nextval|lower|upper|version|set_config|current_\w+|pg_\w+(?:\.\w+)?)\s*\()"
    r"[\w.\"]+\s*\(",
    re.IGNORECASE,
)
MAKES_A_TABLE = re.compile(r"\s*(?:WITH|SELECT)\b.*\bINTO\b", re.IGNORECASE | re.DOTALL)
# Of these the first word is the tag, or the beginning of it.
ALONE = frozenset({"COMMENT", "GRANT", "REVOKE", "REINDEX", "REFRESH", "SECURITY", "IMPORT"})
# migrate makes it where it is not there.
MAKES_HISTORY = f"CREATE TABLE {HISTORY} ()"
# Each but the first of several.
FURTHER = re.compile(r";\s*(?=\w)")


def mark_event_triggers_undecided(catalog: Catalog, plan: Plan, ledger: Ledger) -> None:
    """Mark as undecided the first statement, or code, that fires each event trigger."""
    statements = [*ledger.statements]
    if plan.steps and not any(relation.name == HISTORY for relation in catalog.relations):
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
    words are compared, and what calls a function may do anything.
    """
    return any(_fired(trigger, each) for each in FURTHER.split(COMMENTS.sub(" ", sql)))


def _fired(trigger: EventTrigger, statement: str) -> bool:
    if EXECUTES.match(statement):
        return True
    if DATA.match(statement):
        makes = MAKES_A_TABLE.match(statement) is not None
        return makes and (trigger.tags is None or "SELECT INTO" in trigger.tags)
    words = ADJECTIVES.sub("", statement).upper().split()[:2]
    if not words or words[0] not in ALONE | {"CREATE", "ALTER", "DROP"}:
        return False
    if trigger.event == "table_rewrite" and words[0] != "ALTER":
        return False
    if trigger.tags is None:
        return True
    length = 1 if words[0] in ALONE else 2
    return any(tag.split()[:length] == words[:length] for tag in trigger.tags)
