"""The migrations that a database records as applied."""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql
from django.db.migrations.recorder import MigrationRecorder


def applied_migrations(connection: BaseDatabaseWrapper) -> tuple[str, ...]:
    """Return the applied migrations as sorted `app.name`; empty where nothing was ever applied.

    Read on this very connection, for instance inside its snapshot: the recorder itself asks
    whichever connection its alias has.
    """
    recorder = MigrationRecorder(connection)
    if not recorder.has_table():
        return ()
    query = sql.SQL("SELECT app, name FROM {}").format(
        sql.Identifier(recorder.Migration._meta.db_table)
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return tuple(sorted(f"{app}.{name}" for app, name in cursor.fetchall()))
