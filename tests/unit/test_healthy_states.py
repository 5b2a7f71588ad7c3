"""The states of tests/drift/healthy.py are points at which a project can be."""

from typing import Any

from django.apps.registry import Apps
from django.db import models
from django.db.migrations.loader import MigrationLoader

from tests.drift.healthy import own_defaults, states_of


class Invoice(models.Model):
    """A model with defaults of each kind, and columns that have none."""

    shredded = models.BooleanField(default=False)
    lines: Any = models.JSONField(default=list)
    code: Any = models.CharField(max_length=9, default=lambda: "abc", db_column="Code")
    name = models.TextField()
    kind = models.TextField(default=None)
    corrects: Any = models.ForeignKey("self", models.CASCADE, default=1)

    class Meta:
        app_label = "healthy"
        apps = Apps()

    def __str__(self) -> str:
        return self.name


def test_a_state_has_all_that_its_migrations_stand_on() -> None:
    graph = MigrationLoader(None).graph
    steps = list(
        dict.fromkeys(key for leaf in graph.leaf_nodes() for key in graph.forwards_plan(leaf))
    )

    states = {state.name: state.applied for state in states_of(steps, graph)}

    assert states["everything pending"] == ()
    assert states["nothing pending"] == tuple(steps)
    one, three = states["1 release pending"], states["3 releases pending"]
    assert set(three) < set(one) < set(steps)
    assert any(name.endswith(" 1 behind") for name in states)
    for applied in states.values():
        assert all(set(graph.forwards_plan(key)) <= set(applied) for key in applied)


def test_a_made_up_row_holds_what_an_application_writes() -> None:
    [(table, values)] = own_defaults([Invoice]).items()

    lines = values.pop("lines")
    assert (table, values) == ("healthy_invoice", {"shredded": False, "Code": "abc"})
    assert getattr(lines, "adapted", getattr(lines, "obj", None)) == []
