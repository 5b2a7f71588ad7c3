"""A project's own `migrate`, which does something after Django's."""

from typing import Any

from django.core.management import CommandError
from django.core.management.commands import migrate


class Command(migrate.Command):
    """Fails at its end."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what Django's does, and fail."""
        super().handle(*args, **options)
        raise CommandError("no tenant is there")
