"""Python's garbage collector, out of the way while a great many objects are made."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# How many gc_frozen() are under way: the collector is the process's.
_frozen = 0


@contextmanager
def gc_paused() -> Iterator[None]:
    """Let the collector of cycles rest, and wake it at the end if it was awake.

    It walks through all that was made again and again. With a catalog of a thousand tables this
    takes as long as reading it, and there are no cycles to be found. Nor does it walk through all
    of it as it wakes: what was made counts as old then, which only a full collection looks at.
    """
    awake = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if awake:
            _grow_old()
            gc.enable()


def _grow_old() -> None:
    """Put all that was made into the oldest generation, where nobody has frozen anything."""
    # Counting goes through all that is frozen: where that is ours, it takes milliseconds.
    if not _frozen and not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()


@contextmanager
def gc_frozen() -> Iterator[None]:
    """Take what is there for settled: the collector walks only through what is made meanwhile.

    Rendering the states of two hundred migrations leaves so many cycles that it must run, and with
    all of Django in its way that takes a quarter of the time.
    """
    global _frozen
    gc.freeze()
    _frozen += 1
    try:
        yield
    finally:
        _frozen -= 1
        gc.unfreeze()
