"""The settings of the project of benchmarks/fleet.py, and those of the Celery app."""

import os

from benchmarks.fleet_settings import *  # noqa: F403

CELERY_BROKER_URL = os.environ["BENCH_BROKER"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
