"""What an owner has taken from itself, on its tables or on those that it makes: a certain no."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.aliases import guest
from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import OWN, READS_SEQUENCES, execute_for, judged, told

pytestmark = pytest.mark.major

WITHHOLDS = "ALTER DEFAULT PRIVILEGES FOR ROLE {role} REVOKE %s ON TABLES FROM {role}"
HERDS = """
migrations.CreateModel("Herd", [("id", models.BigAutoField(primary_key=True))]),
migrations.CreateModel("Beast", [
    ("id", models.BigAutoField(primary_key=True)),
    ("herd", models.ForeignKey("zoo.Herd", models.CASCADE, db_constraint=%s)),
]),
"""
FILLS = """migrations.AlterField("cage", "size", models.IntegerField(default=7)),"""
PEN = 'migrations.CreateModel("Pen", [("id", models.BigAutoField(primary_key=True))]),'
CREATES = "GRANT USAGE, CREATE ON SCHEMA public TO {role}"


@pytest.mark.parametrize(
    ("withheld", "constraint", "fails"),
    [
        ("REFERENCES", True, True),
        ("REFERENCES", False, False),
        ("TRUNCATE", True, False),
        # Where nothing is left, PostgreSQL gives all.
        ("ALL", True, False),
    ],
)
def test_a_key_to_a_table_that_the_plan_makes_needs_what_its_owner_will_have(
    withheld: str,
    constraint: bool,
    fails: bool,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    user = role()
    execute_for(user, empty_database, *OWN, READS_SEQUENCES, WITHHOLDS % withheld)
    write_migrations(CAGE, HERDS % constraint)

    answer = judged(ops, empty_database, user, fails=fails)

    if fails:
        assert told(answer) == ["missing-privilege"]
        [finding] = [each for each in answer.report["findings"] if each["severity"] == "error"]
        for step in finding["steps"]:
            execute(connections[empty_database], step["text"])
        judged(ops, empty_database, user, fails=False)


@pytest.mark.parametrize("withheld", ["INSERT", "SELECT", "UPDATE"])
def test_the_history_that_migrate_makes_needs_what_its_owner_will_have(
    withheld: str,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    user = role()
    execute_for(user, empty_database, CREATES, WITHHOLDS % withheld)
    write_migrations(CAGE)

    answer = judged(ops, empty_database, user, fails=withheld != "UPDATE")

    if withheld != "UPDATE":
        assert told(answer) == ["missing-privilege"]


@pytest.mark.parametrize("withheld", ["UPDATE", "SELECT", "DELETE"])
def test_rows_that_are_filled_need_what_the_owner_has(
    withheld: str,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    user = role()
    taken = f"REVOKE {withheld} ON zoo_cage FROM {{role}}"
    execute_for(user, empty_database, *OWN, READS_SEQUENCES, taken)
    write_migrations(CAGE, FILLS)

    with guest(empty_database, user) as theirs:
        answer = ops("preflight_migrate", "zoo", database=theirs)
        failure = migrate(theirs, "zoo")

    fails = withheld != "DELETE"
    assert (failure is not None) == fails
    assert (answer.code, told(answer)) == (int(fails), ["missing-privilege"] * fails)


@pytest.mark.parametrize("withheld", ["UPDATE", "DELETE"])
def test_sql_by_hand_needs_what_the_owner_has(
    withheld: str,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    user = role()
    taken = f"REVOKE {withheld} ON zoo_cage FROM {{role}}"
    execute_for(user, empty_database, *OWN, READS_SEQUENCES, taken)
    write_migrations(CAGE, 'migrations.RunSQL("UPDATE zoo_cage SET size = 3"),')

    answer = judged(ops, empty_database, user, fails=withheld == "UPDATE")

    if withheld == "UPDATE":
        assert told(answer) == ["missing-privilege"]
        [finding] = [each for each in answer.report["findings"] if each["severity"] == "error"]
        for step in finding["steps"]:
            execute(connections[empty_database], step["text"])
        judged(ops, empty_database, user, fails=False)


@pytest.mark.parametrize(
    ("published", "identity", "fails"),
    [
        ("TABLE zoo_cage", "NOTHING", True),
        ("ALL TABLES", "NOTHING", True),
        ("ALL TABLES", "DEFAULT", False),
        ("TABLE zoo_cage WITH (publish = 'insert')", "NOTHING", False),
    ],
)
def test_rows_that_are_filled_need_what_tells_them_apart_where_they_are_published(
    published: str,
    identity: str,
    fails: bool,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    execute(connections[empty_database], f"ALTER TABLE zoo_cage REPLICA IDENTITY {identity}")
    execute(connections[empty_database], f"CREATE PUBLICATION p FOR {published}")
    write_migrations(CAGE, FILLS)

    answer = ops("preflight_migrate", "zoo", database=empty_database)
    failure = migrate(empty_database, "zoo")

    assert (failure is not None) == fails
    assert (answer.code, answer.report["undecided"]) == (int(fails), []), answer.stdout
    if fails:
        assert answer.ids == ["no-replica-identity"]


@pytest.mark.parametrize("withheld", ["UPDATE", "SELECT", "DELETE"])
def test_a_permission_that_is_added_needs_what_the_owner_of_its_content_type_has(
    withheld: str,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "auth") is None
    assert migrate(empty_database, "zoo") is None
    user, owner = role(), role()
    execute_for(
        owner,
        empty_database,
        "ALTER TABLE django_content_type OWNER TO {role}",
        "GRANT USAGE ON SCHEMA public TO {role}",
        f"REVOKE {withheld} ON django_content_type FROM {{role}}",
    )
    grants = "GRANT ALL ON django_content_type, auth_permission TO {role}"
    execute_for(user, empty_database, *OWN, READS_SEQUENCES, grants)
    write_migrations(CAGE, PEN)

    answer = judged(ops, empty_database, user, fails=withheld != "DELETE")

    if withheld != "DELETE":
        assert told(answer) == ["insert-refused"]
        [finding] = [each for each in answer.report["findings"] if each["severity"] == "error"]
        for step in finding["steps"]:
            execute(connections[empty_database], step["text"])
        judged(ops, empty_database, user, fails=False)
