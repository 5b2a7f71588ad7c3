"""The settings of the project with many tenants, and those of its Celery app."""

import os
from pathlib import Path

from tests.fleet_project.settings import *  # noqa: F403
from tests.fleet_project.settings import INSTALLED_APPS as OF_THE_PROJECT
from tests.fleet_project.settings import OPSMIGRATE as OF_OPSMIGRATE

FOLDER = Path(os.environ["FLEET_FOLDER"])
INSTALLED_APPS = [*OF_THE_PROJECT, "tests.fleet_on_celery.audit"]
OPSMIGRATE = {**OF_OPSMIGRATE, "JOURNAL_DIR": FOLDER / "reports"}
if storage := os.environ.get("FLEET_STORAGE"):
    OPSMIGRATE["FLEET_STORAGE"] = storage
STORAGES = {
    "bucket": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": FOLDER / "bucket"},
    },
}
CELERY_BROKER_URL = os.environ["FLEET_BROKER_URL"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": int(os.environ.get("FLEET_VISIBILITY_TIMEOUT", "3600"))
}
# A project may well keep the results of its own tasks; those of a fleet are not among them.
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = True
CELERY_WORKER_SEND_TASK_EVENTS = True
