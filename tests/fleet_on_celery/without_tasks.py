"""A Celery app of the project that does not know the tasks of its apps."""

import os

from celery import Celery

app = Celery("tests.fleet_on_celery.without_tasks", broker=os.environ["FLEET_BROKER_URL"])
