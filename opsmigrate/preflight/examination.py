"""What was found out about a plan: the answer, and what a command that goes on builds on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opsmigrate.preflight.live.planned_locks import PlannedLock
from opsmigrate.preflight.live.timeouts import Limit
from opsmigrate.report import Result


@dataclass(frozen=True, kw_only=True)
class Examination:
    """The `result`, as a report has it, and what of it another command reads.

    `plan` are the migrations, each with whether it is unapplied; `seconds` what each statement may
    take, None where that is not known. `rehearsed`: `migrate` came to its end on a copy. `limits`
    are the time-outs that this session has, by name; there are none where the plan is empty.
    """

    result: Result
    plan: tuple[tuple[str, bool], ...]
    locks: tuple[PlannedLock, ...] = ()
    seconds: tuple[float | None, ...] = ()
    rehearsed: bool = False
    limits: Mapping[str, Limit] = field(default_factory=dict)
