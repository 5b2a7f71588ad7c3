"""Permissions of renamed models: Django 6.1 renames them after the plan, and may fail there."""

from collections.abc import Callable

import django
import pytest
from django.db import connections

from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import OWN, execute_for, judged, told
from tests.remedies import Typist, unannounced

pytestmark = [pytest.mark.major, pytest.mark.newest]
# Before 6.1, nothing looks at permissions when a model is renamed.
RENAMES = django.VERSION >= (6, 1)
RENAME = 'migrations.RenameModel("Cage", "Pen"),'
CODENAMES = "SELECT codename FROM auth_permission WHERE codename ~ '_(cage|pen|coop)$' ORDER BY 1"
ACTIONS = ("add", "change", "delete", "view")


@pytest.fixture
def caged(empty_database: str, write_migrations: Write) -> str:
    """A database with the model Cage, its content type and its permissions."""
    write_migrations(CAGE)
    for app in ("auth", "contenttypes", "zoo"):
        assert migrate(empty_database, app) is None
    assert query(empty_database, CODENAMES) == [(f"{action}_cage",) for action in ACTIONS]
    return empty_database


def add(alias: str, codename: str) -> None:
    """Give the content type of Cage a permission of this codename."""
    execute(
        connections[alias],
        "INSERT INTO auth_permission (name, content_type_id, codename)"
        f" SELECT 'Can', id, '{codename}' FROM django_content_type WHERE app_label = 'zoo'",
    )


def test_permissions_that_can_follow_their_model_are_a_yes_without_a_rehearsal(
    caged: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, RENAME)

    answer = ops("preflight_migrate", "zoo", database=caged, rehearse="off")

    assert (answer.code, answer.ids, answer.report["undecided"]) == (0, [], [])
    assert migrate(caged, "zoo") is None
    model = "pen" if RENAMES else "cage"
    assert {(f"{action}_{model}",) for action in ACTIONS} <= set(query(caged, CODENAMES))


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
def test_a_permission_that_has_the_new_codename_is_a_no_where_django_renames(
    caged: str, write_migrations: Write, ops: Ops, typist: Typist, *, backwards: bool
) -> None:
    write_migrations(CAGE, RENAME)
    if backwards:
        assert migrate(caged, "zoo") is None
        execute(connections[caged], "DELETE FROM auth_permission WHERE codename LIKE '%_cage'")
    add(caged, "view_cage" if backwards else "view_pen")
    target = ("zoo", "0001") if backwards else ("zoo",)

    answer = ops("preflight_migrate", *target, database=caged, rehearse="off")
    ids, code = (["permission-exists"], 1) if RENAMES else ([], 0)
    assert (answer.ids, answer.code) == (ids, code), answer.stdout
    if RENAMES:
        assert migrate(caged, *target) is not None
        migrate(caged, "zoo", "0002" if backwards else "0001")
        [finding] = answer.report["findings"]
        way = 2 if backwards else 1
        gone = typist.type(caged, finding, alternative=way)
        assert len(gone) == 1
        assert unannounced(finding, gone, alternative=way) == []
    assert migrate(caged, *target) is None


@pytest.mark.filterwarnings("ignore:Could not rename content type:RuntimeWarning")
@pytest.mark.parametrize(
    "drift",
    [
        "DELETE FROM auth_permission WHERE codename = 'view_cage'",
        "DELETE FROM auth_permission",
        # The content type of the old name keeps it, and its permissions.
        "INSERT INTO django_content_type (app_label, model) VALUES ('zoo', 'pen')",
    ],
    ids=["nothing to rename", "no permissions", "a stale content type of the new name"],
)
def test_what_leaves_nothing_in_the_way_is_a_yes(
    drift: str, caged: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, RENAME)
    add(caged, "view_pen")
    execute(connections[caged], drift)

    answer = ops("preflight_migrate", "zoo", database=caged, rehearse="off")

    assert (answer.code, answer.ids) == (0, [])
    assert migrate(caged, "zoo") is None


@pytest.mark.parametrize("held", [True, False], ids=["with permissions", "without permissions"])
def test_a_role_that_may_not_update_permissions_is_a_no_where_there_are_any(
    caged: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
    typist: Typist,
    *,
    held: bool,
) -> None:
    write_migrations(CAGE, RENAME)
    owner = role()
    if not held:
        execute(connections[caged], "DELETE FROM auth_permission WHERE codename LIKE '%_cage'")
    execute_for(
        owner,
        caged,
        *OWN,
        "GRANT SELECT, INSERT, UPDATE, DELETE ON django_content_type TO {role}",
        "GRANT SELECT, INSERT ON auth_permission TO {role}",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
    )
    fails = RENAMES and held

    answer = judged(ops, caged, owner, fails=fails)

    assert told(answer) == (["missing-privilege"] if fails else [])
    if fails:
        [finding] = [each for each in answer.report["findings"] if each["severity"] == "error"]
        typist.type(caged, finding)
        judged(ops, caged, owner, fails=False)


def test_a_chain_of_renames_is_one(caged: str, write_migrations: Write, ops: Ops) -> None:
    write_migrations(CAGE, RENAME, 'migrations.RenameModel("Pen", "Coop"),')
    # In the way of the first step's name only, which no permission ever gets.
    add(caged, "view_pen")

    answer = ops("preflight_migrate", "zoo", database=caged, rehearse="off")

    assert (answer.code, answer.ids) == (0, [])
    assert migrate(caged, "zoo") is None
