"""Which server the tests of this process use."""

from __future__ import annotations

import os


def given_url() -> str | None:
    """Return the URL of the server that was given, one for each process of pytest-xdist.

    OPSMIGRATE_TEST_DATABASE_URL may hold several, with spaces between them.
    """
    urls = os.environ.get("OPSMIGRATE_TEST_DATABASE_URL", "").split()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return urls[int(worker.removeprefix("gw")) % len(urls)] if urls else None
