"""Fixture: three tenants, of which the first has a plan, and what the others may have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from textwrap import dedent
from typing import Any

import pytest

from tests.conftest import ROOT, Answer
from tests.fleet_schemas import Fleet

MINE, OTHER, THIRD = "tenant_0001", "tenant_0002", "tenant_0003"
SETTINGS = """
from tests.fleet_project.settings import *
MIGRATION_MODULES = {"shop": "moved"}
if "CLONE_URL" in os.environ:
    DATABASES["clone"] = environ.Env.db_url_config(os.environ["CLONE_URL"])
    DATABASES["clone"]["OPTIONS"] = {"options": "-c search_path=tenant_0001,public"}
"""
FIRST = ROOT / "tests" / "fleet_project" / "shop" / "migrations" / "0001_initial.py"
PLAN = """
from django.db import migrations, models

def _rows(editor, query):
    with editor.connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        {}
    ]
"""
SHARED = """
CREATE TABLE public.code (id bigint PRIMARY KEY, name text CONSTRAINT code_name_key UNIQUE);
CREATE TABLE public.price (id bigint PRIMARY KEY, code bigint REFERENCES public.code (id));
ALTER TABLE {other}.shop_order ADD COLUMN price bigint REFERENCES public.price (id);
"""


def sql(text: str) -> str:
    """Return the operation that executes a text."""
    return f"migrations.RunSQL({text!r}),"


def some_quick(cases: Iterable[str], quick: set[str]) -> list[Any]:
    """Return the cases, of which those that are not quick are `long`."""
    return [pytest.param(each, marks=[] if each in quick else pytest.mark.long) for each in cases]


@pytest.fixture
def tenants(fleet: Callable[[int], Fleet]) -> Fleet:
    """Return three tenants whose plans are in the package `moved` beside their settings."""
    found = fleet(3)
    package = found.folder / "moved"
    package.mkdir()
    (found.folder / "moved_settings.py").write_text(SETTINGS)
    (package / "__init__.py").touch()
    (package / "0001_initial.py").write_text(FIRST.read_text())
    found.variables.update(
        DJANGO_SETTINGS_MODULE="moved_settings",
        PYTHONPATH=f"{found.environment['PYTHONPATH']}:{found.folder}",
        OPSMIGRATE_TARGET=f"default/{MINE}",
    )
    return found


def plan(tenants: Fleet, operations: str) -> None:
    """Let 0002 be pending with these operations."""
    text = PLAN.format(dedent(operations))
    (tenants.folder / "moved" / "0002_next.py").write_text(text)


def asked(tenants: Fleet, *arguments: str) -> Answer:
    """Run a command for the first tenant, and return its report."""
    return tenants.run(*arguments, "--format", "json")
