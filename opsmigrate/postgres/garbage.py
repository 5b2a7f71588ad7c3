"""Python's garbage collector, out of the way while a great many objects are made."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the collector of cycles rest, and wake it at the end if it was awake.

    It walks through all that was made again and again. With a catalog of a thousand tables this
    takes as long as reading it, and there are no cycles to be found.
    """
    awake = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if awake:
            gc.enable()
