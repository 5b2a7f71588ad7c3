"""Its settings: where the database, the broker and the results are is said by the environment."""

import os
from pathlib import Path

import environ

from tests.server import given_url

if os.environ.get("OPSMIGRATE_TEST_DRIVER") == "psycopg2":
    import sys

    sys.modules["psycopg"] = None  # type: ignore[assignment]

DATABASES = {
    "default": environ.Env.db_url_config(
        os.environ.get("FLEET_DATABASE_URL") or given_url() or "postgres://127.0.0.1:1/none"
    )
}
SECRET_KEY = "only-for-tests-" + "x" * 40
INSTALLED_APPS = ["opsmigrate", "tests.fleet_project.shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
FOLDER = Path(os.environ.get("FLEET_FOLDER", "/nowhere"))
OPSMIGRATE = {
    "ENVIRONMENT": "test",
    "RELEASE": "test-release",
    "REHEARSE": "off",
    "OLD_RELEASE": "off",
    "FLEET": "tests.fleet_project.tenants.of_the_database",
    "JOURNAL_DIR": str(FOLDER / "reports"),
    "BACKUP_DIR": str(FOLDER / "backups"),
}
if os.environ.get("FLEET_STORAGE"):
    OPSMIGRATE["FLEET_STORAGE"] = os.environ["FLEET_STORAGE"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "fleet": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(FOLDER / "bucket")},
    },
}
CELERY_BROKER_URL = os.environ.get("FLEET_BROKER_URL", "redis://127.0.0.1:1/0")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": int(os.environ.get("FLEET_VISIBILITY_TIMEOUT", "3600"))
}
# A project may well keep its own results; those of a fleet are not among them.
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = True
