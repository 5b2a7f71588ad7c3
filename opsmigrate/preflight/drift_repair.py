"""The steps that bring a database to what is claimed, as a script for a person to review."""

from collections.abc import Iterator, Sequence

from opsmigrate import __version__
from opsmigrate.counted import counted
from opsmigrate.schema.drift_words import Drift
from opsmigrate.shown import shown
from opsmigrate.steps import Step

LOCK_TIMEOUT = "5s"
# psql alone would go to the database that is named as the user is.
TYPED = "python manage.py dbshell -- --set ON_ERROR_STOP=1 --file THIS_FILE"
# What cannot be in the one transaction of the script (PostgreSQL, "CREATE INDEX", "REINDEX"), or
# would end it.
ON_THEIR_OWN = (" CONCURRENTLY ", "BEGIN;", "COMMIT;")


def repair_script(drifts: Sequence[Drift], *, database: str, typed: str = TYPED) -> tuple[str, int]:
    """Return the script, which says what is `typed` to run it, and how many drifts it repairs.

    What may cost a value, is one way of several, or cannot be in a transaction is a comment. A
    step that fails undoes all: COMMIT of a failed transaction is a ROLLBACK.
    """
    parts, done, repaired = [], set(), 0
    for drift in drifts:
        why = _why_not(drift.steps)
        said = drift.steps in done
        done.add(drift.steps)
        repaired += why is None
        parts.append("\n".join(_part(drift, why, said=said)))
    head = (
        f"-- Written by opsmigrate {__version__} check_drift for the database {shown(database)}:\n"
        f"-- {counted(len(drifts), 'difference')}; the statements repair {repaired} of them.\n"
        "-- Read it to the end before you run it, as the role that migrates:\n"
        f"--   {shown(typed)}\n"
        "-- What is a comment may cost a value, needs no transaction around it, or is for you to\n"
        "-- decide.\n"
        f"BEGIN;\nSET LOCAL lock_timeout = '{LOCK_TIMEOUT}';\n"
    )
    return "\n".join([head, *parts, "COMMIT;"]) + "\n", repaired


def _why_not(steps: Sequence[Step]) -> str | None:
    """Return why the steps of a drift are left to a person; None where they are not."""
    if not any(step.kind == "sql" for step in steps):
        return "no statement repairs it"
    if len({step.alternative for step in steps}) > 1:
        return "one of several ways: decide"
    risks = [step.risk for step in steps if step.risk]
    if risks:
        return risks[0]
    if any(word in step.text for step in steps for word in ON_THEIR_OWN):
        return "not in this transaction: type it by itself"
    if any(step.kind == "command" for step in steps):
        return "it takes a command besides"
    return None


def _part(drift: Drift, why: str | None, *, said: bool) -> Iterator[str]:
    yield f"-- {drift.id}: {shown(drift.words)}"
    if drift.hint:
        yield from (f"--   {line}" for line in shown(drift.hint, lines=True).splitlines())
    if said:
        yield "-- (the statements above are for this one, too)\n"
        return
    if why is not None:
        yield f"-- left to you: {shown(why)}"
    alternative = 1
    for step in drift.steps:
        if step.alternative != alternative:
            alternative = step.alternative
            yield "-- or:"
        if why is None:
            yield step.text
        else:
            # A name may have line breaks; all of it stays a comment.
            remark = f"  -- {shown(step.risk)}" if step.risk else ""
            yield "\n".join(f"-- {line}" for line in f"{step.text}{remark}".splitlines())
    yield ""
