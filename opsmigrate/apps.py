"""Registration with Django."""

import sys
from types import ModuleType

from django.apps import AppConfig
from django.core import checks

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
        """Register the system checks of OPSMIGRATE."""
        from opsmigrate.checks import check_settings

        checks.register(check_settings)
