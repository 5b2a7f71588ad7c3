"""What is found of one member of a class, said of the others: each is asked about what is its own.

Of members with equal catalogs and the same migrations, four things can differ: their rows, who
holds them now, how big they are, and, in another database, who is connected to it. Each member is
asked about all four. One that answers otherwise than the first is examined by a command of its own:
nothing is concluded from a difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from opsmigrate.fleet.target_path import path_of
from opsmigrate.fleet.targets import Target
from opsmigrate.postgres.opening import PINNED, SET_LOCAL
from opsmigrate.postgres.transaction import transaction
from opsmigrate.preflight.questions import Question, answer_of, answer_of_error
from opsmigrate.schema.history_table import HISTORY
from opsmigrate.sql.moved import NotMovableError, moved_by

# blockers.py reports none that is younger than five times that; of a prepared transaction, and of
# one that the role may not see, the age is not known.
HELD_SECONDS = 1.0
WRITING = ("RowExclusiveLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
HELD = """
SELECT DISTINCT n.nspname::text
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (c.relname = %s AND l.mode = ANY (%s)
         OR coalesce(extract(epoch FROM clock_timestamp() - a.xact_start) >= %s, true))
"""
OTHERS = """
SELECT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = current_database()
    AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
    AND (a.xact_start < clock_timestamp() - make_interval(secs => %s)
         OR a.query = '<insufficient privilege>'))
"""
SIZES = """
SELECT n.nspname::text, c.relname::text, pg_relation_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%s::name[]) AND c.relkind IN ('r', 'm')
"""
PIN = (
    "SELECT set_config('search_path', 'pg_catalog', true),"
    " set_config('lock_timeout', '2s', true), set_config('statement_timeout', '60s', true)"
)
# Findings of preflight/live: of who holds a table of this very target, of who is in its database,
# and of how long its statements take.
OF_SESSIONS = frozenset({"blocking-session", "prepared-transaction", "migrate-under-way"})
OF_DATABASE = frozenset({"old-snapshot", "activity-hidden"})
OF_SIZE = frozenset({"timeout-too-short"})
FIRST_HELD = "somebody holds a table of the first"
BUSY = "somebody is in a transaction in its database"
OTHER_ROWS = "its rows answer otherwise"
BIGGER = "it is bigger, which counts here"
Connections = Mapping[str, BaseDatabaseWrapper]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What of a class is said by the report of its first: of all of `equal`, the first among them.

    Each of `groups` has to be examined by itself, its first member first; `why` says by label for
    what reason.
    """

    equal: tuple[Target, ...]
    groups: tuple[tuple[Target, ...], ...]
    why: Mapping[str, str]


def told_by(
    report: Mapping[str, Any],
    first: Target,
    others: Sequence[Target],
    by_alias: Connections,
    *,
    sizes_count: bool = False,
) -> Told:
    """Return of which `others` the report of `first` says what a report of their own would say.

    The report is that of `preflight_migrate --with-questions`; all are members of one class. The
    forecast is that of the first: where a warning of it counts (`sizes_count`), whoever is bigger
    is examined too.
    """
    found = {each["id"] for each in report["findings"]}
    if found & OF_SESSIONS:
        # The first is the one that differs: another one may speak for the rest.
        return _of_first_only(first, [others], FIRST_HELD)
    try:
        asking = _asking(report, first, sizes_count=sizes_count)
    except _OfItselfOnlyError as error:
        # Nothing is known of the others: not even that one of them speaks for the next.
        return _of_first_only(first, [[each] for each in others], str(error))
    why = _disturbed(first, others, by_alias)
    if found & OF_DATABASE:
        why |= {each.label: BUSY for each in others if each.alias != first.alias}
    if sizes_count or _has_time_limit(report):
        why |= {each: BIGGER for each in _bigger(first, others, by_alias) if each not in why}
    disturbed = tuple((each,) for each in others if each.label in why)
    equal, by_answers = [first], dict[tuple[str, ...], list[Target]]()
    for each in others:
        if each.label in why:
            continue
        answers = asking.ask(by_alias[each.alias], each)
        if answers == asking.expected:
            equal.append(each)
        else:
            why[each.label] = OTHER_ROWS
            by_answers.setdefault(answers, []).append(each)
    groups = (*(tuple(some) for some in by_answers.values()), *disturbed)
    return Told(equal=tuple(equal), groups=groups, why=why)


class _OfItselfOnlyError(Exception):
    """What was found of the first says nothing of others; the message is why."""


def _of_first_only(first: Target, groups: Sequence[Sequence[Target]], why: str) -> Told:
    labels = [each.label for some in groups for each in some]
    return Told(
        equal=(first,),
        groups=tuple(tuple(some) for some in groups if some),
        why=dict.fromkeys(labels, why),
    )


