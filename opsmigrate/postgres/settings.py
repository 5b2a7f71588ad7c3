"""Where a setting of the session comes from, and what takes it away there."""

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.names import quoted

SOURCE = """
SELECT source, current_user::text, current_database()::text FROM pg_settings WHERE name = %s
"""


def reset_of(connection: BaseDatabaseWrapper, name: str) -> str | None:
    """Return the statement that takes back what ALTER ROLE or ALTER DATABASE set.

    None where it was set elsewhere: by the client, or in the server's configuration.
    """
    with connection.cursor() as cursor:
        cursor.execute(SOURCE, [name])
        source, role, database = cursor.fetchone()
    statements = {
        "user": f"ALTER ROLE {quoted(role)} RESET {name}",
        "database": f"ALTER DATABASE {quoted(database)} RESET {name}",
        "database user": f"ALTER ROLE {quoted(role)} IN DATABASE {quoted(database)} RESET {name}",
    }
    return statements.get(source)
