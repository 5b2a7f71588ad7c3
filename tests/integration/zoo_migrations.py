"""Migrations that a test writes for itself, and the real migrate to compare with."""

import importlib
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from secrets import token_hex
from textwrap import indent
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

MODULE = """
import uuid
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateRangeField, IntegerRangeField
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import (
    BrinIndex, GinIndex, HashIndex, OpClass, SpGistIndex,
)
from django.contrib.postgres.operations import (
    AddConstraintNotValid, AddIndexConcurrently, CreateCollation, CreateExtension,
    RemoveIndexConcurrently, ValidateConstraint,
)
from django.contrib.postgres.search import SearchVector
from django.core.management.color import no_style
from django.db import migrations, models, transaction
from django.db.models import Func
from django.db.models.functions import Lower, Now

NAME = {extension!r}

class Migration(migrations.Migration):
    dependencies = {dependencies}
{body}
"""
BODY = """
atomic = {atomic}
operations = [
{operations}
]
"""

Write = Callable[..., None]


def writer(folder: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that gives the app zoo these migrations, in a package of their own.

    Each is the text of its operations, or the whole body of its class Migration.
    """

    def write(
        *operations: str,
        atomic: bool = True,
        extension: str = "plpgsql",
        third_depends_on_first: bool = False,
        missing: bool = False,
    ) -> None:
        package = f"zoo_{token_hex(4)}"
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
        for number, text in enumerate(operations, 1):
            earlier = 1 if third_depends_on_first and number == 3 else number - 1
            before = [("zoo", f"000{earlier}_step")] if number > 1 else []
            if missing and number > 1:
                before = [("zoo", "0000_nowhere")]
            (folder / package / f"000{number}_step.py").write_text(
                MODULE.format(
                    dependencies=before,
                    body=indent(_body(text, atomic=atomic), "    "),
                    extension=extension,
                )
            )
        importlib.invalidate_caches()
        settings.MIGRATION_MODULES = {"zoo": package}
        monkeypatch.setenv("ZOO_MIGRATIONS", package)

    return write


def _body(text: str, *, atomic: bool) -> str:
    """Return the body of a class Migration, of its operations or as it was given."""
    if "operations = [" in text:
        return text
    return BODY.format(atomic=atomic, operations=text)


def migrate(alias: str, *target: str) -> str | None:
    """Run the real migrate; return PostgreSQL's or Django's words where it fails."""
    try:
        call_command("migrate", *target, database=alias, verbosity=0, stdout=StringIO())
    except Exception as error:  # what a migration raises is anybody's guess
        return str(error)
    finally:
        # Where a deferred statement fails, Django leaves the transaction open.
        connections[alias].close()
        connections[alias].connect()
    return None
