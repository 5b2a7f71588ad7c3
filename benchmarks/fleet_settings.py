"""The tests' project of django-tenants, with more tables for each tenant (benchmarks/fleet.py)."""

import os

from tests.fleet_of_django_tenants import settings as tests

DATABASES = tests.DATABASES
DATABASE_ROUTERS = tests.DATABASE_ROUTERS
SECRET_KEY = tests.SECRET_KEY
TENANT_MODEL = tests.TENANT_MODEL
TENANT_DOMAIN_MODEL = tests.TENANT_DOMAIN_MODEL
DEFAULT_AUTO_FIELD = tests.DEFAULT_AUTO_FIELD
USE_TZ = tests.USE_TZ
SHARED_APPS = tests.SHARED_APPS
TENANT_APPS = [*tests.TENANT_APPS, "django.contrib.auth", "django.contrib.sessions"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
TENANT_MULTIPROCESSING_MAX_PROCESSES = os.cpu_count() or 2
OPSMIGRATE = {**tests.OPSMIGRATE, "REHEARSE": "auto"}
