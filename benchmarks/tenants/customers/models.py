"""The tenants."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):
    """A tenant; the benchmark makes its schema itself."""

    auto_create_schema = False
    name = models.CharField(max_length=100)


class Domain(DomainMixin):
    """A domain of a tenant."""
