"""Where Celery's autodiscover_tasks() looks. Other queues look here too, and have no Celery."""

from contextlib import suppress

with suppress(ModuleNotFoundError):
    from opsmigrate.fleet.tasks import run as run
