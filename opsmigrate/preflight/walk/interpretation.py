"""The interpreted schema beside the simulated one, as far as the plan has come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.neighbours import NOBODY, Neighbours
from opsmigrate.preflight.interpret.effects import Effects, Refusal, Unknown
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.plain_blocks import LANGUAGE, Block, plain_block
from opsmigrate.sql.statement import NoGrammarError, NotParsedError, Statement

AFTER_REFUSAL = "a statement before it is refused already"


class Interpreted(NamedTuple):
    """A statement with the schema that it finds, the one that it leaves, and its effects."""

    statement: Statement
    before: Schema
    after: Schema
    effects: Effects


class Understood(NamedTuple):
    """A statement that somebody wrote, all of which is understood, and where it stands."""

    migration: str | None
    operation: str | None
    step: Interpreted


class Refused(NamedTuple):
    """A statement of Django's own that the interpreter refuses, where the walk may not have."""

    at: PlannedStatement
    refusal: Refusal


@dataclass
class Interpretation:
    """The schema is read where the first SQL written by hand is met: most plans have none.

    What Django's own statements did before is interpreted then.
    """

    connection: BaseDatabaseWrapper
    # Of whose schemas nothing is read.
    neighbours: Neighbours = NOBODY
    understood: list[Understood] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    # Whether SQL written by hand is interpreted, and whether any was met that was not.
    interprets: bool = False
    passed_over: bool = False
    # SQL written by hand has made what the live server does not have: types, functions, …
    knows_more: bool = False
    # As it was read, before anything of the plan.
    live: Schema | None = None
    _schema: Schema | None = None
    _waiting: list[PlannedStatement] = field(default_factory=list)

    @property
    def has_begun(self) -> bool:
        """Return whether any SQL written by hand was met."""
        return self._schema is not None

    def note(self, statement: PlannedStatement) -> None:
        """Remember a statement of Django's own, which the walk has asked about."""
        self._waiting.append(statement)

    def go_on(self, schema: Schema) -> None:
        """Let the plan go on with this schema."""
        self._schema = schema

    def give_up(self, why: str) -> None:
        """Let nothing be known of the schema from here on."""
        self._schema = _given_up(self.schema(), why)

    def schema(self) -> Schema:
        """Return the schema that the next statement finds."""
        # Loaded only where there is SQL written by hand, as it takes a while.
        from opsmigrate.preflight.interpret.reading import read_schema

        if self._schema is None:
            self.live = self._schema = read_schema(self.connection, self.neighbours)
        schema = self._schema
        waiting, self._waiting = self._waiting, []
        for at in waiting:
            try:
                for each in interpreted(schema, at.composed):
                    schema = each.after
                    if each.effects.refusal is not None:
                        self.refused.append(Refused(at, each.effects.refusal))
                        schema = _given_up(schema, AFTER_REFUSAL)
            except (NotParsedError, NoGrammarError) as error:
                schema = _given_up(schema, str(error))
        self._schema = schema
        return schema


def interpreted(schema: Schema, text: str) -> Iterator[Interpreted]:
    """Yield the text's statements one after the other, up to the one that is refused.

    Of a DO block that is nothing but statements, these.

    Raises NotParsedError, and NoGrammarError where PostgreSQL's grammar is not installed.
    """
    for statement in parse(text):
        block = plain_block(statement) if LANGUAGE in schema.extensions else None
        found = None if block is None else _of_block(schema, block)
        if found is None:
            found = list(_one_by_one(schema, (statement,)))
        yield from found
        if found:
            schema = found[-1].after
            if found[-1].effects.refusal is not None:
                return


def _one_by_one(schema: Schema, statements: Iterable[Statement]) -> Iterator[Interpreted]:
    from opsmigrate.preflight.interpret.interpret import interpret

    for statement in statements:
        try:
            after, effects = interpret(schema, statement)
        # A rule that meets what it was not made for: what the statement does is not known.
        except Exception as error:
            why = f"{type(error).__name__} while it was interpreted"
            after, effects = _given_up(schema, why), Effects(unknown=Unknown(why))
        yield Interpreted(statement, schema, after, effects)
        if effects.refusal is not None:
            return
        schema = after


def _of_block(schema: Schema, block: Block) -> list[Interpreted] | None:
    """Return what a block does, nothing where it handles its error; None where nobody can tell."""
    found = list(_one_by_one(schema, block.statements))
    if not block.handled:
        return found
    if any(each.effects.unknown for each in found):
        return None
    refusal = found[-1].effects.refusal
    asked = {question.sqlstate for each in found for question in each.effects.questions}
    if refusal is None:
        return None if asked & block.handled else found
    if refusal.sqlstate not in block.handled:
        return found
    return [] if refusal.certain and not asked else None


def _given_up(schema: Schema, why: str) -> Schema:
    return replace(schema, all_tainted=schema.all_tainted or why)
