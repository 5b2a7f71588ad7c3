"""Nothing that others plant in the database is called by a command of ours, run as a superuser.

What the project's own statements call is not ours: its migrations, its models, its checks, and
Django on their behalf, have the project's search_path, as in the project's own processes. So the
rehearsed migrations and the pages that run_uat asks for are left out of these tests.
"""

from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.session import second_connection
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.preflight.walk.interpretation import interpreted
from tests.conftest import ODD_NAME, Ops, execute, query
from tests.planting import planted
from tests.seeding import holding
from tests.sql_script import run_sql

pytestmark = [pytest.mark.adversary, pytest.mark.major]
PLACES = {"public": False, "before pg_catalog": True}
Role = Callable[..., dict[str, str]]


@pytest.mark.parametrize("place", PLACES)
def test_what_is_planted_is_called_where_nothing_is_pinned(
    staging: str, role: Role, place: str
) -> None:
    # So that the others can fail.
    lowly = role()["USER"]
    with planted(staging, lowly, first=PLACES[place]) as plants:
        query(staging, "SELECT to_jsonb(d) FROM pg_catalog.pg_database d")
        called = plants.called()
        assert [each for each in called if each.startswith("to_jsonb(")]
        if PLACES[place]:
            query(staging, "SELECT 1 FROM pg_class WHERE relname = 'x'::name AND oid = 1::oid")
            called = plants.called()
            assert [each for each in called if each.startswith("= (name, name)")]
            assert [each for each in called if each.startswith("view pg_class")]


# The model's own CHECK, as Django writes it, which is held against the live one; treasury/uat.py.
DJANGOS = ('"currency"::text ~', "FROM treasury_payment GROUP BY currency")


@pytest.mark.named
@pytest.mark.parametrize("place", PLACES)
def test_what_reads_calls_nothing(
    staging: str, role: Role, ops: Ops, tmp_path: Path, place: str
) -> None:
    def codes() -> list[int]:
        baseline = str(tmp_path / "baseline")
        return [
            ops("preflight_migrate", database=staging, rehearse="off").code,
            ops("seed_payment_id", database=staging, dry_run=True).code,
            ops("seed_payment_id", database=staging, verify_only=True).code,
            ops("run_uat", database=staging, save_baseline=baseline).code,
            ops("run_uat", database=staging, exclude=["inside"], baseline=baseline).code,
        ]

    before = codes()
    with planted(staging, role()["USER"], first=PLACES[place]) as plants:
        assert codes() == before
        assert plants.called(but_for=DJANGOS) == []
    assert before == [1, 0, 1, 0, 1]


@pytest.mark.named
@pytest.mark.parametrize("place", PLACES)
def test_interpreting_sql_by_hand_calls_nothing(staging: str, role: Role, place: str) -> None:
    text = (
        "CREATE INDEX i ON treasury_payment (currency); UPDATE treasury_payment SET currency = 'x'"
    )
    with planted(staging, role()["USER"], first=PLACES[place]) as plants:
        with second_connection(connections[staging]) as ours:
            steps = list(interpreted(read_schema(ours), text))

        assert [each.effects.refusal for each in steps] == [None, None]
        assert plants.called() == []


@pytest.mark.parametrize("place", PLACES)
def test_backups_and_rollbacks_call_nothing(
    staging: str, roles: Role, ops: Ops, tmp_path: Path, place: str
) -> None:
    with planted(staging, roles()["USER"], first=PLACES[place]) as plants:
        for level in ("none", "archive", "restore"):
            taken = ops("backup_db", database=staging, directory=str(tmp_path), verify=level)
            assert taken.code == 0
        beside = f"{ODD_NAME}{token_hex(4)}"
        file = str(max(tmp_path.glob("*.dump")))
        there = [
            ops("backup_db", database=staging, directory=str(tmp_path), list=True),
            ops("backup_db", database=staging, directory=str(tmp_path), jobs=2),
            ops("verify_backup", file, database=staging, level="archive"),
            ops("verify_backup", file, database=staging, level="restore"),
            # What others wrote would run in a rollback; not what they planted for our questions.
            ops("restore_db", file, database=staging, into=beside, trust_code=True),
            ops("restore_db", file, database=staging, no_input=True, trust_code=True),
            ops("restore_db", database=staging, undo=True, no_input=True),
        ]
        assert [(each.code, each.ids) for each in there if each.code] == []
        assert plants.called() == []
    drop = sql.SQL("DROP DATABASE {}").format(sql.Identifier(beside))
    with second_connection(connections[staging], database="postgres") as other:
        execute(other, drop)


