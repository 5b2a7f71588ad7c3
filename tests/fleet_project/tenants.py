"""OPSMIGRATE["FLEET"] of the project: its tenants."""

import os
from collections.abc import Iterator

from django.db import connection

TENANTS = """
SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname LIKE 'tenant\\_%' ORDER BY 1
"""


def tenants() -> Iterator[dict[str, str]]:
    """Yield a target for each schema whose name begins with tenant_, and each of FLEET_ALSO."""
    with connection.cursor() as cursor:
        cursor.execute(TENANTS)
        for (schema,) in cursor.fetchall():
            yield {"alias": "default", "schema": schema}
    for schema in os.environ.get("FLEET_ALSO", "").split():
        yield {"alias": "default", "schema": schema}
