"""The app audit: a line when a process for a target begins, and one when it has come to its end."""

import atexit
import json
import os
import time

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The app audit."""

    name = "tests.fleet_on_celery.audit"

    def ready(self) -> None:
        """Write that this process begins, where it is one of a target."""
        file, target = os.environ.get("FLEET_AUDIT"), os.environ.get("OPSMIGRATE_TARGET")
        if file and target:
            schema = json.loads(target)["schema"]
            _write(file, schema, "begun")
            atexit.register(_write, file, schema, "ended")
            time.sleep(float(os.environ.get("FLEET_PAUSE", "0")))


def _write(file: str, schema: str, what: str) -> None:
    line = json.dumps({"schema": schema, "what": what, "pid": os.getpid(), "at": time.time()})
    # One write of a few bytes to the end: whole, whoever else writes.
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)
