"""What the tests of rights share: an owner of the zoo, and what preflight and migrate tell it."""

from django.db import connections

from tests.aliases import guest
from tests.conftest import Answer, Ops, execute
from tests.integration.zoo_migrations import migrate

OWN = (
    "ALTER TABLE zoo_cage OWNER TO {role}",
    "ALTER TABLE django_migrations OWNER TO {role}",
    "GRANT USAGE, CREATE ON SCHEMA public TO {role}",
)
# Who may not read a sequence is not told whether the next keys of migrate's own rows are free.
READS_SEQUENCES = "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}"
NO_CREATE = "REVOKE CREATE ON SCHEMA public FROM {role}, PUBLIC"
TO_OTHERS = "ALTER TABLE zoo_cage OWNER TO postgres"


def execute_for(role: dict[str, str], alias: str, *statements: str, **names: str) -> None:
    """Execute statements in which {role} is the role; `names` are others, as they stand in SQL."""
    for statement in statements:
        execute(connections[alias], statement.format(role=name_of(role), **names))


def name_of(role: dict[str, str]) -> str:
    """Return the name of a role as it stands in SQL."""
    return f'"{role["USER"]}"'


def told(answer: Answer) -> list[str]:
    """Return the ids of errors and warnings: another owner is drift, which is information."""
    findings = answer.report["findings"]
    return [finding["id"] for finding in findings if finding["severity"] != "info"]


def judged(ops: Ops, alias: str, role: dict[str, str], *, fails: bool) -> Answer:
    """Return what the preflight answers the role; what `migrate` then does must be the same."""
    with guest(alias, role) as theirs:
        answer = ops("preflight_migrate", "zoo", database=theirs)
        failure = migrate(theirs, "zoo")

    assert (failure is not None) == fails, failure
    assert (answer.code, answer.report["undecided"]) == (int(fails), []), answer.stdout
    if not fails:
        assert told(answer) == []
    return answer
