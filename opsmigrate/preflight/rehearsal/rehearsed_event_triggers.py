"""Event triggers: repeated on the copy, which takes a superuser; else the statements are asked."""

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.transaction import SNAPSHOT, transaction
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.rehearsal.rehearsal_result import Rehearsal
from opsmigrate.preflight.walk.event_triggers import fired

# Those of an extension come with it.
EVENT_TRIGGERS = """
SELECT e.evtname, e.evtevent, coalesce(e.evttags, '{}'), e.evtenabled::text, n.nspname, p.proname
FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE e.evtevent <> 'login' AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid
    AND d.deptype = 'e')
ORDER BY e.evtname
"""
STATES = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA", "D": "DISABLE"}


def repeat_event_triggers(source: BaseDatabaseWrapper, scratch: BaseDatabaseWrapper) -> bool:
    """Make in the copy the event triggers of `source`; say whether it has all of them.

    Call it last: they might refuse what makes the copy.
    """
    with transaction(source, SNAPSHOT) as cursor:
        cursor.execute(EVENT_TRIGGERS)
        triggers = cursor.fetchall()
    if not triggers:
        return True
    try:
        with transaction(scratch) as cursor:
            cursor.execute(EVENT_TRIGGERS)
            there = {row[0] for row in cursor.fetchall()}
            made = []
            for name, event, tags, state, schema, function in triggers:
                if name in there:
                    continue
                when = sql.SQL(" WHEN TAG IN ({})").format(
                    sql.SQL(", ").join(map(sql.Literal, tags))
                )
                create = sql.SQL("CREATE EVENT TRIGGER {} ON {}{} EXECUTE FUNCTION {}()").format(
                    sql.Identifier(name),
                    sql.Identifier(event),
                    when if tags else sql.SQL(""),
                    sql.Identifier(schema, function),
                )
                made.append((create, name, STATES[state]))
            for create, _, _ in made:
                cursor.execute(create)
            for _, name, state in made:
                alter = sql.SQL("ALTER EVENT TRIGGER {} " + state)
                cursor.execute(alter.format(sql.Identifier(name)))
    except Error:
        return False
    return True


def check_rehearsed_event_triggers(catalog: Catalog, rehearsal: Rehearsal, ledger: Ledger) -> None:
    """Mark as undecided the statements that would fire an event trigger the copy lacks."""
    if rehearsal.has_event_triggers:
        return
    for trigger in catalog.event_triggers:
        for item in rehearsal.statements:
            if fired(trigger, item["sql"]):
                with ledger.at(item["migration"], item["operation"]):
                    ledger.mark_undecided(
                        f"the event trigger {trigger.name} runs with it and may refuse it; only a "
                        "superuser can create it on a copy"
                    )
                break
