"""Where a setting of the session comes from, and what takes it away there."""

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.names import quoted

READ_ONLY = "default_transaction_read_only"
SOURCE = """
SELECT source, current_user::text, current_database()::text FROM pg_settings WHERE name = %s
"""


def resets_of(connection: BaseDatabaseWrapper, name: str) -> tuple[str, ...]:
    """Return the statements that take back what ALTER ROLE or ALTER DATABASE set.

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
    if source not in statements:
        return ()
    # It holds for who takes it back, too.
    before = (f"SET {name} = off",) if name == READ_ONLY else ()
    return (*before, statements[source])
