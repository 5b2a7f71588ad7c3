"""Which of a finding's ways is typed on a copy: the first that keeps the rows."""

from dataclasses import replace

import pytest

from opsmigrate.preflight.rehearsal.cured_words import cured_lines
from opsmigrate.preflight.rehearsal.cures import NoCureError, steps_for
from opsmigrate.preflight.rehearsal.rehearsal_result import CuredRun, CuredRuns
from opsmigrate.report import Finding, Severity
from opsmigrate.schema.kept import keeping
from opsmigrate.steps import Step, command, statement

LOOK = statement("SELECT * FROM t WHERE n IS NULL")
DELETE = statement("DELETE FROM t WHERE n IS NULL", risk="deletes these rows")
FILL = statement("UPDATE t SET n = 0 WHERE n IS NULL", risk="gives these rows 0", alternative=2)
KEPT = keeping("DELETE FROM t", table="t", rows="n IS NULL", kept="t_kept", risk="deletes rows")
SEED = command("python manage.py seed_payment_id --approval 'who'")
AFTER = "After 1 step of those below on the copy, migrate"
PUT_RIGHT = "On the copy, what would put it right"
FAKE = command("python manage.py migrate --fake zoo 0002_step")


def finding(*steps: Step, id: str = "not-null-violated", hint: str | None = None) -> Finding:
    """Return an error with these steps."""
    return Finding(id=id, severity=Severity.ERROR, message="no", hint=hint, steps=steps)


@pytest.mark.parametrize(
    ("steps", "typed"),
    [
        ((DELETE, FILL), (FILL,)),
        ((LOOK, FILL), (FILL,)),
        ((LOOK, *KEPT), (LOOK, *KEPT)),
        ((SEED,), (SEED,)),
        ((LOOK, FAKE), (LOOK, FAKE)),
    ],
    ids=["not-the-one-that-deletes", "not-a-look", "kept-beside", "seed", "record"],
)
def test_the_first_way_that_keeps_the_rows_is_typed(
    steps: tuple[Step, ...], typed: tuple[Step, ...]
) -> None:
    assert steps_for(finding(*steps)) == typed


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ((), "a person has to decide"),
        ((LOOK,), "a person has to decide"),
        ((DELETE,), "loses values"),
        ((command("python manage.py migrate zoo 0002"),), "is not typed on a copy"),
        ((command("rm -r /"), FAKE), "is not typed on a copy"),
    ],
)
def test_what_a_person_decides_and_other_commands_are_not_typed(
    steps: tuple[Step, ...], why: str
) -> None:
    with pytest.raises(NoCureError, match=why):
        steps_for(finding(*steps))


def test_a_right_is_there_on_a_copy_already() -> None:
    grant = statement('GRANT SELECT ON t TO "me"')
    assert steps_for(finding(grant, id="missing-privilege")) == ()


RAN = CuredRun(typed=(FILL,), failure=None, refused=(), statements=())
FAILED = replace(RAN, failure={"words": "no"})


@pytest.mark.parametrize(
    ("cured", "said"),
    [
        (CuredRuns(), ()),
        (CuredRuns((), "a person has to decide"), ()),
        (CuredRuns((), "x failed", failed=True), ("", f"{PUT_RIGHT} failed: x failed")),
        (CuredRuns((RAN,)), ("", f"{AFTER} applied there:", "nothing else is in the way.")),
        (CuredRuns((FAILED,), "why"), ("", f"{AFTER} did not apply there:", "why.")),
    ],
    ids=["nothing", "no-cure", "failed", "applied", "not-applied"],
)
def test_people_are_told_what_became_of_it(cured: CuredRuns, said: tuple[str, ...]) -> None:
    assert cured_lines(cured) == said
