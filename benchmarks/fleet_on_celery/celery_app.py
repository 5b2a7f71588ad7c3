"""The project's Celery app."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.fleet_on_celery.settings")
app = Celery("benchmarks.fleet_on_celery")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
