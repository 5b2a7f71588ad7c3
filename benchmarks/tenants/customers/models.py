"""The tenants."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):  # type: ignore[misc]
    """A tenant; the benchmark makes its schema itself."""

    auto_create_schema = False
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return str(self.schema_name)


class Domain(DomainMixin):  # type: ignore[misc]
    """A domain of a tenant."""
