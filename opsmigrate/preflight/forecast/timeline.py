"""The statements of the plan in their order, with those that only a rehearsal brought to light."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opsmigrate.preflight.planned_statement import PlannedStatement

if TYPE_CHECKING:
    from opsmigrate.preflight.rehearsal.rehearsed_statement import RehearsedStatement


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """The statements of a rehearsal, and the rows that the tables of the copy had.

    `rows` is empty for a copy with all rows: then the seconds hold as they are.
    """

    statements: tuple[RehearsedStatement, ...]
    rows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A statement with what a rehearsal measured of it, None where it was not rehearsed.

    `foreseen` is False for one that only running the code of a migration brought to light.
    """

    statement: PlannedStatement
    rehearsed: RehearsedStatement | None = None
    foreseen: bool = True


def timeline(planned: Sequence[PlannedStatement], measured: Measurements | None) -> list[Timed]:
    """Return all statements, each with its measurement: the same text of the same migration."""
    if measured is None:
        return [Timed(statement=each) for each in planned]
    waiting: dict[tuple[str | None, str], list[RehearsedStatement]] = {}
    for item in measured.statements:
        waiting.setdefault((item.migration, _words(item.sql)), []).append(item)
    found: list[Timed] = []
    used: set[int] = set()
    for statement in planned:
        queue = waiting.get((statement.migration, _words(statement.sql)), [])
        rehearsed = queue.pop(0) if queue else None
        used.add(id(rehearsed))
        found.append(Timed(statement=statement, rehearsed=rehearsed))
    rest = [item for item in measured.statements if item.migration and id(item) not in used]
    return _inserted(found, rest)


def _words(sql: str) -> str:
    return " ".join(sql.split())[:1000]


def _inserted(found: list[Timed], more: Iterable[RehearsedStatement]) -> list[Timed]:
    """Put what code did behind what came before it: by migration, then by operation."""
    for item in more:
        place = max(
            (
                number
                for number, each in enumerate(found, 1)
                if each.statement.migration == item.migration
                and _number(each.statement.operation) <= _number(item.operation)
            ),
            default=len(found),
        )
        statement = PlannedStatement(
            migration=item.migration, operation=item.operation, sql=item.sql
        )
        found.insert(place, Timed(statement=statement, rehearsed=item, foreseen=False))
    return found


def _number(operation: str | None) -> int:
    head = (operation or "").partition(":")[0]
    return int(head) if head.isdigit() else 0
