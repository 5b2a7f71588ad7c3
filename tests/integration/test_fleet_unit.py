"""A unit of a fleet, with real processes: it works in its tenant's schema, and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.fleet_schemas import Fleet


@pytest.mark.long
def test_a_thousand_schemas_are_made_in_under_three_minutes(fleet: Callable[[int], Fleet]) -> None:
    """From a template, by SQL: what every test with 1,000 tenants begins with."""
    begun = time.monotonic()
    made = fleet(1000)
    assert len(made.schemas) == 1000
    assert time.monotonic() - begun < 180


def test_each_command_works_in_the_schema_that_the_variable_names(
    fleet: Callable[[int], Fleet],
) -> None:
    """Others keep what they have."""
    tenants = fleet(2)
    tenants.break_rows("tenant_0001")
    tenants.execute("public", "CREATE TABLE public.django_migrations (app text, name text)")
    tenants.execute("public", "CREATE SCHEMA ghost")
    said = {}
    for schema in (*tenants.schemas, "ghost", "nowhere"):
        target = f"default/{schema}"
        answer = tenants.run("preflight_migrate", "--format", "json", OPSMIGRATE_TARGET=target)
        said[schema] = answer.report["verdict"], answer.report["facts"]["summary"], answer.ids
    assert said["tenant_0001"][0] == "failed"
    assert "tenant_0001.shop_customer (email)" in said["tenant_0001"][1]
    # PostgreSQL and Django would take what is shared for the tenant's own.
    assert (said["ghost"][0], said["ghost"][2]) == ("refused", ["tenant-without-history"])
    assert (said["nowhere"][0], said["nowhere"][2]) == ("refused", ["tenant-schema-missing"])
    assert said["nowhere"][1] == "the schema nowhere of this target does not exist"
    assert said["tenant_0002"] == ("passed", "1 migration will apply", [])
