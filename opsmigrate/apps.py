"""Registration with Django."""

import os
import sys
from types import ModuleType

from django.apps import AppConfig
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.signals import connection_created

from opsmigrate import interrupts


class OpsmigrateConfig(AppConfig):
    """The app: commands and system checks of its settings; no models, no migrations."""

    name = "opsmigrate"
    verbose_name = "opsmigrate"

    def __init__(self, app_name: str, app_module: ModuleType | None) -> None:
        # Before the models of all apps are imported: most of the time until a command runs.
        interrupts.end_with_130(sys.argv)
        super().__init__(app_name, app_module)

    def ready(self) -> None:
        """Register the system checks of OPSMIGRATE; go into the schema that a fleet names."""
        from opsmigrate.checks import check_settings

        checks.register(check_settings)
        _enter_schema()


def _enter_schema() -> None:
    """Let the sessions of the alias be in the tenant's schema that the environment names."""
    # Only now: it takes Django's choice of a driver, which the settings may make.
    from opsmigrate.postgres import opening, tenant

    alias, schema = tenant.read_variable(os.environ) or (None, None)
    if alias is None or schema is None:
        return
    if alias not in connections.settings:
        # The database as it is would be no substitute.
        raise ImproperlyConfigured(f"{tenant.VARIABLE} names {alias!r}, no alias of DATABASES")
    tenant.put_on(connections.settings[alias], schema)
    connection_created.connect(opening.work_in_schema)
