"""A rehearsal that ended where it needed a table that the role may not read says nothing."""

from opsmigrate.postgres.names import quoted
from opsmigrate.preflight.rehearsal.rehearsal_result import NotRehearsed, Rehearsal
from opsmigrate.steps import statement

UNDEFINED_TABLE = "42P01"


def ended_for_lack_of_a_table(rehearsal: Rehearsal, role: str) -> NotRehearsed | None:
    """Return why the rehearsal says nothing, or None where a table's absence did not end it."""
    failure = rehearsal.failure
    if failure is None or failure["sqlstate"] != UNDEFINED_TABLE:
        return None
    absent = rehearsal.selection.absent
    lacking = next((name for name in absent if name[1] in failure["words"]), None)
    if lacking is None:
        return None
    return NotRehearsed(
        f"the rehearsal ended where it needed {'.'.join(lacking)}, which the copy lacks, because "
        "the role may not read it; what was found without a rehearsal is the answer",
        "the owner of the table types this, and preflight_migrate rehearses again",
        (statement(f"GRANT SELECT ON {quoted(*lacking)} TO {quoted(role)}"),),
    )
