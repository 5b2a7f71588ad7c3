"""The app; where the tests ask for it, each process that works for a tenant is written down."""

import atexit
import json
import os
import sys
import time

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """The app shop."""

    name = "tests.fleet_project.shop"
    label = "shop"

    def ready(self) -> None:
        """Write down that this process began, and that it came to its end."""
        file, tenant = os.environ.get("FLEET_AUDIT"), os.environ.get("OPSMIGRATE_TENANT")
        if file and tenant:
            _write_down(file, tenant, "begun")
            atexit.register(_write_down, file, tenant, "ended")
            time.sleep(float(os.environ.get("FLEET_PAUSE", "0")))


def _write_down(file: str, tenant: str, what: str) -> None:
    line = {"tenant": tenant, "what": what, "pid": os.getpid(), "at": time.time()}
    line["command"] = sys.argv[1:2]
    # One write of few bytes to the end: whole, whoever else writes.
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, (json.dumps(line) + "\n").encode())
    os.close(descriptor)
