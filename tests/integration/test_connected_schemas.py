"""Which schemas are connected with that of a tenant, and read; the others are left out."""

from __future__ import annotations

import pytest
from django.db import connections

from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.postgres.connected_schemas import read_neighbours
from opsmigrate.postgres.neighbours import NOBODY, Neighbours
from opsmigrate.postgres.tenant import KEY
from opsmigrate.preflight.interpret.reading import read_schema
from tests.fleet_schemas import Fleet
from tests.tenant_plans import MINE, OTHER, SHARED, THIRD


def neighbours(tenants: Fleet, schema: str | None = MINE) -> Neighbours:
    """Return who is left out for a tenant."""
    connection = connections[tenants.alias].copy()
    path = f"-c search_path={schema or 'public'},public"
    connection.settings_dict["OPTIONS"] = {
        **(connection.settings_dict.get("OPTIONS") or {}),
        "options": path,
    }
    if schema is not None:
        connection.settings_dict[KEY] = schema
    try:
        return read_neighbours(connection)
    finally:
        connection.close()


def test_who_has_nothing_to_do_with_a_tenant_is_left_out(tenants: Fleet) -> None:
    """Of the others neither catalog nor schema has anything; of the rest both have all."""
    out = neighbours(tenants)
    assert (out.schemas, out.referenced) == ({OTHER, THIRD}, frozenset())
    connection = connections[tenants.alias]
    catalog, every = read_catalog(connection, out), read_catalog(connection)
    mine = [each for each in every.relations if each.schema not in out.schemas]
    assert [(*each[:4], *each[5:]) for each in catalog.relations] == [
        (*each[:4], *each[5:]) for each in mine
    ]
    assert {each.schema for each in catalog.relations} == {MINE}
    schema, whole = read_schema(connection, out), read_schema(connection)
    assert schema.relations == {
        name: each for name, each in whole.relations.items() if name.schema == MINE
    }


@pytest.mark.parametrize(
    "meanwhile",
    [
        f"ALTER TABLE {MINE}.shop_order ADD other bigint REFERENCES {OTHER}.shop_order (id)",
        f"CREATE TABLE {MINE}.special (extra text) INHERITS ({OTHER}.shop_customer)",
    ],
)
def test_who_is_connected_after_it_was_asked_is_read(tenants: Fleet, meanwhile: str) -> None:
    """Between the question of who is left out and the reading, others go on."""
    out = neighbours(tenants)
    tenants.execute("public", meanwhile)
    connection = connections[tenants.alias]
    assert read_schema(connection, out).relations == read_schema(connection).relations


def test_without_a_tenant_nothing_is_left_out(tenants: Fleet) -> None:
    assert neighbours(tenants, None) == NOBODY


@pytest.mark.long
@pytest.mark.parametrize(
    ("by_hand", "left_out", "referenced"),
    [
        (f"CREATE VIEW {OTHER}.v AS SELECT id FROM {MINE}.shop_customer", {THIRD}, set()),
        (f"CREATE VIEW {MINE}.v AS SELECT id FROM {OTHER}.shop_customer", {THIRD}, set()),
        (f"CREATE VIEW {OTHER}.v AS SELECT id FROM {THIRD}.shop_customer", {OTHER, THIRD}, set()),
        (
            f"CREATE VIEW {OTHER}.v AS SELECT id FROM {MINE}.shop_customer;"
            f"CREATE VIEW {THIRD}.v AS SELECT id FROM {OTHER}.v",
            set(),
            set(),
        ),
        (SHARED.format(other=OTHER), {OTHER, THIRD}, {"code", "price", "price_pkey"}),
        (
            f"ALTER TABLE {MINE}.shop_order ADD other bigint REFERENCES {OTHER}.shop_order (id)",
            {THIRD},
            set(),
        ),
        (
            "CREATE DOMAIN public.key AS bigint; CREATE TABLE public.code (id public.key PRIMARY"
            f" KEY); ALTER TABLE {OTHER}.shop_order ADD code bigint REFERENCES public.code (id)",
            {THIRD},
            set(),
        ),
        (
            "CREATE EXTENSION vector SCHEMA public;"
            f"ALTER TABLE {OTHER}.shop_customer ADD COLUMN place public.vector(3);"
            f"ALTER TABLE {MINE}.shop_customer ADD COLUMN place public.vector(3)",
            {OTHER, THIRD},
            set(),
        ),
        (
            "CREATE TABLE public.base (id bigint);"
            "CREATE TABLE public.code (PRIMARY KEY (id)) INHERITS (public.base);"
            f"ALTER TABLE {OTHER}.shop_order ADD code bigint REFERENCES public.code (id)",
            {THIRD},
            set(),
        ),
        (
            "CREATE TABLE public.base (id bigint);"
            "CREATE TABLE public.code (PRIMARY KEY (id)) INHERITS (public.base);"
            "CREATE TABLE public.price (id bigint PRIMARY KEY, code bigint REFERENCES public.code);"
            "CREATE VIEW public.prices AS SELECT id FROM public.price;"
            "CREATE VIEW public.same_prices AS SELECT id FROM public.prices;"
            "CREATE TABLE public.log (id bigint);"
            "CREATE RULE r AS ON DELETE TO public.log DO ALSO DELETE FROM public.price;"
            f"ALTER TABLE {OTHER}.shop_order ADD price bigint REFERENCES public.price (id)",
            {OTHER, THIRD},
            {"base", "code", "log", "price", "price_pkey", "prices", "same_prices"},
        ),
        (
            "CREATE EXTENSION vector SCHEMA public; CREATE TYPE public.pair AS (a int, b int);"
            "ALTER EXTENSION vector ADD TYPE public.pair;"
            f"ALTER TABLE {OTHER}.shop_order ADD pair public.pair",
            {THIRD},
            set(),
        ),
        (f"DROP TABLE {OTHER}.django_migrations", {THIRD}, set()),
    ],
)
def test_who_is_connected_is_read_and_who_is_connected_with_those(
    tenants: Fleet, by_hand: str, left_out: set[str], referenced: set[str]
) -> None:
    """But for a foreign key onto a plain table, which is remembered; extensions are everybody's."""
    tenants.execute("public", by_hand)
    found = neighbours(tenants)
    assert (found.schemas, found.referenced) == (left_out, referenced)
