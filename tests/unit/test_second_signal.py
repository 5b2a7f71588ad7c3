"""More than one signal: the first one ends the run, and the others do not end its tidying up."""

import os
import signal
import time
import weakref

import pytest

from opsmigrate import interrupts
from opsmigrate.interrupts import SECONDS_IN_GOOD_ORDER, watched

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def nothing(seconds: float, known: bool) -> None:
    """Insist on nothing."""


def test_further_signals_do_not_stop_what_the_first_one_has_begun() -> None:
    tidied = False
    with watched(nothing, nothing, seconds=None, for_good=False) as watch:
        watch.begin()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(SIGNALS[0])
        try:
            for number in SIGNALS * 2:
                signal.raise_signal(number)
            tidied = True
        except KeyboardInterrupt:
            pass
        watch.end()

    assert tidied


def test_whoever_insists_when_the_time_for_it_is_over_is_heard_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with watched(nothing, nothing, seconds=None, for_good=False) as watch:
        watch.begin()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        now = time.monotonic()
        later = now + SECONDS_IN_GOOD_ORDER + 0.1
        monkeypatch.setattr(interrupts.time, "monotonic", lambda: later)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        watch.end()


def test_a_signal_in_a_callback_whose_exceptions_python_passes_over_ends_the_run_all_the_same(
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Thing:
        pass

    def interrupted(reference: object) -> None:
        signal.raise_signal(signal.SIGINT)

    def work() -> None:
        things.clear()
        time.sleep(5)

    things = [Thing()]
    reference = weakref.ref(things[0], interrupted)
    with watched(nothing, nothing, seconds=None, for_good=False) as watch:
        watch.begin()
        with pytest.raises(KeyboardInterrupt):
            work()
        watch.end()

    assert reference() is None
    assert capfd.readouterr().err == ""
