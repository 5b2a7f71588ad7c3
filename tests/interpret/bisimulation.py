"""One statement, interpreted and executed: how the server differs from what was claimed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.driver_errors import INSUFFICIENT_PRIVILEGE, sqlstate
from opsmigrate.postgres.lock_modes import MODES, mode_of, stronger
from opsmigrate.preflight.interpret.effects import Effects, Unknown
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.preflight.interpret.schema import TEMPORARY, Schema
from opsmigrate.sql.names import Name
from opsmigrate.sql.statement import Statement
from opsmigrate.sql.transactions import stands_alone
from tests.interpret.equivalence import Equivalence
from tests.interpret.schema_differences import Same, schema_differences

# What has a name, by oid: tables, indexes, sequences, views; and the files of those that have one.
NAMED = """
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, pg_relation_filenode(c.oid),
       i.indrelid
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
LOCKS = """
SELECT relation, mode FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype = 'relation' AND mode <> 'AccessShareLock'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# What the server may raise for what is not read in a query: names, types, literals.
UNREAD = ("42", "22", "0A")
FILES, INDEXES = "rm", "iI"
# BEGIN, COMMIT and their like.
TRANSACTION = "transaction_stmt"


class Difference(NamedTuple):
    """Where the server is not as claimed: schema, locks, rewrites, builds, raises or rights."""

    kind: str
    text: str


class Named(NamedTuple):
    """A relation or an index of the live database; `table` is the oid of an index's."""

    name: Name
    kind: str
    file: int | None
    table: int | None


Files = Mapping[int, Named]


@dataclass(frozen=True, kw_only=True)
class Happened:
    """What the server did: its SQLSTATE and words where it raised; locks None if unseen."""

    sqlstate: str | None = None
    words: str = ""
    locks: Mapping[Name, str] | None = None
    before: Files
    after: Files


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One statement's; `after` is the schema to go on with, the server's where ours is not it."""

    statement: Statement
    after: Schema
    effects: Effects
    sqlstate: str | None
    differences: tuple[Difference, ...]

    @property
    def unknown(self) -> Unknown | None:
        """Return what was not understood, which is no difference."""
        return self.effects.unknown

    def lines(self) -> list[str]:
        """Return what differs, with the statement."""
        return [
            f"{each.kind}: {each.text}\n    in: {self.statement.text[:300]}"
            for each in self.differences
        ]


def compare(
    before: Schema,
    statement: Statement,
    connection: BaseDatabaseWrapper,
    same: Equivalence | None = None,
) -> Comparison:
    """Interpret the statement on `before`, execute and commit it, and say what differs.

    `same` remembers what the server says of expressions; one for all statements saves time.
    """
    happened, server = executed(statement, connection)
    return judged(before, statement, happened, server, same or Equivalence(connection))


def executed(
    statement: Statement, connection: BaseDatabaseWrapper
) -> tuple[Happened, Schema | None]:
    """Execute and commit the statement; return the schema after it too, None for no other.

    In a transaction that a statement began, it is read after that has ended.
    """
    happened = execute_watched(statement, connection)
    # What is not done in a transaction may leave something behind where it fails.
    changed = happened.sqlstate is None or stands_alone(statement)
    read = changed and not is_within(connection)
    return happened, read_schema(connection) if read else None


def judged(
    before: Schema, statement: Statement, happened: Happened, server: Schema | None, same: Same
) -> Comparison:
    """Interpret the statement on `before` and say what differs from what the server did.

    `server` is the schema after it, None where it is as before.
    """
    claimed, effects = interpret(before, statement)
    found = list(_raises(effects, happened))
    after = server or before
    if server is None and happened.sqlstate is None and effects.refusal is None:
        after = claimed
    if happened.sqlstate is None and server is not None and effects.refusal is None:
        if effects.unknown is None:
            found += _did(before, claimed, effects, happened)
        found += _schema(claimed, server, effects, same)
        ours = effects.unknown is None and not found
        after = claimed if ours else server
    return Comparison(
        statement=statement,
        after=after,
        effects=effects,
        sqlstate=happened.sqlstate,
        differences=tuple(found),
    )


def is_within(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a statement has begun a transaction that is still under way."""
    session = connection.connection
    return session is not None and bool(session.info.transaction_status)


def execute_watched(statement: Statement, connection: BaseDatabaseWrapper) -> Happened:
    """Execute the statement in a transaction of its own, where it can be in one, and look."""
    with connection.cursor() as cursor:
        before = _named(cursor)
        # In one that a statement began, the locks are those of all its statements.
        alone = statement.kind == TRANSACTION or stands_alone(statement)
        in_transaction = not alone and not is_within(connection)
        locks: Mapping[Name, str] | None = None
        try:
            if in_transaction:
                cursor.execute("BEGIN")
            cursor.execute(statement.text)
            if in_transaction:
                locks = _locks(cursor, before)
                cursor.execute("COMMIT")
        except DatabaseError as error:
            if in_transaction:
                cursor.execute("ROLLBACK")
            state = sqlstate(error) or "?"
            return Happened(sqlstate=state, words=str(error), before=before, after=before)
        return Happened(locks=locks, before=before, after=_named(cursor))


def _named(cursor: Any) -> Files:
    cursor.execute(NAMED)
    return named(cursor.fetchall())


def named(rows: Iterable[Any]) -> Files:
    """Return what the rows of NAMED are."""
    return {
        oid: Named(Name(schema, name), kind, file, table)
        for oid, schema, name, kind, file, table in rows
    }


