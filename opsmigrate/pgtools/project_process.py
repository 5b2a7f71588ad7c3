"""The environment of a Python process that works with the project's own settings and code."""

import os
import sys

from django.conf import settings as django_settings


def project_environment(**variables: str) -> dict[str, str]:
    """Return the environment of a process that finds what this one finds, with more variables."""
    # Where manage.py stands is on our path only; --settings is in the environment by now.
    return {
        "DJANGO_SETTINGS_MODULE": str(django_settings.SETTINGS_MODULE),
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        **variables,
    }
