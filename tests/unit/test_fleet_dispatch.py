"""The command's side of a fleet on a queue, with a queue that does what the test says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsmigrate.errors import UndecidedError
from opsmigrate.fleet import dispatch
from opsmigrate.fleet.dispatch import Dispatch, QueueUnreachable, Terms
from opsmigrate.fleet.run_folder import Outcome, RunFolder
from opsmigrate.fleet.shared_place import SharedPlace, files_of
from opsmigrate.fleet.targets import Target
from opsmigrate.fleet.unit import Unit


def unit(label: str) -> Unit:
    target = Target(alias="default", schema=label, label=label, server="s:1")
    return Unit(command="check_drift", arguments=(), target=target, run_id="run")


def passed(label: str) -> Outcome:
    return Outcome(
        label=label, verdict="passed", exit_code=0, attempts=1, seconds=1.0, summary="well"
    )


class Played:
    """A queue whose workers do what `work` says with the n-th delivery of a label."""

    def __init__(self, place: SharedPlace, work: Callable[[Played, str, int], None]) -> None:
        self.place, self.work = place, work
        self.sent: list[str] = []
        self.claimed: set[str] = set()
        self.size: int | None = 0
        self.looks = 0

    def send(self, unit: Unit) -> None:
        label = unit.target.label
        self.work(self, label, self.sent.count(label) + 1)
        self.sent.append(label)

    def waiting(self) -> int | None:
        self.looks += 1
        return self.size


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that makes a run of these units, and the queue that it is sent to."""
    monkeypatch.setattr(dispatch, "SECONDS_BETWEEN_CHECKS", 0.0)
    monkeypatch.setattr(dispatch, "SECONDS_UNTIL_SENT_AGAIN", 0.0)
    place = SharedPlace(files_of(tmp_path, None))
    monkeypatch.setattr(place.files, "seconds_between_looks", 0.002, raising=False)

    def make(work: Callable[[Played, str, int], None], *labels: str, most: int = 9) -> Any:
        queue, said = Played(place, work), []
        run = Dispatch(
            [unit(each) for each in labels],
            place,
            RunFolder(tmp_path),
            queue,
            Terms(
                at_most=lambda server: most,
                claimed=lambda units: queue.claimed & {each.target.label for each in units},
                say=said.append,
            ),
        )
        return run, queue, said

    return make


def works(queue: Played, label: str, time: int) -> None:
    queue.place.start(label, "w", 1.0)
    queue.place.publish(passed(label), {})


def test_no_more_are_sent_to_a_server_than_may_run_there(played: Callable[..., Any]) -> None:
    """The next goes out when one has come back."""
    most: list[int] = []

    def counted(queue: Played, label: str, time: int) -> None:
        most.append(len(queue.sent) - len(list(queue.place.finished(queue.sent))))
        works(queue, label, time)

    run, _, _ = played(counted, "a", "b", "c", most=1)
    assert [each.label for each in run.outcomes()] == ["a", "b", "c"]
    assert most == [0, 0, 0]


def test_what_a_broker_forgot_is_sent_again(played: Callable[..., Any]) -> None:
    """And what still waits in the queue is not."""

    def forgotten(queue: Played, label: str, time: int) -> None:
        if time == 2:
            works(queue, label, time)

    run, queue, said = played(forgotten, "a")
    assert [each.verdict for each in run.outcomes()] == ["passed"]
    assert queue.sent == ["a", "a"]
    assert said == ["a: no worker has it; sent again"]


def test_what_waits_in_the_queue_is_left_there(played: Callable[..., Any]) -> None:
    """Also where it is not known how much waits."""
    for size in (1, None):
        run, queue, _ = played(lambda *each: None, "a")
        queue.size = size
        outcomes = run.outcomes()
        queue.waiting = lambda queue=queue, size=size: _after_some(queue, size)
        assert next(outcomes).verdict == "passed"
        assert queue.sent == ["a"]


def _after_some(queue: Played, size: int | None) -> int | None:
    queue.looks += 1
    if queue.looks == 20:
        works(queue, "a", 1)
    return size


def test_a_worker_that_is_gone_each_time_ends_the_unit_after_three(
    played: Callable[..., Any],
) -> None:
    """What an earlier part of the run had begun does not count."""

    def dies(queue: Played, label: str, time: int) -> None:
        queue.place.start(label, "w", 1.0)

    run, queue, said = played(dies, "a")
    for _ in range(5):
        queue.place.start("a", "of an earlier part", 0.5)
    [outcome] = run.outcomes()
    assert (outcome.exit_code, queue.sent) == (3, ["a", "a", "a"])
    assert outcome.summary.startswith("it was begun 3 times, and no worker came to its end")
    assert said == ["a: its worker is gone; sent again"] * 2


def test_a_worker_may_hold_back_what_it_has_not_begun(played: Callable[..., Any]) -> None:
    """As long as any unit is at work, one that nobody has begun is never given up."""

    def prefetched(queue: Played, label: str, time: int) -> None:
        if label == "long":
            queue.claimed.add("long")
        elif time == 6:
            queue.claimed.clear()
            works(queue, "long", 1)
            works(queue, "short", 1)

    run, queue, _ = played(prefetched, "long", "short")
    assert {each.label: each.verdict for each in run.outcomes()} == {
        "long": "passed",
        "short": "passed",
    }
    assert queue.sent.count("long") == 1


def test_nobody_who_takes_it_ends_the_unit_too(played: Callable[..., Any]) -> None:
    """Such as workers that do not see the run's folder."""
    run, queue, _ = played(lambda *each: None, "a")
    [outcome] = run.outcomes()
    assert (outcome.exit_code, queue.sent) == (3, ["a", "a", "a"])
    assert outcome.summary.startswith("it was begun not once")


def test_after_a_stop_only_what_is_at_work_is_waited_for(played: Callable[..., Any]) -> None:
    """What stands in the queue is not begun by whoever takes it later."""

    def some(queue: Played, label: str, time: int) -> None:
        if label == "a":
            works(queue, label, time)
        if label == "b":
            queue.claimed.add("b")

    run, queue, _ = played(some, "a", "b", "c", "d", most=3)
    outcomes = run.outcomes()
    assert next(outcomes).label == "a"
    run.stop()
    queue.size = 1
    assert queue.place.is_stopped()
    queue.waiting = lambda: _b_ends(queue)
    assert [each.label for each in outcomes] == ["b"]
    assert queue.sent == ["a", "b", "c"]


def _b_ends(queue: Played) -> int:
    queue.looks += 1
    if queue.looks == 20:
        queue.claimed.clear()
        works(queue, "b", 1)
    return 1


def test_a_broker_may_be_away_for_a_while(
    played: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For too long, the run ends; what is done is kept."""
    away = iter([True, True, False])

    def unreachable(queue: Played, label: str, time: int) -> None:
        if next(away, True):
            raise QueueUnreachable("the broker redis://x cannot be reached")
        works(queue, label, time)

    run, _, said = played(unreachable, "a")
    assert [each.label for each in run.outcomes()] == ["a"]
    assert said == [
        "the broker redis://x cannot be reached; trying again for 300 s",
        "the broker is there again",
    ]
    monkeypatch.setattr(dispatch, "SECONDS_WITHOUT_BROKER", 0.0)
    run, queue, _ = played(unreachable, "b")
    with pytest.raises(UndecidedError, match="cannot be reached, for 0 s") as refused:
        list(run.outcomes())
    assert refused.value.id == "no-broker"
    assert queue.place.is_stopped()