def _locks(cursor: Any, before: Files) -> Mapping[Name, str]:
    cursor.execute(LOCKS)
    return locks_of(cursor.fetchall(), before)


def locks_of(rows: Iterable[Any], before: Files) -> Mapping[Name, str]:
    """Return the strongest lock of each of the rows of LOCKS."""
    found: dict[Name, str] = {}
    for oid, mode in rows:
        if oid in before:
            name = before[oid].name
            found[name] = stronger(found.get(name), mode_of(mode))
    return found


def _raises(effects: Effects, happened: Happened) -> Iterable[Difference]:
    refusal, state, words = effects.refusal, happened.sqlstate, happened.words.strip()
    if effects.unknown is not None:
        return
    if refusal is not None:
        claimed = f"ours {refusal.sqlstate} ({refusal.kind})"
        if state is None and refusal.certain:
            yield Difference("raises", f"{claimed}, the server does it")
        elif state == INSUFFICIENT_PRIVILEGE and effects.rights:
            # A right that the role lacks is looked at first, and was asked for.
            return
        # Of what is not read, it may be another error that is told first.
        elif state not in (None, refusal.sqlstate) and not state.startswith(_asked(effects)):
            yield Difference("raises", f"{claimed}, server {state}: {words}")
    elif state == INSUFFICIENT_PRIVILEGE:
        if not effects.rights:
            yield Difference("rights", f"ours needs none, server: {words}")
    elif state is not None and not effects.runs_code and not state.startswith(_asked(effects)):
        yield Difference("raises", f"ours nothing, server {state}: {words}")


def _asked(effects: Effects) -> tuple[str, ...]:
    """Return with what the rows, or what was not read, may raise; of a cast only the class, 22."""
    return (*(each.sqlstate for each in effects.questions), *(UNREAD if effects.unread else ()))


def _did(
    before: Schema, claimed: Schema, effects: Effects, happened: Happened
) -> Iterable[Difference]:
    if happened.locks is not None:
        ours, server = (_strong(each, happened.before) for each in (effects.locks, happened.locks))
        rows = effects.locks_with_rows
        for name in sorted({*ours, *server}):
            # With rows it may be more, and with code anything.
            fits = (name in rows or effects.runs_code) and _no_more(ours, server, rows, name)
            if ours.get(name) != server.get(name) and not fits:
                text = f"{name}: ours {ours.get(name)}, server {server.get(name)}"
                yield Difference("locks", text)
    # It gives new files to all, for which nothing is read or written.
    if not effects.truncates:
        permanent = {each for each in effects.rewrites if each.schema != TEMPORARY}
        yield from _sets("rewrites", permanent, _rewritten(happened))
        there = {each.name for each in happened.before.values()}
        built = {
            index
            for index in effects.builds
            if (table := claimed.table_of_index(index)) is not None and table.name in there
        }
        yield from _sets("builds", built, _built(happened))


def _no_more(
    ours: Mapping[Name, str], server: Mapping[Name, str], rows: Mapping[Name, str], name: Name
) -> bool:
    """Return whether the server's lock is one of those that we said it may be."""
    at_least, at_most = ours.get(name), rows.get(name)
    found = server.get(name)
    between = (
        found is not None
        and at_most is not None
        and stronger(found, at_most) == at_most
        and stronger(at_least, found) == found
    )
    return found in (at_least, at_most) or between or (name not in rows and at_least is None)


def _strong(locks: Mapping[Name, str], before: Files) -> dict[Name, str]:
    """Return the locks on what was there before, without those of indexes that say no more.

    That of an index counts where its table is not locked as strongly.
    """
    names = {oid: each.name for oid, each in before.items()}
    table_of = {each.name: names.get(each.table) for each in before.values() if each.table}
    there = set(names.values())
    return {
        name: mode
        for name, mode in locks.items()
        if name in there
        and not (
            (table := table_of.get(name)) in locks
            and MODES.index(locks[table]) >= MODES.index(mode)
        )
    }


def _rewritten(happened: Happened) -> set[Name]:
    """Return the tables with a new file, by the names that they had."""
    return {
        old.name
        for oid, old in happened.before.items()
        if old.kind in FILES
        and (new := happened.after.get(oid)) is not None
        and new.file != old.file
    }


def _built(happened: Happened) -> set[Name]:
    """Return the indexes with a new file, by name: a rebuilt one has a new oid.

    Those of tables that were not there before are left out.
    """
    former = {each.file for each in happened.before.values()}
    return {
        each.name
        for each in happened.after.values()
        if each.kind in INDEXES
        and each.file is not None
        and each.file not in former
        and each.table in happened.before
    }


def _sets(kind: str, ours: Iterable[Name], server: Iterable[Name]) -> Iterable[Difference]:
    for name in sorted({*ours} - {*server}):
        yield Difference(kind, f"{name}: only ours")
    for name in sorted({*server} - {*ours}):
        yield Difference(kind, f"{name}: only the server's")


def _schema(claimed: Schema, server: Schema, effects: Effects, same: Same) -> Iterable[Difference]:
    if claimed.all_tainted is not None:
        return
    # Where there may be more than is known, it is not missing.
    more = server.relations.keys() - claimed.relations.keys() if claimed.incomplete else ()
    without = claimed.tainted.union(more)
    for line in schema_differences(claimed, server, same, without=without):
        yield Difference("schema", line)
