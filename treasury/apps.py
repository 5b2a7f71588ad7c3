"""The treasury application's registration."""

from django.apps import AppConfig


class TreasuryConfig(AppConfig):
    """Payments, dashboards and alerts."""

    name = "treasury"
    default_auto_field = "django.db.models.BigAutoField"
