"""The rights that a copy hides are asked on the live database: the verdict is migrate's."""

from collections.abc import Callable

import pytest
from django.db import connections

from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.preflight.ledger import Ledger
from opsmigrate.preflight.planned_statement import PlannedStatement
from opsmigrate.preflight.rehearsal.rehearsed_privileges import check_rehearsed_privileges
from tests.aliases import guest
from tests.conftest import Ops
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import (
    LEDGER,
    NO_CREATE,
    OPEN,
    OWN,
    TO_OTHERS,
    Case,
    execute_for,
    rehearsed_and_migrated,
    told,
)
from tests.rehearsals import reasons, rehearse

READER = (LEDGER, "GRANT SELECT ON ledger TO {role}")


CASES = (
    Case(
        "capitals without quotes",
        "WITH t AS (TABLE LEDGER) SELECT 1 FROM t",
        "SELECT on public.ledger",
        grant="GRANT SELECT ON ledger TO {role}",
    ),
    Case(
        "a word of SQL that is a name, too",
        "WITH t AS (SELECT 1 AS a) SELECT a FROM t ORDER BY a",
        None,
        setup=('CREATE TABLE "order" (id int)',),
    ),
    Case(
        "insert",
        "INSERT INTO ledger SELECT 1",
        "INSERT on public.ledger",
        grant="GRANT INSERT ON ledger TO {role}",
    ),
    Case(
        "insert from what may not be read",
        "INSERT INTO mine (n) SELECT n FROM ledger",
        "SELECT on public.ledger",
        setup=(LEDGER, "CREATE TABLE mine (n int)", "GRANT ALL ON mine TO {role}"),
        grant="GRANT SELECT ON ledger TO {role}",
    ),
    Case(
        "update",
        "UPDATE ledger SET n = 1",
        "UPDATE on public.ledger",
        READER,
        "GRANT UPDATE ON ledger TO {role}",
    ),
    Case(
        "update with a condition",
        "UPDATE ledger SET n = 1 WHERE id = 1",
        "SELECT on public.ledger",
        (LEDGER, "GRANT UPDATE ON ledger TO {role}"),
        "GRANT SELECT ON ledger TO {role}",
    ),
    Case(
        "delete",
        "DELETE FROM ledger",
        "DELETE on public.ledger",
        READER,
        "GRANT DELETE ON ledger TO {role}",
    ),
    Case(
        "truncate",
        "TRUNCATE ledger",
        "TRUNCATE on public.ledger",
        READER,
        "GRANT TRUNCATE ON ledger TO {role}",
    ),
    Case(
        "a serial's sequence",
        "INSERT INTO slips (n) VALUES (1)",
        "USAGE on SEQUENCE public.slips_id_seq",
        ("CREATE TABLE slips (id serial, n int)", "GRANT INSERT ON slips TO {role}"),
        "GRANT USAGE ON SEQUENCE slips_id_seq TO {role}",
    ),
    Case(
        "a serial's sequence is not asked where the value is given",
        "INSERT INTO slips (id, n) VALUES (1, 1)",
        None,
        ("CREATE TABLE slips (id serial, n int)", "GRANT INSERT ON slips TO {role}"),
    ),
    Case(
        "columns that are granted",
        "INSERT INTO ledger (n) VALUES (1)",
        None,
        (LEDGER, "GRANT INSERT (n) ON ledger TO {role}"),
    ),
    Case(
        "a column that is not granted",
        "INSERT INTO ledger (id, n) VALUES (1, 1)",
        "INSERT on public.ledger",
        (LEDGER, "GRANT INSERT (n) ON ledger TO {role}"),
        "GRANT INSERT (id) ON ledger TO {role}",
    ),
    Case(
        "reading some columns is not told by the text",
        "SELECT id FROM ledger",
        OPEN,
        (LEDGER, "GRANT SELECT (n) ON ledger TO {role}"),
        "GRANT SELECT ON ledger TO {role}",
    ),
    Case(
        "altering",
        "ALTER TABLE ledger ADD COLUMN m int",
        "only the owner may alter public.ledger",
        READER,
        "ALTER TABLE ledger OWNER TO {role}",
    ),
    Case(
        "an index on another's table",
        "CREATE INDEX ledger_n ON ledger (n)",
        "only the owner may alter public.ledger",
        READER,
        "ALTER TABLE ledger OWNER TO {role}",
    ),
    Case(
        "dropping",
        "DROP TABLE ledger",
        "only the owner may alter public.ledger",
        READER,
        "ALTER SCHEMA public OWNER TO {role}",
    ),
    Case(
        "a table of one's own",
        "CREATE TABLE slips (n int)",
        "CREATE on SCHEMA public",
        (NO_CREATE,),
        "GRANT CREATE ON SCHEMA public TO {role}",
    ),
    Case(
        "a function of one's own",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE on SCHEMA public",
        (NO_CREATE,),
        "GRANT CREATE ON SCHEMA public TO {role}",
    ),
    Case(
        "a schema of one's own",
        "CREATE SCHEMA annex",
        "CREATE on DATABASE",
        (),
        'GRANT CREATE ON DATABASE "{database}" TO {role}',
    ),
    Case(
        "replacing another's function",
        "CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "only the owner may alter ROUTINE public.one",
        ("CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",),
        "ALTER FUNCTION one() OWNER TO {role}",
    ),
    Case(
        "code in a block",
        "DO $$ BEGIN INSERT INTO ledger SELECT 1; END $$",
        OPEN,
        grant="ALTER TABLE ledger OWNER TO {role}",
    ),
    Case(
        "a trigger that writes elsewhere",
        "UPDATE zoo_cage SET size = 2",
        OPEN,
        (
            LEDGER,
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN INSERT INTO ledger VALUES (1); RETURN NEW; END'",
            "CREATE TRIGGER note AFTER UPDATE ON zoo_cage FOR EACH ROW EXECUTE FUNCTION note()",
        ),
        "GRANT ALL ON ledger TO {role}",
    ),
    Case(
        "a trigger on another's table",
        "CREATE TRIGGER note AFTER INSERT ON ledger EXECUTE FUNCTION note()",
        "TRIGGER on public.ledger",
        (
            LEDGER,
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        ),
        "GRANT TRIGGER ON ledger TO {role}",
    ),
    Case(
        "a view of what may not be read",
        "CREATE VIEW rows AS SELECT * FROM ledger",
        None,
    ),
    Case(
        "a foreign key",
        "CREATE TABLE slips (code uuid REFERENCES zoo_cage (code))",
        None,
        (TO_OTHERS, "GRANT REFERENCES (code) ON zoo_cage TO {role}"),
    ),
    Case(
        "what the owner has taken from itself",
        "UPDATE zoo_cage SET size = 2",
        "UPDATE on public.zoo_cage",
        ("REVOKE UPDATE ON zoo_cage FROM {role}",),
        "GRANT UPDATE ON zoo_cage TO {role}",
    ),
    Case(
        "the next value with the weaker of two privileges",
        "SELECT nextval('slips_id_seq')",
        "USAGE on SEQUENCE public.slips_id_seq",
        ("CREATE TABLE slips (id serial)",),
        "GRANT USAGE ON SEQUENCE slips_id_seq TO {role}",
    ),
    Case(
        "what only a superuser may do",
        "ALTER TABLE zoo_cage DISABLE TRIGGER ALL",
        "only a superuser may do this",
        ("CREATE TABLE kept (cage uuid REFERENCES zoo_cage (code))",),
        "ALTER ROLE {role} SUPERUSER",
    ),
    Case(
        "every index of a schema",
        "REINDEX SCHEMA public",
        "only the owner may alter SCHEMA public",
        (),
        "ALTER SCHEMA public OWNER TO {role}",
    ),
    Case(
        "a name that the plan has given",
        "ALTER TABLE zoo_cage RENAME TO pen; UPDATE pen SET size = 2",
        None,
    ),
)


