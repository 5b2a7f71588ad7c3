"""The project of benchmarks/fleet.py with a Celery app of its own (benchmarks/fleet_workers.py)."""

from benchmarks.fleet_on_celery.celery_app import app as celery_app

__all__ = ("celery_app",)
