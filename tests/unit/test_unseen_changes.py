"""Operations of which a database has nothing wait to be rendered, and no other does."""

from unittest import mock

import pytest
from django.db import models
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.migrations import operations
from django.db.migrations.state import ProjectState, StateApps

from opsmigrate.preflight.walk.unseen_changes import LaterRendering, is_unseen

EDITOR = DatabaseSchemaEditor(mock.Mock(), atomic=False)


class OwnEditor(DatabaseSchemaEditor):
    def alter_field(self, *args, **kwargs):
        super().alter_field(*args, **kwargs)


class OwnAlterField(operations.AlterField):
    pass


@pytest.fixture
def state():
    state = ProjectState()
    for operation in (
        operations.CreateModel("Owner", [("id", models.BigAutoField(primary_key=True))]),
        operations.CreateModel(
            "Item",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=5, choices=[("a", "A")])),
                ("owner", models.ForeignKey("shop.Owner", models.CASCADE)),
            ],
            options={"ordering": ["name"]},
        ),
    ):
        operation.state_forwards("shop", state)
    assert state.apps
    return state


def altered(name, field, **options):
    return operations.AlterField("Item", name, field, **options)


UNSEEN = {
    "words": altered("name", models.CharField("Name", max_length=5, help_text="as printed")),
    "choices": altered("name", models.CharField(max_length=5, blank=True)),
    "related name": altered(
        "owner", models.ForeignKey("shop.Owner", models.CASCADE, related_name="items")
    ),
    "ordering": operations.AlterModelOptions("Item", {"ordering": ["-name"]}),
    "no options": operations.AlterModelOptions("item", {}),
}
SEEN = {
    "longer": altered("name", models.CharField(max_length=6)),
    "null": altered("name", models.CharField(max_length=5, null=True)),
    "type": altered("name", models.SlugField(max_length=5)),
    "default": altered("name", models.CharField(max_length=5, default="", blank=True)),
    "default for now": altered(
        "name", models.CharField(max_length=5, default=""), preserve_default=False
    ),
    "column": altered("name", models.CharField(max_length=5, db_column="label")),
    "target": altered("owner", models.ForeignKey("shop.Item", models.CASCADE)),
    "on delete": altered("owner", models.ForeignKey("shop.Owner", models.DO_NOTHING)),
    "no constraint": altered(
        "owner", models.ForeignKey("shop.Owner", models.CASCADE, db_constraint=False)
    ),
    "no such field": altered("title", models.CharField(max_length=5)),
    "no such model": operations.AlterModelOptions("Thing", {"ordering": []}),
    "managed": operations.AlterModelOptions("Item", {"managed": False}),
    "own operation": OwnAlterField("Item", "name", models.CharField("Name", max_length=5)),
    "index": operations.AddIndex("Item", models.Index(fields=["name"], name="by_name")),
}


@pytest.mark.parametrize("operation", UNSEEN.values(), ids=UNSEEN)
def test_what_no_database_has_is_rendered_once_at_the_end(operation, state):
    later = LaterRendering()
    expected = state.clone()
    operation.state_forwards("shop", expected)
    assert is_unseen(operation, "shop", state, EDITOR)

    with mock.patch.object(StateApps, "render_multiple") as rendered:
        later.change(state, operation, "shop")
        later.render_for(SEEN["longer"], state)
    rendered.assert_not_called()
    assert state == expected

    later.render_for(operations.RunPython(operations.RunPython.noop), state)
    assert not later.waiting
    for name in ("owner", "item"):
        one, other = (each.apps.get_model("shop", name) for each in (state, expected))
        assert one._meta.ordering == other._meta.ordering
        assert [field.deconstruct() for field in one._meta.local_fields] == [
            field.deconstruct() for field in other._meta.local_fields
        ]
        assert [each.get_accessor_name() for each in one._meta.related_objects] == [
            each.get_accessor_name() for each in other._meta.related_objects
        ]


@pytest.mark.parametrize("operation", SEEN.values(), ids=SEEN)
def test_everything_else_is_walked_as_migrate_does_it(operation, state):
    assert not is_unseen(operation, "shop", state, EDITOR)


def test_an_option_that_is_reset_counts_too(state):
    operations.AlterModelOptions("Item", {"managed": False}).state_forwards("shop", state)
    assert not is_unseen(operations.AlterModelOptions("Item", {}), "shop", state, EDITOR)


def test_an_engine_that_alters_fields_in_its_own_way_is_asked(state):
    own = OwnEditor(mock.Mock(), atomic=False)
    assert not is_unseen(UNSEEN["words"], "shop", state, own)
