"""Python's collector rests while much is made, and does not walk through all of it afterwards."""

import gc
from collections.abc import Iterator

import pytest

from opsmigrate.postgres.garbage_collection import gc_frozen, gc_paused


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    gc.enable()
    yield
    gc.unfreeze()
    gc.enable()


def test_the_collector_rests_for_the_time_being_only() -> None:
    with gc_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_one_that_somebody_else_has_stopped_stays_so() -> None:
    gc.disable()
    with gc_paused():
        pass
    assert not gc.isenabled()


def test_what_was_made_meanwhile_is_old_at_once() -> None:
    with gc_paused():
        made = [[number] for number in range(1000)]
    young = [*gc.get_objects(generation=0), *gc.get_objects(generation=1)]
    assert not {id(each) for each in young} & {id(each) for each in made}
    assert gc.get_freeze_count() == 0


def test_cycles_that_were_made_meanwhile_are_still_found() -> None:
    class Cyclic:
        pass

    with gc_paused():
        for _ in range(10):
            one = Cyclic()
            one.itself = one  # type: ignore[attr-defined]
        del one
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Cyclic)]


def test_what_is_frozen_around_it_stays_frozen() -> None:
    with gc_frozen():
        before = gc.get_freeze_count()
        with gc_paused():
            pass
        assert gc.get_freeze_count() == before
