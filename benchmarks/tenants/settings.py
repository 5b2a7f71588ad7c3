"""The settings: auth, content types and a shop for each tenant; DATABASE_URL names the database."""

import os

import environ

DATABASES = {
    "default": {
        **environ.Env.db_url_config(os.environ["DATABASE_URL"]),
        "ENGINE": "django_tenants.postgresql_backend",
    }
}
DATABASE_ROUTERS = ("django_tenants.routers.TenantSyncRouter",)
TENANT_MODEL = "customers.Tenant"
TENANT_DOMAIN_MODEL = "customers.Domain"
SHARED_APPS = ("django_tenants", "benchmarks.tenants.customers", "django.contrib.contenttypes")
TENANT_APPS = (
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "benchmarks.tenants.shop",
)
INSTALLED_APPS = [
    *SHARED_APPS,
    *(each for each in TENANT_APPS if each not in SHARED_APPS),
    "opsmigrate",
]
SECRET_KEY = "only-for-benchmarks-" + "x" * 40
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TENANT_MULTIPROCESSING_MAX_PROCESSES = os.cpu_count() or 2
OPSMIGRATE = {
    "ENVIRONMENT": "test",
    "REHEARSE": os.environ.get("BENCH_REHEARSE", "auto"),
    "JOURNAL_DIR": os.environ.get("BENCH_JOURNAL", "reports"),
}
