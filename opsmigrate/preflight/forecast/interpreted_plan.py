"""The plan's statements one after the other, on the schema that the live catalog has now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from opsmigrate.preflight.forecast.live_effects import NOT_UNDERSTOOD, LiveEffects, live_effects
from opsmigrate.preflight.forecast.timeline import Timed
from opsmigrate.preflight.interpret.effects import Refusal
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.preflight.walk.interpretation import Interpreted, interpreted
from opsmigrate.sql.statement import NotParsedError, Statement

# Longer text is a load of data, and parsing it takes longer than it is worth.
LONGEST = 50_000


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """A text of the plan with the statements in it, and what they do to live tables.

    `refusal` is what PostgreSQL says against one of them, where the schema before it is known.
    """

    timed: Timed
    parts: tuple[Statement, ...]
    effects: LiveEffects
    refusal: Refusal | None = None


def interpreted_plan(schema: Schema, statements: Iterable[Timed]) -> Iterator[Foreseen]:
    """Yield each text with its effects, in the order in which they are executed.

    What is not understood is taken to leave the schema as it is: what comes later is expected all
    the same, as a forecast proves nothing. Raises NoGrammarError where the grammar is missing.
    """
    for timed in statements:
        steps = _steps(schema, timed.statement)
        if steps is None:
            yield Foreseen(timed=timed, parts=(), effects=NOT_UNDERSTOOD)
            continue
        if steps:
            schema = _as_if_known(steps[-1].after)
        yield Foreseen(
            timed=timed,
            parts=tuple(step.statement for step in steps),
            effects=live_effects(steps),
            refusal=_refusal(timed, steps),
        )


def _steps(schema: Schema, statement: PlannedStatement) -> list[Interpreted] | None:
    # What code executes has its placeholders, and so have values that the driver cannot write yet.
    text = statement.composed or "$1".join(statement.sql.split("%s"))
    if len(text) > LONGEST:
        return None
    steps: list[Interpreted] = []
    try:
        for step in interpreted(schema, text):
            steps.append(step)
    except NotParsedError:
        return None
    return steps


def _refusal(timed: Timed, steps: list[Interpreted]) -> Refusal | None:
    """Return what is certainly refused; of code's statements that is not known, without values."""
    if not steps or not timed.statement.composed:
        return None
    before, refusal = steps[-1].before, steps[-1].effects.refusal
    if refusal is None or not refusal.certain or before.incomplete or before.all_tainted:
        return None
    return refusal


def _as_if_known(schema: Schema) -> Schema:
    if not schema.tainted and schema.all_tainted is None:
        return schema
    # But for what it may have made.
    why = schema.incomplete or schema.all_tainted or "a statement before it is not understood"
    return replace(schema, tainted=frozenset(), all_tainted=None, incomplete=why)
