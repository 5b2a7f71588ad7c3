"""Deprecations of the project's settings are for its own developers, not for whoever runs us."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_deprecations() -> Iterator[None]:
    """Let settings be read and set without what the newest Django says of the project's choice.

    Django 6.1, say, warns wherever EMAIL_BACKEND is touched; where warnings are errors, that would
    end the command. For a few lines at a time: other threads' warnings are silent meanwhile.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        yield
