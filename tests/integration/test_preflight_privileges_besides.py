"""The rights that migrate needs for what it does besides the migrations."""

from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import ProgrammingError

from tests.aliases import guest
from tests.conftest import Ops
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import OWN, READS_SEQUENCES, execute_for, judged
from tests.remedies import Typist

ADD = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
NEW = 'migrations.CreateModel("Pen", [("id", models.BigAutoField(primary_key=True))]),'
INDEX = 'migrations.AddIndex("cage", models.Index(fields=["size"], name="cage_size")),'
RENAME = 'migrations.RenameModel("Cage", "Pen"),'


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize(
    ("right", "pending", "words"),
    [
        ("SELECT ON django_content_type", ADD, "read after every plan"),
        ("INSERT ON django_content_type", NEW, "add content types"),
        ("INSERT ON auth_permission", NEW, "add permissions"),
        ("UPDATE ON django_content_type", RENAME, "rename content types"),
        ("INSERT ON django_content_type", ADD, None),
        ("INSERT ON auth_permission", ADD, None),
    ],
)
def test_the_verdict_knows_what_post_migrate_needs(
    right: str,
    pending: str,
    words: str | None,
    bad: bool,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "auth") is None
    assert migrate(empty_database, "zoo") is None
    user = role()
    fails = bad and words is not None
    execute_for(
        user,
        empty_database,
        *OWN,
        "GRANT ALL ON django_content_type, auth_permission TO {role}",
        READS_SEQUENCES,
        f"REVOKE {right} FROM {{role}}" if bad else "SELECT 1",
    )
    write_migrations(CAGE, pending)

    answer = judged(ops, empty_database, user, fails=fails)

    if fails:
        finding = answer.report["findings"][0]
        assert (finding["id"], finding["operation"]) == ("missing-privilege", "post_migrate")
        assert words in finding["message"]
        assert "after its last migration" in answer.report["facts"]["summary"]
        typist.type(empty_database, finding)
        judged(ops, empty_database, user, fails=False)


@pytest.mark.parametrize("pending", [INDEX, ADD + NEW + INDEX], ids=["at one place", "at many"])
def test_all_rights_that_lack_are_said_in_one_run(
    pending: str,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "auth") is None
    assert migrate(empty_database, "zoo") is None
    user = role()
    execute_for(
        user, empty_database, "GRANT SELECT ON django_migrations TO {role}", READS_SEQUENCES
    )
    execute_for(user, empty_database, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    write_migrations(CAGE, pending)

    answer = judged(ops, empty_database, user, fails=True)

    lacking = [each for each in answer.report["findings"] if each["severity"] == "error"]
    assert {each["id"] for each in lacking} == {"missing-privilege"}
    typist.type_each(empty_database, lacking)
    judged(ops, empty_database, user, fails=False)


@pytest.mark.parametrize("right", ["INSERT ON django_content_type", "INSERT ON django_migrations"])
def test_what_is_faked_needs_the_history_and_no_content_types(
    right: str,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "auth") is None
    user = role()
    execute_for(
        user,
        empty_database,
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        READS_SEQUENCES,
        f"REVOKE {right} FROM {{role}}",
    )

    with guest(empty_database, user) as alias:
        answer = ops("preflight_migrate", "zoo", database=alias, fake=True)
        failure = fake(alias)

    assert (failure is not None) == ("migrations" in right), failure
    assert (answer.code, answer.report["undecided"]) == (int(failure is not None), [])


def fake(alias: str) -> str | None:
    try:
        call_command("migrate", "zoo", database=alias, fake=True, verbosity=0)
    except ProgrammingError as error:
        return str(error)
    return None
