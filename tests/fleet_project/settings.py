"""The settings of the project with many tenants: each schema tenant_… of the database is one."""

import os
import sys

import environ

if os.environ.get("OPSMIGRATE_TEST_DRIVER") == "psycopg2":
    sys.modules["psycopg"] = None  # type: ignore[assignment]

DATABASES = {"default": environ.Env.db_url_config(os.environ["DATABASE_URL"])}
SECRET_KEY = "only-for-tests-" + "x" * 40
INSTALLED_APPS = ["opsmigrate", "tests.fleet_project.shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
OPSMIGRATE = {
    "ENVIRONMENT": "test",
    "RELEASE": "test-release",
    "REHEARSE": os.environ.get("FLEET_REHEARSE", "off"),
    "OLD_RELEASE": "off",
    "FLEET": "tests.fleet_project.tenants.tenants",
}
