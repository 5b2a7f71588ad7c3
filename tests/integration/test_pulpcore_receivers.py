"""What pulpcore's receivers of migrate's signals find, compared with what they want."""

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.apps.registry import Apps
from django.db import connections, models
from django.db.models.signals import post_migrate, pre_migrate

from opsmigrate.preflight.walk import known_receivers, pulpcore_receivers
from opsmigrate.preflight.walk.known_receivers import PULPCORE, fingerprint
from tests.conftest import Answer, Ops, execute
from tests.integration.zoo_migrations import Write, migrate

# As pulpcore 3.123 has them, as far as its receivers are concerned.
KEY = '("pulp_id", models.UUIDField(primary_key=True, default=uuid.uuid4)),'
TIMES = """
    ("pulp_created", models.DateTimeField(auto_now_add=True)),
    ("pulp_last_updated", models.DateTimeField(auto_now=True, null=True)),
"""
BODY = f"""
dependencies = [("auth", "0012_alter_user_first_name_max_length")]
operations = [
    migrations.CreateModel("AppStatus", [{KEY}
        ("ttl", models.DurationField()),
        ("last_heartbeat", models.DateTimeField(auto_now=True)),
    ]),
    migrations.CreateModel("Task", [{KEY}
        ("app_lock", models.ForeignKey("zoo.AppStatus", models.SET_NULL, null=True)),
    ]),
    migrations.CreateModel("SystemID", [{KEY}]),
    migrations.CreateModel("AccessPolicy", [{KEY} {TIMES}
        ("creation_hooks", models.JSONField(null=True)),
        ("statements", models.JSONField()),
        ("viewset_name", models.TextField(unique=True)),
        ("customized", models.BooleanField(default=False)),
        ("queryset_scoping", models.JSONField(null=True)),
    ]),
    migrations.CreateModel("Role", [{KEY} {TIMES}
        ("name", models.TextField(db_index=True, unique=True)),
        ("description", models.TextField(null=True)),
        ("locked", models.BooleanField(default=False)),
        ("permissions", models.ManyToManyField("auth.Permission")),
    ]),
    migrations.CreateModel("Domain", [{KEY}
        ("name", models.TextField(unique=True)),
        ("storage_class", models.TextField()),
        ("storage_settings", models.JSONField(default=dict)),
        ("redirect_to_object_storage", models.BooleanField(default=True)),
        ("hide_guarded_distributions", models.BooleanField(default=False)),
    ]),
    migrations.CreateModel("ContentRedirectContentGuard", [{KEY}]),
    migrations.CreateModel("ArtifactDistribution", [{KEY}]),
]
"""
ROWS = """
INSERT INTO zoo_systemid VALUES (gen_random_uuid());
INSERT INTO zoo_artifactdistribution VALUES (gen_random_uuid());
INSERT INTO zoo_domain (pulp_id, name, storage_class, storage_settings,
    redirect_to_object_storage, hide_guarded_distributions)
VALUES (gen_random_uuid(), 'default', 'pulpcore.app.models.storage.FileSystem', '{}', true, false);
INSERT INTO zoo_accesspolicy (pulp_id, pulp_created, statements, viewset_name, customized)
VALUES (gen_random_uuid(), now(), '[{"action": "list"}]', 'cages', false);
INSERT INTO zoo_role (pulp_id, pulp_created, name, locked)
VALUES (gen_random_uuid(), now(), 'zoo.keeper', true);
INSERT INTO zoo_role_permissions (role_id, permission_id)
SELECT r.pulp_id, p.id FROM zoo_role r, auth_permission p JOIN django_content_type t
    ON t.id = p.content_type_id WHERE t.app_label = 'auth' AND p.codename = 'view_group';
"""


class Secret(models.JSONField):
    """Stands in for pulpcore's field that is encrypted."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        found = super().from_db_value(value, expression, connection)
        if found:
            raise ValueError("no key")
        return found


class Domain(models.Model):
    """Stands in for pulpcore's."""

    pulp_id = models.UUIDField(primary_key=True)
    name = models.TextField(unique=True)
    storage_class = models.TextField()
    storage_settings = Secret(default=dict)
    redirect_to_object_storage = models.BooleanField(default=True)
    hide_guarded_distributions = models.BooleanField(default=False)

    class Meta:
        app_label = "zoo"
        apps = Apps()

    def __str__(self) -> str:
        return self.name


