"""The staging settings of the example project; what differs between hosts is in the environment."""

import re
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent
env = environ.Env()
read_url = environ.Env.db_url_config
environ.Env.read_env(BASE_DIR / ".env")

LOOPBACK_HOSTS = {"127.0.0.1", "localhost", "[::1]"}


def required(name: str, example: str) -> str:
    """Return the variable `name`, or raise ImproperlyConfigured saying what to set."""
    value: str = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set; set it in the environment or in .env, for instance {example}"
        )
    return value


def database() -> dict[str, object]:
    """Return the DATABASES entry that DATABASE_URL describes; its text is never repeated."""
    example = "DATABASE_URL=postgres://staging:staging@127.0.0.1:5432/staging"
    url = required("DATABASE_URL", f"for the PostgreSQL of compose.yaml: {example}")
    try:
        # An @ after the name of the host is part of a password with / ? or # in it.
        is_url = re.match(r"\w+://[^/?#]*($|[/?#][^@]*$)", url)
        parsed: dict[str, object] = read_url(url) if is_url else {}
    except Exception:
        parsed = {}
    if not parsed:
        # Outside of the block above: the error in it has parts of the text, and would be shown.
        raise ImproperlyConfigured(
            "DATABASE_URL cannot be read; percent-encode characters such as @ : / # in the "
            f"password, as in {example}"
        )
    if parsed.get("ENGINE") != "django.db.backends.postgresql":
        raise ImproperlyConfigured(
            f"DATABASE_URL does not name a PostgreSQL database; set it as in {example}"
        )
    return parsed


DATABASES = {"default": database()}
SECRET_KEY = required(
    "SECRET_KEY",
    "the output of: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
)
DEBUG = env.bool("DEBUG", default=False)
RELEASE = env.str("OPSMIGRATE_RELEASE", default="") or None

# LOCAL_HTTP=1: the site is tried out over plain HTTP on this machine, and nowhere else.
LOCAL_HTTP = env.bool("LOCAL_HTTP", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=sorted(LOOPBACK_HOSTS) if LOCAL_HTTP else [])
if LOCAL_HTTP and not set(ALLOWED_HOSTS) <= LOOPBACK_HOSTS:
    raise ImproperlyConfigured(
        "LOCAL_HTTP=1 is for a loopback host only, but ALLOWED_HOSTS is "
        f"{','.join(ALLOWED_HOSTS)}; unset LOCAL_HTTP, or set ALLOWED_HOSTS=127.0.0.1,localhost"
    )

SECURE_SSL_REDIRECT = not LOCAL_HTTP
SECURE_REDIRECT_EXEMPT = [r"^healthz/?$"]
SECURE_HSTS_SECONDS = 0 if LOCAL_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not LOCAL_HTTP
SECURE_HSTS_PRELOAD = not LOCAL_HTTP
SESSION_COOKIE_SECURE = not LOCAL_HTTP
CSRF_COOKIE_SECURE = not LOCAL_HTTP
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
# Only behind a proxy that always sets or strips this header.
if env.bool("TRUST_X_FORWARDED_PROTO", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "treasury",
    "opsmigrate",
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
WSGI_APPLICATION = "treasury.wsgi.application"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "treasury:dashboards"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / ".static"

OPSMIGRATE = {
    "ENVIRONMENT": "staging",
    "BACKUP_DIR": env.str("BACKUP_DIR", default="") or str(BASE_DIR / "backups"),
    "SEAL_KEY": env.str("OPSMIGRATE_SEAL_KEY", default="") or None,
    "SEED": {"model": "treasury.Payment", "field": "payment_id"},
    "UAT": {
        "BASE_URL": env.str("UAT_BASE_URL", default="") or None,
        "LOGIN": {
            "url": "login",
            "username": env.str("UAT_USERNAME", default=""),
            "password": env.str("UAT_PASSWORD", default=""),
        },
        "URLS": [
            {"url": "treasury:healthz", "text": '"status": "ok"', "budget_ms": 1000},
            {"url": "treasury:dashboards", "text": "Dashboards", "budget_ms": 2000},
            {"url": "treasury:alerts", "text": "Alerts", "budget_ms": 2000},
        ],
        "HEALTH_URL": "treasury:healthz",
    },
}
