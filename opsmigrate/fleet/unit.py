"""One unit of a fleet's work: a command of the project, on one target, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from opsmigrate.fleet.run_folder import Outcome, RunFolder, file_name
from opsmigrate.fleet.targets import Target
from opsmigrate.interrupts import INTERRUPTED
from opsmigrate.playbook.command_process import CommandEnd, run_command
from opsmigrate.postgres.tenant import variable_for
from opsmigrate.report import Verdict

# A server that was away for a moment, a lock that was not to be had.
TRANSIENT = (Verdict.UNDECIDED.exit_code, Verdict.PARTIAL.exit_code)
# What stays as it is, however often it is asked.
LASTING = frozenset({
    "approval-needed", "bad-setting", "client-missing", "engine-leads-elsewhere",
    "missing-read-privilege", "no-checks", "no-grammar", "no-migration-applied", "older-server",
    "pooled-by-transaction", "server-too-old", "server-version-differs", "system-check",
    "time-budget-too-short",
})  # fmt: skip
# What a fleet runs, and nothing else, whoever asks for it.
COMMANDS = (
    "backfill_field",
    "backup_db",
    "check_drift",
    "migrate_safely",
    "preflight_migrate",
    "run_uat",
    "seed_payment_id",
)
# With these options of Django's a process loads other code than the worker's.
OF_THE_PROCESS = ("--settings", "--pythonpath")
# In an argument: the name of the target, as it names a file.
TARGET = "{target}"
MOST_ATTEMPTS = 3
SECONDS_BEFORE_ANOTHER = (2.0, 10.0)
# While a session holds a table, its rows cannot be examined.
HELD = "blocking-session"
SECONDS_WHERE_HELD = (10.0, 60.0)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Everything that a worker needs to know; there is no secret in it.

    `arguments` are those of the command, without --database, --format and --output.
    """

    command: str
    arguments: tuple[str, ...]
    target: Target
    run_id: str

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values, as it goes through a broker."""
        return {**asdict(self), "arguments": list(self.arguments)}

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Unit:
        """Return the unit that as_json() was made of."""
        return cls(
            command=body["command"],
            arguments=tuple(body["arguments"]),
            target=Target.from_json(body["target"]),
            run_id=body["run_id"],
        )


def why_none(unit: Unit, label: str) -> str | None:
    """Return why a unit that was read is none of a fleet's for this target; None where it is one.

    argparse takes an option by its beginning, too.
    """
    if unit.command not in COMMANDS:
        return f"{unit.command!r} is no command that a fleet runs"
    if unit.target.label != label:
        return f"it is of the target {unit.target.label!r}"
    for word in unit.arguments:
        option = word.partition("=")[0]
        if len(option) > len("--") and any(each.startswith(option) for each in OF_THE_PROCESS):
            return f"no fleet hands {option} to its commands"
    return None


def run_unit(
    unit: Unit,
    folder: Path,
    *,
    say: Callable[[str], None] = lambda line: None,
    look: Callable[[], None] = lambda: None,
    wait: Callable[[float], None] = time.sleep,
    most_attempts: int = MOST_ATTEMPTS,
) -> Outcome:
    """Run the unit to its end, write its report and outcome into the run's folder, and return it.

    The process takes the advisory lock of the target: where another one has it, the answer is
    already-running. What might go well another time is tried again. `look` is called again and
    again meanwhile; where it raises, the process is ended, and nothing is written. The
    environment that the project's settings read must be there, as for manage.py.
    """
    files = RunFolder(folder)
    files.make()
    begun = time.monotonic()
    attempt = 1
    while True:
        end = _run(unit, folder, say, look)
        look()
        if attempt >= most_attempts or not _may_go_well(end):
            break
        pauses = SECONDS_WHERE_HELD if _is_held(end) else SECONDS_BEFORE_ANOTHER
        wait(pauses[min(attempt, len(pauses)) - 1])
        attempt += 1
    outcome = replace(
        outcome_of(unit.target.label, end), attempts=attempt, seconds=time.monotonic() - begun
    )
    if end.report:
        outcome = replace(outcome, report=files.write_report(unit.target.label, end.report))
    files.write_outcome(outcome)
    return outcome


def outcome_of(label: str, end: CommandEnd) -> Outcome:
    """Return what the end of a command says of its target."""
    code = end.exit_code
    known = {each.exit_code: each for each in Verdict}
    if code not in known and code != INTERRUPTED:
        # Killed, or Python itself could not go on: nothing is proven.
        code = Verdict.UNDECIDED.exit_code
    verdict = end.report.get("verdict") or known.get(code, Verdict.UNDECIDED).value
    summary = end.summary
    if not end.report:
        how = f"signal {-end.exit_code}" if end.exit_code < 0 else f"{end.exit_code}"
        summary = f"the process ended with {how} and wrote no report"
        if end.last_words:
            summary += f"; its last words: {end.last_words}"
        # 1 and 0 without a report come from Django, before the command ran.
        code, verdict = Verdict.UNDECIDED.exit_code, Verdict.UNDECIDED.value
    return Outcome(
        label=label, verdict=str(verdict), exit_code=code, attempts=1, seconds=0.0, summary=summary
    )


def _run(
    unit: Unit, folder: Path, say: Callable[[str], None], look: Callable[[], None]
) -> CommandEnd:
    target = unit.target
    return run_command(
        [unit.command, *_arguments(unit, folder), "--database", target.alias, "--no-input"],
        unit.run_id,
        say=say,
        look=look,
        variables=variable_for(target.alias, target.schema),
    )


def _arguments(unit: Unit, folder: Path) -> list[str]:
    """Return the arguments of this target; the pages of its run_uat are in the run's folder."""
    name = file_name(unit.target.label)
    given = [each.replace(TARGET, name) for each in unit.arguments]
    if unit.command == "run_uat" and not any(each.startswith("--report-dir") for each in given):
        given += ["--report-dir", str(folder / "uat" / name)]
    return given


def _may_go_well(end: CommandEnd) -> bool:
    """Return whether the next time may be different: it was stopped, or could not be asked."""
    code = outcome_of("", end).exit_code
    if code not in TRANSIENT:
        return False
    # What was examined and stayed open stays open, unless somebody was in the way; a process that
    # was killed has no report.
    stays_open = end.report.get("undecided") and not _is_held(end)
    return not stays_open and not LASTING.intersection(end.ids)


def _is_held(end: CommandEnd) -> bool:
    """Return whether something could not be examined while a session held a table."""
    return bool(end.report.get("undecided")) and HELD in end.ids
