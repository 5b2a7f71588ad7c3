"""The settings of the project with django-tenants; opsmigrate finds its tenants by itself."""

import os
import sys

import environ

if os.environ.get("OPSMIGRATE_TEST_DRIVER") == "psycopg2":
    sys.modules["psycopg"] = None  # type: ignore[assignment]

DATABASES = {
    "default": {
        **environ.Env.db_url_config(os.environ["DATABASE_URL"]),
        "ENGINE": "django_tenants.postgresql_backend",
    }
}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
SECRET_KEY = "only-for-tests-" + "x" * 40
SHARED_APPS = [
    "django_tenants",
    "tests.fleet_of_django_tenants.customers",
    "opsmigrate",
]
TENANT_APPS = ["django.contrib.contenttypes", "tests.fleet_project.shop"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
TENANT_MODEL = "customers.Client"
TENANT_DOMAIN_MODEL = "customers.Domain"
ROOT_URLCONF = "tests.fleet_of_django_tenants.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
OPSMIGRATE = {
    "ENVIRONMENT": "test",
    "RELEASE": "test-release",
    "REHEARSE": os.environ.get("FLEET_REHEARSE", "off"),
    "OLD_RELEASE": "off",
}
