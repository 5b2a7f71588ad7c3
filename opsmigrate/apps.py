"""Registration with Django."""

from django.apps import AppConfig
from django.core import checks


class OpsmigrateConfig(AppConfig):
    """The app: commands and system checks of its settings; no models, no migrations."""

    name = "opsmigrate"
    verbose_name = "opsmigrate"

    def ready(self) -> None:
        """Register the system checks of OPSMIGRATE."""
        from opsmigrate.checks import check_settings

        checks.register(check_settings)
