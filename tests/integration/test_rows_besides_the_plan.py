"""The very rows that migrate inserts besides the plan are asked for, also where nothing pends."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.sites.management import create_default_site
from django.db import connections
from django.db.models.signals import post_migrate

from tests.aliases import guest
from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import execute_for
from tests.remedies import Typist

pytestmark = pytest.mark.major
AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
PEN = 'migrations.CreateModel("Pen", [("id", models.BigAutoField(primary_key=True))]),'
OPTIONS = (
    'migrations.AlterModelOptions("cage", {"permissions": [("approve_cage", "Can approve")]}),'
)
LACKING = "DELETE FROM auth_permission WHERE codename IN ('view_cage', 'add_cage')"
NO_TYPE = (
    LACKING.replace("IN (", "LIKE ANY (ARRAY['%_cage', ").replace("'add_cage')", "'-'])"),
    "DELETE FROM django_content_type WHERE model = 'cage'",
)
RAISES = (
    "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$",
    "CREATE TRIGGER no BEFORE INSERT ON auth_permission FOR EACH ROW EXECUTE FUNCTION no()",
)


@pytest.fixture(scope="module")
def caged_template(django_db_modify_db_settings: None, django_db_blocker: Any) -> Iterator[Any]:
    """Yield a place for the name of a database with Cage, content types and permissions."""
    made: list[str] = []
    yield made
    with django_db_blocker.unblock():
        maintenance = connections["default"].copy()
        maintenance.settings_dict["NAME"] = "postgres"
        for name in made:
            execute(maintenance, f'DROP DATABASE "{name}" WITH (FORCE)')
        maintenance.close()


@pytest.fixture
def caged(
    new_database: Callable[..., str], write_migrations: Write, caged_template: list[str]
) -> str:
    """Return a database with the model Cage, its content type and its permissions."""
    write_migrations(CAGE)
    if not caged_template:
        alias = new_database("to be caged ")
        for app in ("auth", "contenttypes", "zoo"):
            assert migrate(alias, app) is None
        name = connections[alias].settings_dict["NAME"]
        connections[alias].close()
        maintenance = connections["default"].copy()
        maintenance.settings_dict["NAME"] = "postgres"
        execute(maintenance, f'CREATE DATABASE "caged {name[-8:]}" TEMPLATE "{name}"')
        maintenance.close()
        caged_template.append(f"caged {name[-8:]}")
    return new_database(template=caged_template[0])


def damage(alias: str, *statements: str) -> None:
    for statement in statements:
        execute(connections[alias], statement)


BEHIND = "ALTER TABLE auth_permission ALTER id RESTART WITH 1"
GAP = "UPDATE auth_permission SET id = id + 2 WHERE id = (SELECT max(id) FROM auth_permission)"
REFUSED = {
    "nothing pending, a sequence that is behind": ("", [LACKING, BEHIND], "key 1, which"),
    "nothing pending, a content type and its sequence": (
        "",
        [*NO_TYPE, "ALTER TABLE django_content_type ALTER id RESTART WITH 2"],
        "key 2, which",
    ),
    "nothing pending, a column of old that wants a value": (
        "",
        [
            *NO_TYPE,
            "ALTER TABLE django_content_type ADD name varchar(100) NOT NULL DEFAULT ''",
            "ALTER TABLE django_content_type ALTER name DROP DEFAULT",
        ],
        "column name requires a value",
    ),
    "permissions of options, a sequence that is behind": (OPTIONS, [BEHIND], "key 1, which"),
    "permissions of options, no identity": (
        OPTIONS,
        ["ALTER TABLE auth_permission ALTER id DROP IDENTITY"],
        "column id requires a value",
    ),
    "permissions of options, a column more": (
        OPTIONS,
        [
            "ALTER TABLE auth_permission ADD more int NOT NULL DEFAULT 1",
            "ALTER TABLE auth_permission ALTER more DROP DEFAULT",
        ],
        "column more requires a value",
    ),
    "permissions of options, a check": (
        OPTIONS,
        ["ALTER TABLE auth_permission ADD CHECK (codename NOT LIKE 'approve%') NOT VALID"],
        "refuses Can approve",
    ),
    "permissions of options, a shorter column": (
        OPTIONS,
        ["ALTER TABLE auth_permission ALTER name TYPE varchar(8) USING left(name, 8)"],
        "too short for 'Can approve'",
    ),
    "permissions of options, a unique index more": (
        OPTIONS,
        [
            "UPDATE auth_permission SET name = 'Can approve' WHERE codename = 'add_cage'",
            "CREATE UNIQUE INDEX once ON auth_permission (name) WHERE true",
            "DROP INDEX once",
            "DELETE FROM auth_permission WHERE codename <> 'add_cage'",
            "CREATE UNIQUE INDEX once ON auth_permission (name)",
        ],
        "once is unique",
    ),
    "permissions of options, a computed column": (
        OPTIONS,
        [
            "ALTER TABLE auth_permission DROP name",
            "ALTER TABLE auth_permission ADD name text GENERATED ALWAYS AS ('a') STORED",
        ],
        "is computed",
    ),
    "a gap behind the next key": (PEN, [GAP], "which a row already has"),
    "a sequence of which the column is no owner": (
        "",
        [
            LACKING,
            "ALTER TABLE auth_permission ALTER id DROP IDENTITY",
            "CREATE SEQUENCE apart",
            "ALTER TABLE auth_permission ALTER id SET DEFAULT nextval('apart')",
        ],
        "apart is behind",
    ),
    "a sequence at its end": (
        "",
        [
            LACKING,
            "ALTER TABLE auth_permission ALTER id SET MAXVALUE 1000",
            "ALTER TABLE auth_permission ALTER id RESTART WITH 1000",
        ],
        "ends at 1000",
    ),
    "another plan where permissions lack": (AGE, [LACKING, BEHIND], "key 1, which"),
    "a permission that comes twice": (
        OPTIONS.replace("approve_cage", "scrub_cage").replace(
            '("scrub_cage", "Can approve")', '("scrub_cage", "a"), ("scrub_cage", "b")'
        ),
        [],
        "would occur twice",
    ),
}


@pytest.mark.parametrize("name", REFUSED, ids=lambda name: name.replace(" ", "-"))
def test_rows_that_are_refused_after_the_plan_are_a_no_without_a_rehearsal(
    name: str, caged: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    pending, statements, words = REFUSED[name]
    damage(caged, *statements)
    if pending:
        write_migrations(CAGE, pending)

    answer = ops("preflight_migrate", "zoo", database=caged, rehearse="off")
    errors = [each for each in answer.report["findings"] if each["severity"] == "error"]

    assert (answer.code, [each["id"] for each in errors]) == (1, ["insert-refused"]), answer.stdout
    assert words in errors[0]["message"]
    summary = answer.report["facts"]["summary"]
    assert summary.startswith("migrate would fail after" if pending else "nothing to migrate, and")
    assert migrate(caged, "zoo") is not None
    if errors[0]["steps"]:
        typist.type(caged, errors[0])
        assert ops("preflight_migrate", "zoo", database=caged, rehearse="off").code == 0
        assert migrate(caged, "zoo") is None


OPEN = {
    "a trigger": (OPTIONS, RAISES, "triggers of public.auth_permission do: no", False),
    "a rule": (
        "",
        [LACKING, "CREATE RULE no AS ON INSERT TO auth_permission DO INSTEAD NOTHING"],
        "rules of public.auth_permission do: no",
        False,
    ),
    "a view": (
        PEN,
        [
            "ALTER TABLE auth_permission RENAME TO ap",
            "CREATE VIEW auth_permission AS SELECT * FROM ap",
        ],
        "what the view public.auth_permission, which is not a table",
        True,
    ),
    "a foreign key that went along with a table": (
        "",
        [
            "ALTER TABLE django_content_type RENAME TO before",
            "CREATE TABLE django_content_type (LIKE before INCLUDING ALL)",
            "INSERT INTO django_content_type OVERRIDING SYSTEM VALUE SELECT * FROM before",
            LACKING,
        ],
        "the foreign key auth_permission_content_type_id",
        True,
    ),
    "a default that somebody else computes": (
        OPTIONS,
        [
            "CREATE FUNCTION gives() RETURNS int LANGUAGE sql AS 'SELECT 1 / 0'",
            "ALTER TABLE auth_permission ADD more int",
            "ALTER TABLE auth_permission ALTER more SET DEFAULT gives()",
        ],
        "what the default of public.auth_permission.more gives",
        False,
    ),
    "a unique expression": (
        OPTIONS,
        ["CREATE UNIQUE INDEX once ON auth_permission (content_type_id, lower(codename))"],
        "suit once",
        True,
    ),
}


@pytest.mark.parametrize("name", OPEN, ids=lambda name: name.replace(" ", "-"))
def test_what_nobody_knows_of_rows_after_the_plan_is_left_open(
    name: str, caged: str, write_migrations: Write, ops: Ops
) -> None:
    pending, statements, words, applies = OPEN[name]
    damage(caged, *statements)
    if pending:
        write_migrations(CAGE, pending)

    answer = ops("preflight_migrate", "zoo", database=caged, rehearse="off")

    assert answer.code == 3, answer.stdout
    assert any(words in item["why"] for item in answer.report["undecided"]), answer.stdout
    first = "nothing to migrate; " if not pending else ""
    assert answer.report["facts"]["summary"].startswith(first)
    assert (migrate(caged, "zoo") is None) == applies


def test_a_rehearsal_answers_what_is_open_also_where_nothing_is_pending(
    caged: str, ops: Ops
) -> None:
    damage(caged, LACKING, *RAISES)
    answer = ops("preflight_migrate", "zoo", database=caged, rehearse="clone")
    assert (answer.code, answer.ids) == (1, ["rehearsal-failed"]), answer.stdout
    message = answer.report["findings"][0]["message"]
    assert "the receiver django.contrib.auth.management.create_permissions failed" in message
    assert answer.report["facts"]["summary"].startswith("nothing to migrate, and yet migrate would")

    damage(caged, "DROP TRIGGER no ON auth_permission", "CREATE SCHEMA logs")
    body = "LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    damage(caged, f"CREATE FUNCTION logs.yes() RETURNS trigger {body}")
    damage(caged, "CREATE TRIGGER y AFTER INSERT ON auth_permission EXECUTE FUNCTION logs.yes()")
    answer = ops("preflight_migrate", "zoo", database=caged, rehearse="clone")
    assert (answer.code, answer.report["undecided"]) == (0, []), answer.stdout
    assert migrate(caged, "zoo") is None


def test_a_sequence_that_the_role_may_not_read_leaves_it_open_and_says_what_to_grant(
    caged: str, role: Callable[..., dict[str, str]], ops: Ops
) -> None:
    damage(caged, LACKING)
    user = role()
    execute_for(user, caged, "GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")

    def ask(code: int) -> list[str]:
        with guest(caged, user) as alias:
            answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
        assert answer.code == code, answer.stdout
        return [item["why"] for item in answer.report["undecided"]]

    grant = 'GRANT SELECT ON SEQUENCE "public"."auth_permission_id_seq"'
    assert grant in ask(3)[0]
    # The last value that was given can be told to who may use it.
    execute_for(user, caged, grant.replace("SELECT", "USAGE") + " TO {role}")
    assert ask(0) == []
    damage(caged, "SELECT setval('auth_permission_id_seq', 2)")
    assert ask(1) == []
    damage(caged, BEHIND)
    assert grant in ask(3)[0]


def test_what_stands_in_the_way_of_rows_that_do_not_come_is_no_matter(
    caged: str, write_migrations: Write, ops: Ops
) -> None:
    damage(
        caged,
        *RAISES,
        BEHIND,
        "ALTER TABLE auth_permission ADD CHECK (codename = 'no') NOT VALID",
        "ALTER TABLE django_content_type ALTER id RESTART WITH 1",
    )
    for pending in ((), (AGE,)):
        write_migrations(CAGE, *pending)

        answer = ops("preflight_migrate", "zoo", database=caged, rehearse="off")

        assert (answer.code, answer.report["undecided"]) == (0, []), answer.stdout
        assert migrate(caged, "zoo") is None


def test_a_name_that_the_encoding_has_no_characters_for_is_a_no(
    new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    latin = "template0\" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C"
    alias = new_database("latin ")
    maintenance = connections["default"].copy()
    maintenance.settings_dict["NAME"] = "postgres"
    name = connections[alias].settings_dict["NAME"]
    quoted = name.replace('"', '""')
    execute(maintenance, f'DROP DATABASE "{quoted}"')
    execute(maintenance, f'CREATE DATABASE "{quoted}" TEMPLATE "{latin}\'')
    maintenance.close()
    write_migrations(CAGE)
    for app in ("auth", "zoo"):
        assert migrate(alias, app) is None
    for label, fails in (("größer", False), ("檻", True)):
        write_migrations(CAGE, OPTIONS.replace("Can approve", label))

        answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

        assert answer.code == int(fails), answer.stdout
        if fails:
            assert "encoding of the database, LATIN1" in answer.report["findings"][0]["message"]
    assert migrate(alias, "zoo") is not None


SQUASHED = (
    """
