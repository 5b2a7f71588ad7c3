"""The process of migrate_safely: the project's own `migrate`, with time limits.

Reads a job (JSON) from standard input and writes what happened (JSON) to standard output. What the
project prints goes to standard error.
"""

import json
import os
import sys
from typing import Any

import django
from django.db import connections


def main() -> None:
    """Do the job of standard input."""
    job = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        json.dump(_migrate(job), out, default=str)


def _migrate(job: dict[str, Any]) -> dict[str, Any]:
    """Return what happened, for the parent."""
    django.setup()
    # Only now: it takes Django's choice of a driver, which the settings may make.
    from opsmigrate.playbook.within_limits import migrate_within_limits

    alias = job["alias"]
    if alias not in connections.settings:
        # The parent's settings have got it while it ran, as for a tenant.
        connections.settings[alias] = {**connections.settings["default"], **job["place"]}
    every = [connections[name] for name in connections.settings]
    return migrate_within_limits(job, connections[alias], every)


if __name__ == "__main__":
    main()
