"""The Celery task of a fleet. Celery finds it through opsmigrate/tasks.py, and nothing else does.

Its message says which run and which target, and nothing more: what is to be done is read from the
files of the run, which only the project's own processes write.
"""

from __future__ import annotations

import os
from typing import Any

from celery import shared_task
from django.db import connections

from opsmigrate.conf import load_settings
from opsmigrate.fleet.about import folder_of
from opsmigrate.fleet.delivery import deliver
from opsmigrate.fleet.shared_place import SharedPlace, files_of

NAME = "opsmigrate.fleet.run"


@shared_task(  # type: ignore[untyped-decorator]
    bind=True,
    name=NAME,
    # Acknowledged at its end: what a lost worker had is delivered to another one.
    acks_late=True,
    reject_on_worker_lost=True,
    retry_on_worker_lost=False,
    # Its result is a file; not even its errors go to the project's result back end.
    ignore_result=True,
    store_errors_even_if_ignored=False,
    # Whether it is to be run again is decided where the outcomes are.
    max_retries=0,
)
def run(self: Any, run: str, label: str) -> str:
    """Run the unit of a target; return in a word what became of it. `run` names its folder."""
    settings = load_settings()
    # Raises UsageError where it is no name of a folder: it comes from a broker.
    folder = folder_of(settings.journal_dir, run)
    place = SharedPlace(files_of(folder, settings.fleet_storage))
    worker = f"{self.request.hostname or 'celery'}:{os.getpid()}"
    return deliver(
        label,
        place=place,
        connection_of=lambda alias: connections[alias],
        release=settings.release,
        worker=worker,
    )
