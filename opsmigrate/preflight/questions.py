"""What an examination asked of the rows, so that others with the same catalog can be asked it.

An examination depends on the migrations, on the catalog, on what the rows say, and on what the
server and other sessions do now. Of two schemas with equal catalogs, to whose rows the same was
asked and that answered the same, the same is found. Nothing needs to know what a question is for:
each statement is recorded as it is executed, and whatever is not known to be about the catalog
counts as one about rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from textwrap import shorten
from typing import Any

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import first_line, sqlstate
from opsmigrate.postgres.opening import pin_of
from opsmigrate.report import Result
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.statement import NoGrammarError, NotParsedError, Statement

# What MigrationRecorder reads; when something was applied decides nothing.
HISTORY_COLUMNS = ("id", "app", "name", "applied")
OF_HISTORY = 'SELECT "django_migrations"."app", "django_migrations"."name" FROM "django_migrations"'
WHOLE_HISTORY = 'SELECT "django_migrations"."id", '
_ATTRIBUTE = "opsmigrate_recorder"
PATCHED = ("make_cursor", "make_debug_cursor", _ATTRIBUTE)
ENDS_OR_BEGINS = "transaction_stmt"
LONGEST = 100
NO_QUESTIONS = frozenset({ENDS_OR_BEGINS, "fetch_stmt", "close_portal_stmt", "variable_show_stmt"})
OF_POSTGRESQL = ("pg_catalog", "information_schema")
# What the catalog itself does not say, and differs between schemas that are equal otherwise.
OF_SEQUENCES = frozenset({"pg_sequence_last_value"})
OWN_PATH = "search_path"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A query that depends on rows, in full; `settings` were made for its transaction before it.

    `as_project` says that names in it resolve as the project sees them. `answer` is a digest of the
    rows, in no order, or of the error.
    """

    query: str
    as_project: bool
    settings: tuple[str, ...]
    answer: str


class Recorder:
    """The questions of one examination, and what of it cannot be asked of others."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        """Take the connection that the examination uses."""
        self._connection = connection
        self._settings: list[str] = []
        self.questions: list[Question] = []
        self.others: list[str] = []

    def meets(self, text: str) -> bool:
        """Return whether a statement that is to be executed is a question about rows."""
        try:
            statements = parse(text)
        except (NotParsedError, NoGrammarError):
            self.others.append(text)
            return False
        found = [self._meets(each) for each in statements]
        return any(found)

    def _meets(self, statement: Statement) -> bool:
        kind = statement.kind
        if kind == ENDS_OR_BEGINS:
            self._settings.clear()
        if kind in NO_QUESTIONS:
            return False
        names, functions = _mentioned(statement)
        if kind == "variable_set_stmt" or ("set_config" in functions and not names):
            if OWN_PATH not in statement.text:
                self._settings.append(statement.text)
            return False
        of_users = any(_of_users(*name) for name in names)
        if functions & OF_SEQUENCES:
            self.others.append(statement.text)
            return False
        if kind == "select_stmt":
            # An expression of the project may be a function that reads rows.
            return of_users or self._as_project
        if kind == "explain_stmt" and not names and not _runs(statement):
            # How an expression would be computed: of the catalog, and of functions.
            return self._as_project
        # A query of the catalog may come through a cursor; anything else is none of ours.
        if kind != "declare_cursor_stmt" or of_users:
            self.others.append(statement.text)
        return False

    def keep(self, text: str, answer: str) -> None:
        """Keep a question with its answer."""
        question = Question(
            query=text,
            as_project=self._as_project,
            settings=tuple(self._settings),
            answer=answer,
        )
        if question not in self.questions:
            self.questions.append(question)

    @property
    def _as_project(self) -> bool:
        pin = pin_of(self._connection)
        return pin is None or pin.lifted > 0


class _RecordingCursor(CursorWrapper):
    """A cursor that keeps what it is asked; the rows of a question are fetched at once."""

    def __init__(self, cursor: Any, connection: Any, recorder: Recorder) -> None:
        super().__init__(cursor, connection)
        self._recorder = recorder
        self._rows: list[tuple[Any, ...]] | None = None

    def execute(self, statement: Any, params: Any = None) -> Any:
        self._rows = None
        text = str(self.db.ops.compose_sql(statement, params))
        if not self._recorder.meets(text):
            return super().execute(statement, params)
        try:
            result = super().execute(statement, params)
            self._rows = list(super().__getattr__("fetchall")())
        except Error as error:
            self._recorder.keep(text, answer_of_error(error))
            raise
        columns = tuple(each[0] for each in self.description)
        if text.startswith(WHOLE_HISTORY) and columns == HISTORY_COLUMNS:
            self._recorder.keep(OF_HISTORY, answer_of([row[1:3] for row in self._rows]))
        else:
            self._recorder.keep(text, answer_of(self._rows))
        return result

    def fetchall(self) -> Any:
        if self._rows is None:
            return super().__getattr__("fetchall")()
        rows, self._rows = self._rows, []
        return rows

    def fetchone(self) -> Any:
        if self._rows is None:
            return super().__getattr__("fetchone")()
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> Any:
        if self._rows is None:
            return super().__getattr__("fetchmany")(size)
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    def __iter__(self) -> Iterator[Any]:
        return super().__iter__() if self._rows is None else iter(self.fetchall())


@contextmanager
def recording(connection: BaseDatabaseWrapper) -> Iterator[Recorder]:
    """Record what is asked on `connection` meanwhile."""
    recorder = Recorder(connection)

    def make(cursor: Any) -> CursorWrapper:
        return _RecordingCursor(cursor, connection, recorder)

    patches: dict[str, Any] = dict(zip(PATCHED, (make, make, recorder), strict=True))
    vars(connection).update(patches)
    try:
        yield recorder
    finally:
        for name in PATCHED:
            vars(connection).pop(name, None)


@contextmanager
def unrecorded(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let what is asked meanwhile be no question: a copy is made, of which nothing is concluded."""
    kept = {name: vars(connection).pop(name) for name in PATCHED if name in vars(connection)}
    try:
        yield
    finally:
        vars(connection).update(kept)


