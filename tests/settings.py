"""The settings of the tests: treasury and opsmigrate on the server that the tests were given."""

import os
import sys

import environ

from tests.server import given_url

if os.environ.get("OPSMIGRATE_TEST_DRIVER") == "psycopg2":
    # Django prefers psycopg 3 where it finds it; so that it does not, for this process only.
    sys.modules["psycopg"] = None  # type: ignore[assignment]

DATABASES = {
    # Without a variable, tests/conftest.py starts an embedded server and fills this in.
    "default": environ.Env.db_url_config(given_url() or "postgres://127.0.0.1:1/none")
}
SECRET_KEY = "only-for-tests-" + "x" * 40
DEBUG = False
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
RELEASE = "test-release"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "treasury",
    "opsmigrate",
    "tests.zoo",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ROOT_URLCONF = "treasury.site"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "treasury:dashboards"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
OPSMIGRATE = {
    # Half of the plans of the tests break it on purpose: test_old_release.py asks for it.
    "OLD_RELEASE": "off",
    "ENVIRONMENT": "test",
    "RELEASE": "test-release",
    "REHEARSE": "off",  # but in the tests of the rehearsal itself
    # The examined server: a server of its own for each rehearsal would take its time. The tests
    # of the fence have one.
    "REHEARSE_ON": os.environ.get("OPSMIGRATE_TEST_REHEARSE_ON", "default") or None,
    "SEED": {"model": "treasury.Payment", "field": "payment_id"},
}
# Named by a test whose command runs in a process of its own.
MIGRATION_MODULES = {"zoo": os.environ.get("ZOO_MIGRATIONS")}