replaces = [("zoo", "0001_gone"), ("zoo", "0002_gone")]
operations = [
"""
    + CAGE
    + "]"
)


@pytest.mark.parametrize(
    ("drift", "id", "words"),
    [
        ("ALTER TABLE django_migrations ALTER id RESTART WITH 1", "history-not-writable", "key 1,"),
        (
            "ALTER TABLE django_migrations ADD who text NOT NULL",
            "history-not-writable",
            "who requires",
        ),
        ("rights", "missing-privilege", "INSERT on public.django_migrations"),
        (None, "", ""),
    ],
    ids=["behind", "column", "rights", "healthy"],
)
def test_a_squash_that_gets_its_record_although_nothing_is_pending(
    drift: str | None,
    id: str,
    words: str,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    names = [
        "INSERT INTO django_migrations (app, name, applied) VALUES ('zoo', '0002_gone', now())"
    ]
    names.append("UPDATE django_migrations SET name = '0001_gone' WHERE name = '0001_step'")
    user = role()
    damage(empty_database, *names)
    if drift and "who" in drift:
        damage(empty_database, drift.replace("NOT NULL", "NOT NULL DEFAULT 'x'"))
        damage(empty_database, "ALTER TABLE django_migrations ALTER who DROP DEFAULT")
    elif drift and drift != "rights":
        damage(empty_database, drift)
    execute_for(
        user,
        empty_database,
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
        "SELECT 1" if drift == "rights" else "GRANT INSERT ON django_migrations TO {role}",
    )
    write_migrations(SQUASHED)

    with guest(empty_database, user) as alias:
        answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
        errors = [each for each in answer.report["findings"] if each["severity"] == "error"]

        assert [each["id"] for each in errors] == ([id] if id else []), answer.stdout
        assert answer.code == int(bool(id))
        assert (migrate(alias, "zoo") is not None) == bool(id)
    if not id:
        assert ("0001_step",) in query(empty_database, "SELECT name FROM django_migrations")
        return
    assert words in errors[0]["message"]
    assert answer.report["facts"]["summary"].startswith("nothing to migrate, and yet migrate would")
    typist.type(empty_database, errors[0])
    with guest(empty_database, user) as alias:
        assert ops("preflight_migrate", "zoo", database=alias, rehearse="off").code == 0
        assert migrate(alias, "zoo") is None


def test_keys_are_asked_for_as_many_records_as_there_will_be(
    caged: str, write_migrations: Write, ops: Ops
) -> None:
    move = "UPDATE django_migrations SET id = id + 2 WHERE id = (SELECT max(id) FROM %s)"
    damage(caged, move % "django_migrations")
    write_migrations(CAGE, AGE, OPTIONS)

    answer = ops("preflight_migrate", "zoo", database=caged, rehearse="off")

    [finding] = answer.report["findings"]
    assert (answer.code, finding["id"]) == (1, "history-not-writable")
    assert finding["migration"] == "zoo.0003_step"
    assert answer.report["facts"]["summary"].startswith("migrate would fail at zoo.0003_step: ")
    assert migrate(caged, "zoo") is not None
    assert ("0002_step",) in query(caged, "SELECT name FROM django_migrations")


def test_a_view_in_the_place_of_the_history_is_a_no(
    empty_database: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    damage(empty_database, "CREATE VIEW django_migrations AS SELECT 1 AS id")
    write_migrations(CAGE)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    [finding] = answer.report["findings"]
    assert (answer.code, finding["id"]) == (1, "table-exists")
    assert migrate(empty_database, "zoo") is not None
    typist.type(empty_database, finding)
    assert ops("preflight_migrate", "zoo", database=empty_database).code == 0
    assert migrate(empty_database, "zoo") is None


@pytest.mark.parametrize(
    ("drift", "words"),
    [
        (None, None),
        ("ALTER TABLE django_site ALTER id SET GENERATED ALWAYS", "id is GENERATED ALWAYS"),
        ("ALTER TABLE django_site ADD CHECK (domain <> 'example.com')", "refuses"),
        ("INSERT INTO django_site (domain, name) VALUES ('a', 'b')", None),
    ],
    ids=["none", "identity", "check", "a-site"],
)
def test_the_default_site_is_asked_for_where_there_is_none(
    drift: str | None, words: str | None, empty_database: str, ops: Ops, settings: Any
) -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.sites"]
    try:
        assert migrate(empty_database, "sites") is None
        damage(empty_database, "DELETE FROM django_site")
        if drift:
            damage(empty_database, drift)

        answer = ops("preflight_migrate", "sites", database=empty_database, rehearse="off")

        assert (answer.code, answer.report["undecided"]) == (int(bool(words)), []), answer.stdout
        if words:
            assert words in answer.report["findings"][0]["message"]
        assert (migrate(empty_database, "sites") is not None) == bool(words)
    finally:
        post_migrate.disconnect(create_default_site, sender=apps.get_app_config("sites"))
        # The admin finds the model by itself, and would keep it.
        admin.site.unregister([each for each in admin.site._registry if each.__name__ == "Site"])