@pytest.mark.parametrize("granted", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_what_a_statement_lacks_is_what_postgresql_refuses(
    case: Case, granted: bool, empty_database: str, role: Callable[..., dict[str, str]]
) -> None:
    case.hold(empty_database, role(), granted=granted)


@pytest.mark.parametrize("granted", [False, True])
@pytest.mark.parametrize(
    "pending",
    [
        "migrations.RunPython(lambda apps, editor: apps.get_model('zoo', 'Cage').objects"
        ".using(editor.connection.alias).update(size=2)),",
        'migrations.RunSQL("UPDATE zoo_cage SET size = 2"),',
        'migrations.RunSQL("/*" + "-" * 3000 + "*/ UPDATE zoo_cage SET size = 2"),',
    ],
    ids=["code", "sql", "long"],
)
def test_a_right_that_the_copy_hides_decides(
    pending: str,
    granted: bool,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    user = role("CREATEDB")
    execute_for(
        user,
        empty_database,
        *OWN,
        ROW,
        TO_OTHERS,
        f"GRANT SELECT{', UPDATE' if granted else ''} ON zoo_cage TO {{role}}",
        "GRANT SELECT ON zoo_cage_id_seq TO {role}",
    )
    write_migrations(CAGE, pending)

    answer, failure = rehearsed_and_migrated(ops, empty_database, user)

    assert (failure is None) == granted
    assert (answer.code, answer.report["undecided"]) == (int(not granted), []), answer.stdout
    assert told(answer) == ([] if granted else ["missing-privilege"])


def test_what_is_not_kept_of_very_many_statements_is_left_open_where_another_role_owns_a_table(
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    user = role("CREATEDB")
    readable = "GRANT SELECT ON zoo_cage, zoo_cage_id_seq TO {role}"
    execute_for(user, empty_database, *OWN, ROW, TO_OTHERS, readable)
    many = """
migrations.RunPython(lambda apps, editor: [
    editor.execute(f"SELECT {n}" if n < 60 else "UPDATE zoo_cage SET size = 2", None)
    for n in range(61)
]),
"""
    write_migrations(CAGE, many)

    answer, failure = rehearsed_and_migrated(ops, empty_database, user)

    assert failure is not None
    assert answer.code == 3, answer.stdout
    assert any("more statements than were recorded" in reason for reason in reasons(answer))


def test_what_the_walk_has_decided_is_not_asked_again(
    empty_database: str, role: Callable[..., dict[str, str]], write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    user = role("CREATEDB")
    execute_for(
        user,
        empty_database,
        *OWN,
        TO_OTHERS,
        "GRANT SELECT, REFERENCES (code) ON zoo_cage TO {role}",
        "GRANT SELECT ON zoo_cage_id_seq TO {role}",
    )
    write_migrations(CAGE, f'{KEEPER} migrations.RunSQL("SELECT 1"),')

    with guest(empty_database, user) as alias:
        answer = rehearse(ops, alias)

        assert (answer.code, told(answer)) == (0, []), answer.stdout
        assert migrate(alias, "zoo") is None


def test_rows_that_row_security_hides_leave_the_question_open(
    empty_database: str, role: Callable[..., dict[str, str]]
) -> None:
    user = role()
    execute_for(
        user,
        empty_database,
        LEDGER,
        "ALTER TABLE ledger ENABLE ROW LEVEL SECURITY",
        "GRANT ALL ON ledger TO {role}",
    )
    ledger = Ledger()

    with guest(empty_database, user) as alias:
        statements = [PlannedStatement(migration="a", operation="b", sql="DELETE FROM ledger")]
        check_rehearsed_privileges(
            connections[alias], read_catalog(connections[alias]), statements, ledger
        )

    assert ledger.findings == ()
    assert "row security of public.ledger filters its rows" in ledger.undecided[0].why
