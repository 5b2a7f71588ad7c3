"""The app audit: a line when a process for a target begins, and one when it has come to its end."""

import atexit
import json
import os
import signal
import sys
import time
from pathlib import Path

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The app audit."""

    name = "tests.fleet_on_celery.audit"

    def ready(self) -> None:
        """Write that this process begins, where it is a command on a target; do as it is told."""
        file, target = os.environ.get("FLEET_AUDIT"), os.environ.get("OPSMIGRATE_TARGET")
        # A process that migrates is of the command that started it.
        if not file or not target or os.environ["FLEET_COMMAND"] not in sys.argv[1:2]:
            return
        label = target.partition("/")[2]
        _write(file, label, "begun")
        atexit.register(_write, file, label, "ended")
        if label in os.environ.get("FLEET_GATED", "").split():
            while not Path(f"{file}.{label}").exists():
                time.sleep(0.05)
        if label == os.environ.get("FLEET_KILLER"):
            os.kill(os.getppid(), signal.SIGKILL)


def _write(file: str, label: str, what: str) -> None:
    line = json.dumps({"label": label, "what": what, "pid": os.getpid(), "at": time.time()})
    # One write of a few bytes to the end: whole, whoever else writes.
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)
