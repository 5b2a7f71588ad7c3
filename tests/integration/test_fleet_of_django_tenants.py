"""A fleet of django-tenants: its tenants are found, and each is worked on in its own schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connections

from tests.conftest import query
from tests.fleet_schemas import Fleet

SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.fleet_of_django_tenants.settings"}
CONSTRAINTS = """
SELECT n.nspname FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
WHERE c.conname = 'shop_customer_email_unique' ORDER BY 1
"""
# What fits the arguments of our questions better than PostgreSQL's own; Django asks neither.
PLANTED = """
CREATE FUNCTION public.quote_ident(n name) RETURNS text LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'planted'; END $$;
CREATE FUNCTION public.unnest(a text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'planted'; END $$
"""


@pytest.mark.system
def test_each_tenant_is_migrated_in_its_own_schema(
    new_database: Callable[..., str], tmp_path: Path
) -> None:
    """Rehearsed as one class; rows that break one, and what is missing of two others, are said."""
    fleet = Fleet(new_database(prefix="tenants_"), [], tmp_path, SETTINGS)
    too_soon = fleet.run("fleet", "--list", "--format", "json")
    assert (too_soon.code, too_soon.ids) == (3, ["fleet-unknown"])
    [step] = too_soon.report["findings"][0]["steps"]
    assert step["text"] == "python manage.py migrate_schemas --shared"
    assert fleet.run(*step["text"].split()[2:], "-v", "0").code == 0
    with connections[fleet.alias].cursor() as cursor:
        cursor.execute(
            "INSERT INTO customers_client (schema_name, name) SELECT each, each"
            " FROM unnest(ARRAY['public', 'acme', 'beta', 'gamma', 'ghost', 'void']) each"
        )
        cursor.execute("".join(f"CREATE SCHEMA {each};" for each in ("acme", "beta", "gamma")))
    for schema in ("acme", "beta", "gamma"):
        made = fleet.run("migrate_schemas", "shop", "0001", "--schema", schema, "-v", "0")
        assert made.code == 0, made.stderr
        made = fleet.run("migrate_schemas", "contenttypes", "--schema", schema, "-v", "0")
        assert made.code == 0, made.stderr
    fleet.execute("public", "CREATE SCHEMA ghost")
    fleet.execute("beta", "INSERT INTO shop_customer (email, note) VALUES ('a', ''), ('a', '')")
    fleet.execute("public", PLANTED)

    answer = fleet.run("fleet", "migrate_safely", "--format", "json", FLEET_REHEARSE="schema")
    found = {each["label"]: each for each in answer.report["facts"]["targets"]}
    assert {label: each["verdict"] for label, each in found.items()} == {
        "public": "passed",
        "acme": "passed",
        "beta": "failed",
        "gamma": "passed",
        "ghost": "refused",
        "void": "refused",
    }, answer.stdout
    assert sorted(answer.ids) == [
        "duplicate-values",
        "tenant-schema-missing",
        "tenant-without-history",
    ]
    assert query(fleet.alias, CONSTRAINTS) == [("acme",), ("gamma",)]
    assert found["public"]["attempts"] == 0
    # Their engine sets the search_path for each cursor: not for ours, where names are pg_catalog's.
    assert "planted" not in answer.stdout

    [missing] = [
        each for each in answer.report["findings"] if each["id"] == "tenant-schema-missing"
    ]
    assert [each["text"] for each in missing["steps"]] == [
        "python manage.py create_missing_schemas"
    ]
    assert fleet.run("create_missing_schemas").code == 0
    made = fleet.run("fleet", "preflight_migrate", "--only", "void", "--format", "json")
    assert made.code == 0, made.stdout

    again = fleet.run("fleet", "preflight_migrate", "--only", "[ag]?m*", "--format", "json")
    assert (again.code, again.report["facts"]["counts"]) == (0, {"passed": 2}), again.stdout
