"""The project's Celery app, as Celery's page about Django has it."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.fleet_project.settings")
app = Celery("tests.fleet_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