class Viewset:
    """Stands in for a viewset of pulpcore."""

    DEFAULT_ACCESS_POLICY = {"statements": [{"action": "list"}]}  # noqa: RUF012
    LOCKED_ROLES = {"zoo.keeper": ["auth.view_group"]}  # noqa: RUF012


class Login:
    """Stands in for the one that has no policy."""


def receiver(**kwargs: object) -> None:
    """Do what cannot be read."""
    open("/dev/null").close()


def copies() -> Iterator[tuple[str, Any]]:
    """Yield functions of one text under the names of pulpcore's receivers."""
    for name in known_receivers.PULPCORES:
        namespace = {"open": open}
        function = type(receiver)(receiver.__code__, namespace, name)
        function.__module__, function.__qualname__ = PULPCORE.rstrip("."), name
        yield name, function


@pytest.fixture
def pulp(
    empty_database: str,
    write_migrations: Write,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> Iterator[str]:
    """Return a database with what pulpcore wants; its receivers are connected."""
    write_migrations(BODY)
    for app in ("auth", "zoo"):
        assert migrate(empty_database, app) is None
    execute(connections[empty_database], ROWS)
    zoo = apps.get_app_config("zoo")
    plugin = SimpleNamespace(label="zoo", models_module=zoo, named_viewsets={None: [Viewset]})
    modules = {
        "pulpcore.app.apps": {"pulp_plugin_configs": lambda: [plugin], "adjust_roles": None},
        "pulpcore.app.util": {
            "get_view_urlpattern": lambda viewset: "cages",
            "get_default_domain": None,
        },
        "pulpcore.app.models": {"Domain": Domain},
        "pulpcore.app.viewsets": {"LoginViewSet": Login},
    }
    for name, names in modules.items():
        module = ModuleType(name)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(pulpcore_receivers, "APP", "zoo")
    texts = {f"{PULPCORE}{name}": {fingerprint(receiver)} for name in known_receivers.PULPCORES}
    monkeypatch.setattr(known_receivers, "FINGERPRINTS", texts)
    monkeypatch.setattr(known_receivers, "CALLED", {})
    settings.HIDE_GUARDED_DISTRIBUTIONS = False
    settings.REDIRECT_TO_OBJECT_STORAGE = True
    settings.STORAGES = {"default": {"BACKEND": pulpcore_receivers.FILES}}
    connected = [function for _, function in copies()]
    for function in connected:
        (pre_migrate if "clean" in function.__name__ else post_migrate).connect(function)
    yield empty_database
    for function in connected:
        (pre_migrate if "clean" in function.__name__ else post_migrate).disconnect(function)


def asked(ops: Ops, database: str) -> Answer:
    answer = ops("preflight_migrate", "zoo", database=database, rehearse="off")
    assert "internal-error" not in answer.ids
    return answer


def test_what_is_as_they_want_it_is_decided(pulp: str, ops: Ops) -> None:
    answer = asked(ops, pulp)

    assert (answer.code, answer.report["undecided"]) == (0, [])


STATUS = "INSERT INTO zoo_appstatus VALUES (gen_random_uuid(), '1 hour', now() - interval '1 day')"
DECIDED = {
    "a status": f"{STATUS}; INSERT INTO zoo_task VALUES (gen_random_uuid(), NULL)",
    "another policy": "UPDATE zoo_accesspolicy SET statements = '[]'",
    "no policy": "DELETE FROM zoo_accesspolicy",
    "a policy of the users": "UPDATE zoo_accesspolicy SET statements = '[]', customized = true",
    "no role": "DELETE FROM zoo_role_permissions; DELETE FROM zoo_role",
    "a permission less": "DELETE FROM zoo_role_permissions",
    "another permission": "INSERT INTO zoo_role_permissions (role_id, permission_id)"
    " SELECT r.pulp_id, p.id FROM zoo_role r, auth_permission p"
    " WHERE p.codename = 'add_group'",
    "no id": "DELETE FROM zoo_systemid",
}
REFUSES = "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;"
TRIGGER = REFUSES + " CREATE TRIGGER no BEFORE {} ON {} FOR EACH ROW EXECUTE FUNCTION no()"
OPEN = {
    "a status that a task has": f"{STATUS};"
    " INSERT INTO zoo_task SELECT gen_random_uuid(), pulp_id FROM zoo_appstatus",
    "a status without a foreign key": f"{STATUS};"
    " ALTER TABLE zoo_task DROP app_lock_id, ADD app_lock_id uuid",
    "a status that refuses": f"{STATUS};" + TRIGGER.format("DELETE", "zoo_appstatus"),
    "a status of another age": f"{STATUS}; UPDATE zoo_appstatus SET ttl = '170000000 years'",
    "two distributions": "INSERT INTO zoo_artifactdistribution VALUES (gen_random_uuid())",
    "no distribution": "DELETE FROM zoo_artifactdistribution",
    "no domain": "DELETE FROM zoo_domain",
    "another storage": "UPDATE zoo_domain SET storage_class = ''",
    "another setting": "UPDATE zoo_domain SET hide_guarded_distributions = true",
    "a secret of another key": "UPDATE zoo_domain SET storage_settings = '[1]'",
    "a role that goes": "INSERT INTO zoo_role (pulp_id, pulp_created, name, locked)"
    " VALUES (gen_random_uuid(), now(), 'zoo.visitor', true)",
    "a permission that lacks": "DELETE FROM zoo_role_permissions;"
    " DELETE FROM auth_permission WHERE codename = 'view_group'",
    "a column that lacks": "ALTER TABLE zoo_accesspolicy DROP COLUMN queryset_scoping",
    "a table that lacks": "DROP TABLE zoo_systemid",
    "roles that refuse": TRIGGER.format("UPDATE", "zoo_role"),
    "policies that refuse": f"{DECIDED['another policy']};"
    + TRIGGER.format("UPDATE", "zoo_accesspolicy"),
    "policies that refuse a new one": f"{DECIDED['no policy']};"
    + TRIGGER.format("INSERT", "zoo_accesspolicy"),
    "permissions that stay": f"{DECIDED['another permission']};"
    + TRIGGER.format("DELETE", "zoo_role_permissions"),
    "permissions that do not come": f"{DECIDED['a permission less']};"
    + TRIGGER.format("INSERT", "zoo_role_permissions"),
    "an id that does not come": f"{DECIDED['no id']};" + TRIGGER.format("INSERT", "zoo_systemid"),
}


@pytest.mark.parametrize("change", DECIDED.values(), ids=[*DECIDED])
def test_what_they_will_write_is_asked(change: str, pulp: str, ops: Ops) -> None:
    execute(connections[pulp], change)

    answer = asked(ops, pulp)
    assert (answer.code, answer.report["undecided"]) == (0, [])


@pytest.mark.parametrize("change", OPEN.values(), ids=[*OPEN])
def test_what_may_stop_them_is_not_decided(change: str, pulp: str, ops: Ops) -> None:
    execute(connections[pulp], change)

    assert asked(ops, pulp).code == 3


def test_an_index_that_refuses_a_new_policy_is_a_no(pulp: str, ops: Ops) -> None:
    execute(
        connections[pulp],
        "DELETE FROM zoo_accesspolicy;"
        " ALTER TABLE zoo_accesspolicy ADD CHECK (viewset_name <> 'cages')",
    )

    answer = asked(ops, pulp)
    assert (answer.code, answer.ids) == (1, ["insert-refused"])


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("DEFAULT_ACCESS_POLICY", {"statements": ["\0"]}),
        ("DEFAULT_ACCESS_POLICY", {"statements": None}),
        ("LOCKED_ROLES", {"zoo.keeper": ["auth.no_such"]}),
        ("LOCKED_ROLES", {"ark.keeper": []}),
    ],
)
def test_what_the_plugins_want_may_not_be_possible(
    attribute: str, value: Any, pulp: str, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Viewset, attribute, value)

    assert asked(ops, pulp).code == 3


def test_another_text_of_a_receiver_or_of_what_it_calls_is_not_known(
    pulp: str, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{PULPCORE}_populate_roles"
    monkeypatch.setattr(
        known_receivers, "CALLED", {name: {("pulpcore.app.apps", "adjust_roles"): "0" * 16}}
    )

    answer = asked(ops, pulp)
    assert answer.code == 3
    assert f"{name} runs with every migrate" in answer.report["undecided"][0]["why"]
