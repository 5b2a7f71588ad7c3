"""The migrations that a database records as applied."""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder


def applied_migrations(connection: BaseDatabaseWrapper) -> tuple[str, ...]:
    """Return the applied migrations as sorted `app.name`; empty where nothing was ever applied."""
    recorded = MigrationRecorder(connection).applied_migrations()
    return tuple(sorted(f"{app}.{name}" for app, name in recorded))
