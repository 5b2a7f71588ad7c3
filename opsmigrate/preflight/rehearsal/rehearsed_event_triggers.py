"""Event triggers: repeated on the copy, which takes a superuser; else the statements are asked.

On an embedded server there is one, who runs nothing of the database: see _make_as_superuser.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.catalog import Catalog
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.session import session_without_receivers
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


def repeat_event_triggers(
    source: BaseDatabaseWrapper,
    scratch: BaseDatabaseWrapper,
    superuser: BaseDatabaseWrapper | None = None,
) -> bool:
    """Make in the copy the event triggers of `source`; say whether it has all of them.

    `superuser` is a connection to the copy's server as one, where that has nothing but the copy.
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
            statements = list(_making([row for row in triggers if row[0] not in there]))
            if superuser is None:
                for statement in statements:
                    cursor.execute(statement)
        if superuser is not None:
            _make_as_superuser(superuser, str(scratch.settings_dict["NAME"]), statements)
    except Error:
        return False
    return True


def _making(triggers: Sequence[tuple[Any, ...]]) -> Iterator[Composable]:
    """Yield what makes them, and then what gives each its state."""
    for name, event, tags, _, schema, function in triggers:
        when = sql.SQL(" WHEN TAG IN ({})").format(sql.SQL(", ").join(map(sql.Literal, tags)))
        yield sql.SQL("CREATE EVENT TRIGGER {} ON {}{} EXECUTE FUNCTION {}()").format(
            sql.Identifier(name),
            sql.Identifier(event),
            when if tags else sql.SQL(""),
            sql.Identifier(schema, function),
        )
    for name, _, _, state, *_ in triggers:
        alter = sql.SQL("ALTER EVENT TRIGGER {} " + STATES[state])
        yield alter.format(sql.Identifier(name))


def _make_as_superuser(
    superuser: BaseDatabaseWrapper, database: str, statements: Sequence[Composable]
) -> None:
    """Execute them in a session in which nothing else runs.

    An event trigger runs with the rights of who fires it, and commands on event triggers fire none
    (documentation, Event Trigger Behavior). Receivers of connection_created, which are code of the
    project, do not see the session: among what is in the copy, a superuser could be led astray.
    """
    with (
        session_without_receivers(superuser, database) as session,
        session,
        session.cursor() as cursor,
    ):
        for statement in statements:
            cursor.execute(statement)


def check_rehearsed_event_triggers(catalog: Catalog, rehearsal: Rehearsal, ledger: Ledger) -> None:
    """Mark as undecided the statements that would fire an event trigger the copy lacks."""
    if rehearsal.has_event_triggers:
        return
    for trigger in catalog.event_triggers:
        for item in rehearsal.statements:
            if fired(trigger, item.sql):
                with ledger.at(item.migration, item.operation):
                    ledger.mark_undecided(
                        f"the event trigger {trigger.name} runs with it and may refuse it; only a "
                        "superuser can create it on a copy"
                    )
                break
