"""What `migrate` does besides the migrations can fail as well, and is asked for."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.db.models.signals import post_migrate

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist

pytestmark = pytest.mark.major
HISTORY = "public.django_migrations"
AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'

HISTORIES = {
    "a key without its default": ("id", "ALTER TABLE django_migrations ALTER id DROP IDENTITY"),
    "a column that wants a value": ("who", "ALTER TABLE django_migrations ADD who text NOT NULL"),
    "a sequence that is behind": (
        None,
        "ALTER TABLE django_migrations ALTER id RESTART WITH 1",
    ),
    "a column lost": (None, "ALTER TABLE django_migrations DROP COLUMN applied"),
}


@pytest.mark.parametrize(("column", "drift"), HISTORIES.values(), ids=HISTORIES.keys())
def test_a_history_that_cannot_be_written_or_read_is_a_no(
    column: str | None,
    drift: str,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    write_migrations(CAGE, AGE)
    assert ops("preflight_migrate", "zoo", database=empty_database).code == 0
    if "NOT NULL" in drift:
        execute(connections[empty_database], "TRUNCATE django_migrations, zoo_cage")
        execute(connections[empty_database], "DROP TABLE zoo_cage")
    execute(connections[empty_database], drift)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert migrate(empty_database, "zoo") is not None
    [finding] = answer.report["findings"]
    assert (answer.code, finding["column"]) == (1, column)
    assert finding["table"] in (HISTORY, "django_migrations")
    lost = "DROP COLUMN" in drift
    assert finding["id"] == ("history-unreadable" if lost else "history-not-writable")
    if "RESTART" in drift:
        assert typist.type(empty_database, finding) == []
        assert migrate(empty_database, "zoo") is None


RECEIVERS = {
    "no content types": ("DROP TABLE django_content_type CASCADE", "missing-table"),
    "no permissions": ("DROP TABLE auth_permission CASCADE", "missing-table"),
    "content types of a wrapper that cannot be read": (
        "DROP TABLE django_content_type CASCADE; CREATE FOREIGN DATA WRAPPER drifted;"
        " CREATE SERVER drifted FOREIGN DATA WRAPPER drifted; CREATE FOREIGN TABLE"
        " django_content_type (id int, app_label varchar(100), model varchar(100)) SERVER drifted",
        "missing-table",
    ),
    "a permission without its name": (
        "ALTER TABLE auth_permission RENAME codename TO drifted",
        "missing-column",
    ),
}


@pytest.mark.parametrize(("drift", "id"), RECEIVERS.values(), ids=RECEIVERS.keys())
def test_a_receiver_that_cannot_work_is_a_no_also_where_nothing_is_pending(
    drift: str, id: str, new_database: Callable[..., str], ops: Ops
) -> None:
    alias = new_database("received ")
    for app in ("auth", "contenttypes"):
        assert migrate(alias, app) is None
    assert ops("preflight_migrate", "contenttypes", database=alias).code == 0
    execute(connections[alias], drift)

    answer = ops("preflight_migrate", "contenttypes", database=alias)

    assert migrate(alias, "contenttypes") is not None
    assert (answer.code, answer.report["findings"][0]["id"]) == (1, id), answer.stdout


POLICIES = {
    "none for new rows": "FOR SELECT USING (true)",
    "none for this role": "TO pg_monitor USING (true)",
    "one that refuses them": "USING (app_label <> 'treasury')",
    "one that does not know": "WITH CHECK (nullif(app_label, app_label) = 'x')",
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES.keys())
def test_row_security_that_refuses_new_content_types_is_a_no(
    policy: str,
    new_database: Callable[..., str],
    role: Callable[..., dict[str, str]],
    ops: Ops,
    typist: Typist,
) -> None:
    user = role("CREATEDB")
    alias = new_database("secured ")
    execute(connections[alias], f'GRANT ALL ON SCHEMA public TO "{user["USER"]}"')
    connections[alias].close()
    connections[alias].settings_dict.update(user)
    for app in ("auth", "contenttypes"):
        assert migrate(alias, app) is None
    table = "django_content_type"
    execute(connections[alias], f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    execute(connections[alias], f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    execute(connections[alias], f"CREATE POLICY seen ON {table} FOR SELECT USING (true)")
    execute(connections[alias], f"CREATE POLICY drifted ON {table} {policy}")

    answer = ops("preflight_migrate", "treasury", "0001", database=alias, rehearse="off")

    [finding] = [each for each in answer.report["findings"] if each["id"] == "insert-refused"]
    assert (answer.code, answer.report["undecided"]) == (1, []), answer.stdout
    assert "row-level security policy" in (migrate(alias, "treasury", "0001") or "")
    assert typist.type(alias, finding) == []
    assert migrate(alias, "treasury", "0001") is None


def test_content_types_that_cannot_be_inserted_are_a_no_only_where_a_model_is_new(
    empty_database: str, ops: Ops, typist: Typist
) -> None:
    for app in ("auth", "contenttypes"):
        assert migrate(empty_database, app) is None
    wants = "ALTER TABLE django_content_type ADD extra int NOT NULL DEFAULT 1"
    execute(connections[empty_database], wants)
    execute(connections[empty_database], "ALTER TABLE django_content_type ALTER extra DROP DEFAULT")
    assert ops("preflight_migrate", "auth", database=empty_database).code == 0
    assert migrate(empty_database, "auth") is None

    answer = ops("preflight_migrate", "treasury", "0001", database=empty_database)

    assert migrate(empty_database, "treasury", "0001") is not None
    finding = answer.report["findings"][0]
    assert (answer.code, finding["id"]) == (1, "insert-refused")
    assert typist.type(empty_database, finding) == []
    assert ops("preflight_migrate", "treasury", "0001", database=empty_database).code == 0
    assert migrate(empty_database, "treasury", "0001") is None


def test_a_receiver_of_the_project_is_left_open(empty_database: str, ops: Ops) -> None:
    assert migrate(empty_database) is None
    assert ops("preflight_migrate", database=empty_database).code == 0

    def fails(**kwargs: object) -> None:
        raise ValueError("no")

    post_migrate.connect(fails)
    try:
        answer = ops("preflight_migrate", database=empty_database)
    finally:
        post_migrate.disconnect(fails)

    assert answer.code == 3
    assert "fails runs with every migrate" in answer.report["undecided"][0]["why"]


class OnlyZoo:
    """Keeps everything but the app zoo away from all databases but the default one."""

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool:
        return db == "default" or app_label == "zoo"


def test_a_receiver_is_not_asked_for_what_a_router_keeps_elsewhere(
    empty_database: str, write_migrations: Write, ops: Ops, settings: Any
) -> None:
    settings.DATABASE_ROUTERS = [OnlyZoo()]
    write_migrations(CAGE, AGE)
    for target in (("zoo", "0001"), ("contenttypes",), ("auth",)):
        assert migrate(empty_database, *target) is None

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (0, []), answer.stdout
    assert migrate(empty_database, "zoo") is None


def test_a_content_type_of_an_older_state_has_its_name(
    new_database: Callable[..., str], ops: Ops
) -> None:
    alias = new_database("older ")
    assert migrate(alias, "contenttypes", "0001") is None

    answer = ops("preflight_migrate", "auth", "0003", database=alias)

    assert (answer.code, answer.ids) == (0, [])
    assert migrate(alias, "auth", "0003") is None
