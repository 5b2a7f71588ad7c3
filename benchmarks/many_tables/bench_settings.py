"""A project whose one app has as many tables as BENCH_TABLES says."""

import json
import os

SECRET_KEY = "only-for-a-benchmark"  # noqa: S105 - no site is served
INSTALLED_APPS = ["django_extensions", "many"]
DATABASES = {"default": json.loads(os.environ["BENCH_DATABASE"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIGRATION_MODULES = {"many": "many.made"}
USE_TZ = True
