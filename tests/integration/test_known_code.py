"""What RunPython of a well-known app does is decided by its code, where that says enough."""

from importlib import import_module

import pytest
from django.db import connections

from opsmigrate.preflight.walk import known_code
from opsmigrate.preflight.walk.known_code import PROXIES
from opsmigrate.preflight.walk.known_receivers import fingerprint
from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate

PROXY = 'migrations.CreateModel("Coop", [], bases=("zoo.cage",), options={"proxy": True}),'
BEFORE, AT = "0010_alter_group_name_max_length", "0011_update_proxy_permissions"


TYPE = "(SELECT id FROM django_content_type WHERE model = '{}')"
GONE = f"DELETE FROM auth_permission WHERE content_type_id = {TYPE.format('coop')};"
GONE += "DELETE FROM django_content_type WHERE model = 'coop'"
MOVES = f"UPDATE auth_permission SET content_type_id = {TYPE.format('cage')}"
MOVES += " WHERE codename = 'add_coop'"


# Backwards, Django gives it the models as they were when it was applied: without the later ones.
@pytest.mark.parametrize(
    ("pending", "change", "backwards", "code"),
    [
        ("", "", False, 0),
        (PROXY, "", False, 0),
        (PROXY, GONE, False, 3),
        (PROXY, MOVES, False, 3),
        ("", "", True, 0),
    ],
    ids=["forwards", "a-proxy", "a-proxy-without-type", "a-permission", "backwards"],
)
def test_what_goes_through_proxy_models_is_decided_where_it_moves_nothing(
    pending: str,
    change: str,
    backwards: bool,
    code: int,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE + pending)
    assert migrate(empty_database, "zoo") is None
    assert migrate(empty_database, "auth", AT if backwards else BEFORE) is None
    execute(connections[empty_database], change or "SELECT")
    target = BEFORE if backwards else AT

    answer = ops("preflight_migrate", "auth", target, database=empty_database, rehearse="off")

    assert answer.code == code, answer.stdout
    whys = [item["why"] for item in answer.report["undecided"]]
    assert any("update_proxy_model_permissions" in why for why in whys) == bool(code)
    assert migrate(empty_database, "auth", target) is None


def test_the_same_name_with_another_text_is_undecided(
    empty_database: str, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module(PROXIES)
    name = f"{PROXIES}.update_proxy_model_permissions"
    assert fingerprint(module.update_proxy_model_permissions) in known_code.FINGERPRINTS[name]
    assert migrate(empty_database, "auth", BEFORE) is None
    monkeypatch.setitem(known_code.FINGERPRINTS, name, {"of another release"})

    assert ops("preflight_migrate", "auth", AT, database=empty_database, rehearse="off").code == 3