def _asking(report: Mapping[str, Any], first: Target, *, sizes_count: bool) -> _Asking:
    """Return what asks others what the first was asked; raise _OfItselfOnlyError."""
    questions = (report.get("facts") or {}).get("questions")
    if questions is None:
        raise _OfItselfOnlyError("its report has no questions")
    if questions["of_itself_only"] is not None:
        raise _OfItselfOnlyError(questions["of_itself_only"])
    found = {each["id"] for each in report["findings"]}
    if found & OF_SIZE or (sizes_count and _warns(report)):
        raise _OfItselfOnlyError("what was found of the first may come of its size")
    try:
        return _Asking(questions["asked"], first)
    except NotMovableError as error:
        raise _OfItselfOnlyError(f"what it was asked names its schema: {error}") from error


def _warns(report: Mapping[str, Any]) -> bool:
    return any(each["severity"] == "warning" for each in report["findings"])


class _Asking:
    """The questions that the first member was asked, to be asked of others."""

    def __init__(self, asked: Sequence[Mapping[str, Any]], first: Target) -> None:
        """Raise NotMovableError where a question cannot be asked of another schema."""
        questions = [
            Question(
                query=each["query"],
                as_project=each["as_project"],
                settings=tuple(each["settings"]),
                answer=each["answer"],
            )
            for each in asked
        ]
        # Those that need the same settings are asked in one transaction.
        questions.sort(key=lambda each: (each.as_project, each.settings))
        self.expected = tuple(each.answer for each in questions)
        self._moved = [
            (each, moved_by(each.query, first.schema) if first.schema is not None else None)
            for each in questions
        ]

    def ask(self, connection: BaseDatabaseWrapper, target: Target) -> tuple[str, ...]:
        """Return the answers of a target, in the order of `expected`."""
        answers: list[str] = []
        path = path_of(connection, target)
        for (as_project, settings), some in groupby(
            self._moved, key=lambda each: (each[0].as_project, each[0].settings)
        ):
            queries = [
                moved(target.schema) if moved and target.schema is not None else question.query
                for question, moved in some
            ]
            given = path if as_project else PINNED
            answers += _answers(connection, queries, given, settings)
        return tuple(answers)


def _answers(
    connection: BaseDatabaseWrapper, queries: Sequence[str], path: str, settings: Sequence[str]
) -> Iterator[str]:
    """Yield the answers of queries; after an error, those that are left get a new transaction."""
    left = list(queries)
    while left:
        before = len(left)
        try:
            with transaction(connection, "READ ONLY") as cursor:
                cursor.execute(SET_LOCAL, [path])
                for each in settings:
                    cursor.execute(each)
                while left:
                    query = left.pop(0)
                    cursor.execute(query)
                    yield answer_of(cursor.fetchall())
        except Error as error:
            if len(left) == before:
                # Not even the transaction could begin.
                left.pop(0)
            yield answer_of_error(error)


def _disturbed(first: Target, others: Sequence[Target], by_alias: Connections) -> dict[str, str]:
    """Return by label the members that somebody holds, and that in words."""
    found: dict[str, str] = {}
    for alias in dict.fromkeys(each.alias for each in others):
        here = [each for each in others if each.alias == alias]
        with _looking(by_alias[alias]) as cursor:
            cursor.execute(HELD, [HISTORY, list(WRITING), HELD_SECONDS])
            held = {name for (name,) in cursor.fetchall()}
            cursor.execute(OTHERS, [HELD_SECONDS])
            [busy] = cursor.fetchone()
        for each in here:
            if each.schema in held if each.schema is not None else held:
                found[each.label] = "somebody holds a table of it"
            elif busy and alias != first.alias:
                found[each.label] = BUSY
    return found


def _bigger(first: Target, others: Sequence[Target], by_alias: Connections) -> Iterator[str]:
    """Yield the labels of those of which a table is bigger than that of the first."""
    own = _sizes(by_alias[first.alias], [first])[first.label]
    for alias in dict.fromkeys(each.alias for each in others):
        here = [each for each in others if each.alias == alias]
        for label, tables in _sizes(by_alias[alias], here).items():
            if any(size > own.get(name, 0) for name, size in tables.items()):
                yield label


def _has_time_limit(report: Mapping[str, Any]) -> bool:
    """Return whether it depends on the size of the tables if statements end in time."""
    return bool((report["facts"].get("server") or {}).get("timeouts_seconds"))


def _sizes(connection: BaseDatabaseWrapper, targets: Sequence[Target]) -> dict[str, dict[str, int]]:
    """Return the bytes of each table of each target, by label and by the table's name."""
    names = {each.schema or "public": each.label for each in targets}
    found: dict[str, dict[str, int]] = {label: {} for label in names.values()}
    with _looking(connection) as cursor:
        cursor.execute(SIZES, [list(names)])
        for schema, table, size in cursor.fetchall():
            found[names[schema]][table] = size
    return found


@contextmanager
def _looking(connection: BaseDatabaseWrapper) -> Iterator[CursorWrapper]:
    with transaction(connection, "READ ONLY") as cursor:
        cursor.execute(PIN)
        yield cursor
