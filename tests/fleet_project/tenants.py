"""The tenants of the project: each schema of the database that is called tenant_…."""

from collections.abc import Iterator

from django.db import connection

TENANTS = """
SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname LIKE 'tenant\\_%' ORDER BY nspname
"""


def of_the_database() -> Iterator[dict[str, str]]:
    """Yield the tenants, as OPSMIGRATE["FLEET"] asks for them."""
    with connection.cursor() as cursor:
        cursor.execute(TENANTS)
        names = [name for (name,) in cursor.fetchall()]
    connection.close()
    for name in names:
        yield {"alias": "default", "schema": name}
