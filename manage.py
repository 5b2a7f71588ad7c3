#!/usr/bin/env python
"""Run the project's commands with the staging settings, unless others are named."""

import os
import sys

from opsmigrate import interrupts


def main(argv: list[str]) -> None:
    """Hand the command line to Django, or say in one sentence what is missing."""
    interrupts.end_with_130(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "staging_settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError as error:
        if error.name != "django":
            raise
        sys.exit("Django is not installed here; type: python -m pip install -r requirements.txt")
    try:
        execute_from_command_line(argv)
    except ImproperlyConfigured as error:
        if "--traceback" in argv:
            raise
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv)
