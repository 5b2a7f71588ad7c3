"""The project of benchmarks/tenants with a Celery app of its own (fleet_workers.py)."""

from benchmarks.tenants_on_celery.celery_app import app as celery_app

__all__ = ("celery_app",)