Rows = Sequence[tuple[Any, ...]]


@contextmanager
def summed_up(connection: BaseDatabaseWrapper) -> Iterator[Callable[[Composable, Rows], None]]:
    """Let a query stand for what is asked meanwhile: yields a function that takes it.

    The function also takes the rows that the query would give, without being executed: whatever
    gives other rows is decided otherwise, or may be. Where it is not called, what was asked stands
    for itself: its values have been used in other questions, say, or in words.
    """
    recorder: Recorder | None = vars(connection).get(_ATTRIBUTE)
    if recorder is None:
        yield lambda query, rows: None
        return
    before, instead = len(recorder.questions), list[tuple[Composable, Rows]]()
    yield lambda query, rows: instead.append((query, rows))
    if instead:
        del recorder.questions[before:]
    for query, rows in instead:
        ops: Any = connection.ops
        recorder.keep(str(ops.compose_sql(query, None)), answer_of(rows))


def answer_of(rows: Rows) -> str:
    """Return what identifies the rows of an answer, whatever their order."""
    lines = sorted(repr(tuple(row)) for row in rows)
    return sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def answer_of_error(error: Error) -> str:
    """Return what identifies an error as an answer."""
    return f"{sqlstate(error)}: {sha256(first_line(error).encode()).hexdigest()}"


def why_of_itself_only(result: Result, recorder: Recorder) -> str | None:
    """Return why what was found says nothing of other schemas with equal answers; None if it does.

    Only what follows from the catalog, the migrations and the answers does.
    """
    if recorder.others:
        words = shorten(recorder.others[0], LONGEST, placeholder=" …")
        return f"it was asked what cannot be asked of others: {words}"
    if result.undecided:
        return "a part of the plan is undecided"
    rehearsal: Mapping[str, Any] | None = result.facts.get("rehearsal")
    if rehearsal is None:
        return None
    if rehearsal["undecided_before"]:
        return "a part of the plan was decided by the rehearsal, on the rows of this one"
    if not rehearsal["applied"]:
        return "the rehearsal ended with an error, on the rows of this one"
    return None


def questions_facts(result: Result, recorder: Recorder) -> dict[str, Any]:
    """Return the questions as facts of the report."""
    return {
        "of_itself_only": why_of_itself_only(result, recorder),
        "asked": [
            {
                "query": each.query,
                "as_project": each.as_project,
                "settings": list(each.settings),
                "answer": each.answer,
            }
            for each in recorder.questions
        ],
    }


def _runs(explain: Statement) -> bool:
    """Return whether EXPLAIN executes the statement."""
    return any(each.def_elem.defname == "analyze" for each in explain.node.options)


def _of_users(schema: str, name: str) -> bool:
    """Return whether a relation is none of PostgreSQL's own."""
    if schema:
        return schema not in OF_POSTGRESQL
    return not name.startswith("pg_")


def _mentioned(statement: Statement) -> tuple[set[tuple[str, str]], set[str]]:
    """Return the relations (schema or nothing, name) and the functions that a statement names."""
    names: set[tuple[str, str]] = set()
    functions, here = set(), set()
    for part in statement.parts():
        if part.kind == "RangeVar":
            names.add((part.value.schemaname, part.value.relname))
        elif part.kind == "CommonTableExpr":
            here.add(("", part.value.ctename))
        elif part.kind == "FuncCall":
            functions.add(part.value.funcname[-1].string.sval)
    return names - here, functions
