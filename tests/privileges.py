"""What the tests of rights share: an owner of the zoo, and what preflight and migrate tell it."""

from dataclasses import dataclass

from django.db import ProgrammingError, connections

from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.postgres.driver_errors import INSUFFICIENT_PRIVILEGE, sqlstate
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.preflight.rehearsal.rehearsed_privileges import check_rehearsed_privileges
from tests.aliases import guest
from tests.conftest import Answer, Ops, execute
from tests.integration.pairs import ROW
from tests.integration.zoo_migrations import migrate
from tests.rehearsals import rehearse

OWN = (
    "ALTER TABLE zoo_cage OWNER TO {role}",
    "ALTER TABLE django_migrations OWNER TO {role}",
    "GRANT USAGE, CREATE ON SCHEMA public TO {role}",
)
# Who may not read a sequence is not told whether the next keys of migrate's own rows are free.
READS_SEQUENCES = "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}"
NO_CREATE = "REVOKE CREATE ON SCHEMA public FROM {role}, PUBLIC"
TO_OTHERS = "ALTER TABLE zoo_cage OWNER TO postgres"
OPEN = "undecided"
ZOO = "CREATE TABLE zoo_cage (code uuid UNIQUE, name text, size int)"
LEDGER = "CREATE TABLE ledger (id int, n int)"


@dataclass(frozen=True)
class Case:
    """What a migration runs by hand or by code, and the one statement that lets it.

    `lacks` is what the finding says without that statement; OPEN where the text does not tell,
    and None where it is not needed.
    """

    name: str
    runs: str
    lacks: str | None
    setup: tuple[str, ...] = (LEDGER,)
    grant: str = "SELECT 1"

    def hold(self, alias: str, user: dict[str, str], *, granted: bool) -> None:
        """Assert that the verdict is what PostgreSQL then does as that role.

        After the steps that a finding says to type, it lets the statement pass.
        """
        own = (ZOO, ROW, OWN[0], OWN[2])
        database = connections[alias].settings_dict["NAME"].replace('"', '""')
        statements = (*own, *self.setup, *((self.grant,) if granted else ()))
        execute_for(user, alias, *statements, database=database)
        ledger = Ledger()
        runs = self.runs.replace("{database}", database)
        ran = [PlannedStatement(migration="zoo.0002_step", operation="0: RunSQL", sql=runs)]

        with guest(alias, user) as theirs:
            connection = connections[theirs]
            check_rehearsed_privileges(connection, read_catalog(connection), ran, ledger)
            refused = None
            try:
                execute(connection, runs)
            except ProgrammingError as error:
                refused = sqlstate(error)
        for finding in ledger.findings:
            for step in finding.steps:
                execute(connections[alias], step.text)
        if ledger.findings and ledger.findings[0].steps:
            with guest(alias, user) as theirs:
                execute(connections[theirs], runs)
        # A role that owns a database cannot be dropped before it.
        execute_for(user, alias, 'ALTER DATABASE "{database}" OWNER TO postgres', database=database)

        fails = self.lacks is not None and not granted
        assert refused == (INSUFFICIENT_PRIVILEGE if fails else None)
        found = [finding.message for finding in ledger.findings]
        left_open = [item.why for item in ledger.undecided]
        if fails and self.lacks == OPEN:
            assert found == []
            assert left_open[0].startswith("it succeeded in the rehearsal, but")
        elif fails:
            assert left_open == []
            assert found[0].startswith(f"it succeeded in the rehearsal, but {self.lacks}")
            assert ledger.findings[0].migration == "zoo.0002_step"
        else:
            assert (found, left_open) == ([], [])


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


def rehearsed_and_migrated(ops: Ops, alias: str, role: dict[str, str]) -> tuple[Answer, str | None]:
    """Return what a rehearsal answers the role, and what `migrate` then raises, if anything."""
    with guest(alias, role) as theirs:
        return rehearse(ops, theirs), migrate(theirs, "zoo")


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
