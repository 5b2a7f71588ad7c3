"""Tenants beside the one that is asked about: left out where they are nothing to it, only there."""

from __future__ import annotations

import pytest

from tests.fleet_schemas import Fleet
from tests.tenant_plans import MINE, OTHER, SHARED, THIRD, asked, plan, some_quick, sql

# What is made by hand, the operations of the plan, and whether migrate will apply them.
CASES = {
    "of its own": ("", sql("ALTER TABLE shop_order ADD COLUMN note text"), True),
    "a column that another one's table has": (
        "",
        sql(f"ALTER TABLE {OTHER}.shop_customer ADD COLUMN note text"),
        False,
    ),
    "a table that is found in another schema": (
        "",
        sql(f"SET search_path = {OTHER}; CREATE TABLE shop_order (id bigint)"),
        False,
    ),
    "a table that another schema does not have": (
        "",
        sql(f"CREATE TABLE {OTHER}.something (id bigint)"),
        True,
    ),
    "a view of another one over its column": (
        f"CREATE VIEW {OTHER}.notes AS SELECT note FROM {MINE}.shop_customer",
        sql("ALTER TABLE shop_customer ALTER COLUMN note TYPE text"),
        False,
    ),
    "a view of a third over a view of another one": (
        f"CREATE VIEW {OTHER}.notes AS SELECT note FROM {MINE}.shop_customer;"
        f"CREATE VIEW {THIRD}.notes AS SELECT note FROM {OTHER}.notes",
        sql("DROP VIEW IF EXISTS notes; ALTER TABLE shop_customer DROP COLUMN note"),
        False,
    ),
    "a table that inherits": (
        f"CREATE TABLE {OTHER}.special (extra text) INHERITS ({MINE}.shop_customer)",
        sql("ALTER TABLE shop_customer ADD COLUMN extra integer"),
        False,
    ),
    "a shared table that it references": (
        SHARED.format(other=OTHER),
        sql("DROP TABLE public.price"),
        False,
    ),
    "an index that its key rests on": (
        f"{SHARED.format(other=OTHER)}"
        "CREATE UNIQUE INDEX price_id ON public.price (id);"
        f"ALTER TABLE {OTHER}.shop_order DROP COLUMN price;"
        "ALTER TABLE public.price DROP CONSTRAINT price_pkey;"
        f"ALTER TABLE {OTHER}.shop_order ADD price bigint REFERENCES public.price (id)",
        sql("DROP INDEX public.price_id"),
        False,
    ),
    "a shared table behind the one that it references": (
        SHARED.format(other=OTHER),
        sql("DROP TABLE public.code"),
        False,
    ),
    "an extension that it uses": (
        "CREATE EXTENSION vector SCHEMA public;"
        f"ALTER TABLE {OTHER}.shop_customer ADD COLUMN place public.vector(3)",
        sql("DROP EXTENSION vector"),
        False,
    ),
    "a table of an extension that its view uses": (
        "CREATE EXTENSION vector SCHEMA public;"
        "CREATE TABLE public.unit (id bigint, name text);"
        "ALTER EXTENSION vector ADD TABLE public.unit;"
        f"CREATE VIEW {OTHER}.units AS SELECT name FROM public.unit",
        sql("ALTER TABLE public.unit DROP COLUMN name"),
        False,
    ),
    "a sequence of another one in dollar quotes": (
        f"CREATE SEQUENCE {OTHER}.numbers",
        sql(f"ALTER TABLE shop_order ADD n bigint DEFAULT nextval($${OTHER}.numbers$$)"),
        True,
    ),
    "a type that it uses": (
        f"CREATE TYPE public.size AS ENUM ('S', 'M');"
        f"ALTER TABLE {OTHER}.shop_customer ADD COLUMN size public.size",
        sql("DROP TYPE public.size"),
        False,
    ),
    "a function that it calls": (
        "CREATE FUNCTION public.next() RETURNS int IMMUTABLE LANGUAGE sql RETURN 1;"
        f"ALTER TABLE {OTHER}.shop_customer ALTER COLUMN note SET DEFAULT public.next()",
        sql("DROP FUNCTION public.next()"),
        False,
    ),
    "a schema that others rest on": (
        "CREATE SCHEMA shared; CREATE TABLE shared.code (id bigint PRIMARY KEY);"
        f"ALTER TABLE {OTHER}.shop_order ADD COLUMN code bigint REFERENCES shared.code (id);"
        f"CREATE VIEW {THIRD}.codes AS SELECT id FROM shared.code",
        sql("DROP TABLE shared.code; DROP SCHEMA shared"),
        False,
    ),
}
# Without a copy nobody knows what is found where a path was set by hand.
OPEN = {"a table that is found in another schema"}
QUICK = {
    "a column that another one's table has",
    "a view of a third over a view of another one",
    "a shared table that it references",
    "an extension that it uses",
}


@pytest.mark.parametrize("case", some_quick(CASES, QUICK))
def test_the_verdict_is_what_migrate_does_whatever_rests_on_what(tenants: Fleet, case: str) -> None:
    """Whether a neighbour is left out, read, or reached by the plan only."""
    by_hand, operations, applies = CASES[case]
    if by_hand:
        tenants.execute("public", by_hand)
    plan(tenants, operations)
    answer = asked(tenants, "preflight_migrate")
    migrated = tenants.run("migrate")
    assert (migrated.code == 0) is applies, migrated.stderr
    right = "passed" if applies else "failed"
    assert answer.report["verdict"] == ("undecided" if case in OPEN else right), answer.stdout


def test_a_table_that_the_models_have_in_another_schema_is_there(tenants: Fleet) -> None:
    """Nothing is said to be missing that was only not read."""
    operation = """
        migrations.CreateModel(
            "Note",
            [("id", models.BigAutoField(primary_key=True))],
            options={"db_table": 'tenant_0002"."note'},
        ),
    """
    plan(tenants, operation)
    assert asked(tenants, "preflight_migrate").report["verdict"] == "passed"
    assert tenants.run("migrate").code == 0
    assert asked(tenants, "check_drift").report["verdict"] == "passed"
    tenants.execute(OTHER, "DROP TABLE note")
    drifted = asked(tenants, "check_drift")
    assert (drifted.report["verdict"], drifted.ids) == ("failed", ["drift-table-missing"])


def test_a_missing_table_is_not_to_be_taken_from_another_tenant(tenants: Fleet) -> None:
    """Whether that one is read or not, the answer is the same."""
    tenants.execute(MINE, "DROP TABLE shop_order")
    apart = asked(tenants, "check_drift").report["findings"]
    tenants.execute("public", f"CREATE VIEW {OTHER}.v AS SELECT id FROM {MINE}.shop_customer")
    assert asked(tenants, "check_drift").report["findings"] == apart
    assert OTHER not in str(apart)


def test_the_history_of_another_tenant_is_not_ones_own(tenants: Fleet) -> None:
    """Where migrate makes it, an event trigger may refuse that."""
    tenants.execute(
        "public",
        f"CREATE VIEW {OTHER}.v AS SELECT id FROM {MINE}.shop_customer;"
        f"DROP TABLE {MINE}.django_migrations;"
        "CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql"
        " AS 'BEGIN RAISE EXCEPTION ''no''; END';"
        "CREATE EVENT TRIGGER no ON ddl_command_start EXECUTE FUNCTION public.no()",
    )
    assert asked(tenants, "preflight_migrate", "--fake").report["verdict"] == "undecided"
    assert tenants.run("migrate", "--fake").code == 1
