"""A ManyToManyField that adds a column to its table, as some libraries have it."""

from typing import Any

from django.db import models


class SortedManyToManyField(models.ManyToManyField):
    """Keeps the order of what is related."""

    def contribute_to_class(self, cls: Any, name: str, **kwargs: Any) -> None:
        """Add the column to the table that Django makes up."""
        super().contribute_to_class(cls, name, **kwargs)
        through: Any = self.remote_field.through
        through.add_to_class("sort_value", models.IntegerField())