@pytest.mark.named
@pytest.mark.parametrize("place", PLACES)
def test_a_seed_calls_nothing(staging: str, role: Role, ops: Ops, place: str) -> None:
    with planted(staging, role()["USER"], first=PLACES[place]) as plants:
        answer = ops("seed_payment_id", database=staging)
        assert (answer.code, answer.report["facts"]["rows"]) == (0, 500)
        assert plants.called() == []
    default = "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute a"
    default += " ON a.attrelid = adrelid AND a.attnum = adnum WHERE a.attname = 'payment_id'"
    assert query(staging, default) == [("gen_random_uuid()",)]


@pytest.mark.parametrize("place", PLACES)
def test_the_script_for_psql_calls_nothing(staging: str, role: Role, place: str) -> None:
    connection, default = connections[staging], "ALTER payment_id SET DEFAULT gen_random_uuid()"
    execute(connection, "ALTER TABLE treasury_payment ADD COLUMN payment_id uuid")
    execute(connection, f"ALTER TABLE treasury_payment {default}")
    with planted(staging, role()["USER"], first=PLACES[place]) as plants:
        # A row that somebody holds is filled by other statements than the rest.
        with holding(staging, "SELECT FROM public.treasury_payment WHERE id = 499 FOR UPDATE"):
            answer = run_sql(staging, table="public.treasury_payment", patience="1")
            assert "rows are left that other sessions have locked" in answer.stderr
        answer = run_sql(staging, table="public.treasury_payment")
        assert answer.returncode == 0, answer.stderr
        # Django's, of the session that held the row.
        assert plants.called(but_for=("set_config('TimeZone'",)) == []


def test_the_script_for_psql_fires_triggers_that_see_the_names_of_the_project(
    staging: str,
) -> None:
    for statement in (
        "CREATE TABLE fired (id bigint)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO fired VALUES (NEW.id); RETURN NEW; END'",
        "CREATE TRIGGER note AFTER UPDATE ON treasury_payment FOR EACH ROW EXECUTE FUNCTION note()",
    ):
        execute(connections[staging], statement)

    assert run_sql(staging, triggers="fire").returncode == 0

    assert query(staging, "SELECT count(DISTINCT id) FROM fired") == [(500,)]


def test_a_view_in_the_place_of_the_history_is_not_read(
    staging: str, role: Role, ops: Ops, tmp_path: Path
) -> None:
    lowly = role()["USER"]
    with planted(staging, lowly, first=False) as plants:
        for statement in (
            "ALTER TABLE django_migrations OWNER TO {}",
            "SET ROLE {}",
            "ALTER TABLE django_migrations RENAME TO history",
            "CREATE VIEW django_migrations AS SELECT * FROM history WHERE public.seen('view')",
            "RESET ROLE",
        ):
            execute(connections[staging], sql.SQL(statement).format(sql.Identifier(lowly)))
        codes = [
            ops("backup_db", database=staging, directory=str(tmp_path), verify="none").code,
            ops("preflight_migrate", database=staging, rehearse="off").code,
            ops("seed_payment_id", database=staging, dry_run=True).code,
        ]
        assert plants.called() == []
    assert codes == [0, 1, 0]


@pytest.mark.parametrize("mode", ["schema", "clone"])
@pytest.mark.parametrize("place", PLACES)
def test_a_rehearsal_calls_nothing(
    staging: str, role: Role, ops: Ops, place: str, mode: str
) -> None:
    assert ops("seed_payment_id", database=staging).code == 0
    with planted(staging, role()["USER"], first=PLACES[place]) as plants:
        answer = ops("preflight_migrate", "treasury", database=staging, rehearse=mode)
        assert plants.called(but_for=DJANGOS) == []
        # On the copy, Django calls what is planted, and the fence says so.
        assert {each["what"] for each in answer.report["undecided"]} <= {"migrate"}, answer.stdout
