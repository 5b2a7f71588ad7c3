"""The project with many tenants, which has a Celery app of its own.

The app is imported here, as Celery's page about Django says: so each process of manage.py has it.
"""

from tests.fleet_on_celery.celery_app import app as celery_app

__all__ = ("celery_app",)
