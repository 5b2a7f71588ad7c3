"""The states of tests/drift/healthy.py are points at which a project can be."""

from django.db.migrations.loader import MigrationLoader

from tests.drift.healthy import states_of


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
