"""A project with many tenants, one schema each, and a Celery app of its own."""
