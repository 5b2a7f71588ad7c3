"""Why the database would reject rows that `migrate` itself inserts, and how it is reported."""

from __future__ import annotations

from dataclasses import dataclass

from opsmigrate.steps import Step


@dataclass(frozen=True)
class Rejection:
    """A reason for which rows are, or may be, refused: a clause without its full stop.

    `certain` is False where it may be, and then it is a question: "whether …". `row` is the place
    of the first row that is refused, `of_rows` says that rows that are there now are the reason.
    """

    what: str
    certain: bool = True
    hint: str | None = None
    steps: tuple[Step, ...] = ()
    column: str | None = None
    row: int = 0
    of_rows: bool = False
