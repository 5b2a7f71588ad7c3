"""A rehearsal of one tenant: the copy has the others only where something may reach them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import url_of
from tests.fleet_schemas import Fleet
from tests.tenant_plans import MINE, OTHER, SHARED, asked, plan, some_quick

FAILS_ELSEWHERE = f"""
migrations.RunPython(lambda apps, editor: editor.execute(
    "UPDATE {OTHER}.shop_customer SET email = NULL")),
"""
# In the schemas of others it meets a table that it does not in this one.
GOES_THROUGH_ALL = """
migrations.RunPython(lambda apps, editor: [
    editor.execute(f'CREATE TABLE "{schema}".log (id bigint)')
    for (schema,) in _rows(editor, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant%%'")
]),
"""
# What is made by hand, the operations, whether migrate applies them, and how many others are left
# out of the copy.
ON_A_COPY: dict[str, tuple[str, str, bool, int]] = {
    "of its own": ("", "migrations.RunPython(migrations.RunPython.noop),", True, 2),
    "its own rows": (
        "",
        """migrations.RunPython(lambda apps, editor: editor.execute(
            "UPDATE shop_customer SET email = NULL")),""",
        False,
        2,
    ),
    "code that touches another one": ("", FAILS_ELSEWHERE, False, 0),
    "code that goes through all schemas": (
        f"CREATE TABLE {OTHER}.log (id bigint)",
        GOES_THROUGH_ALL,
        False,
        0,
    ),
    "a trigger that touches another one": (
        "CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" UPDATE {OTHER}.shop_customer SET email = NULL; RETURN NEW; END $$;"
        f" CREATE TRIGGER tell BEFORE UPDATE ON {MINE}.shop_customer"
        " FOR EACH ROW EXECUTE FUNCTION public.tell()",
        """migrations.RunPython(lambda apps, editor: editor.execute(
            "UPDATE shop_customer SET email = email || 'x'")),""",
        False,
        0,
    ),
    "a trigger that works in another schema": (
        "CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql"
        f" SET search_path = {OTHER} AS $$ BEGIN"
        " UPDATE shop_order SET amount = -1; RETURN NEW; END $$;"
        f" CREATE TRIGGER tell BEFORE UPDATE ON {MINE}.shop_customer"
        " FOR EACH ROW EXECUTE FUNCTION public.tell()",
        """migrations.RunPython(lambda apps, editor: editor.execute(
            "UPDATE shop_customer SET email = email || 'x'")),""",
        False,
        0,
    ),
    "others with constraints that rows contradict": (
        f"ALTER TABLE {OTHER}.shop_order ADD CONSTRAINT extra CHECK (amount > 0);"
        f"CREATE TABLE {OTHER}.t (a int NOT NULL); INSERT INTO {OTHER}.t VALUES (1);"
        f"ALTER TABLE {OTHER}.shop_order DROP CONSTRAINT extra",
        "migrations.RunPython(migrations.RunPython.noop),",
        True,
        2,
    ),
    "an event trigger that calls another one's function": (
        f"CREATE FUNCTION {OTHER}.tell() RETURNS event_trigger LANGUAGE plpgsql AS"
        f" 'BEGIN END'; CREATE EVENT TRIGGER tell ON sql_drop EXECUTE FUNCTION {OTHER}.tell()",
        "migrations.RunPython(migrations.RunPython.noop),",
        True,
        1,
    ),
    "an extension in another one's schema": (
        f"CREATE EXTENSION vector SCHEMA {OTHER}",
        "migrations.RunPython(migrations.RunPython.noop),",
        True,
        1,
    ),
    "a cast by another one's function": (
        "CREATE TYPE public.size AS (a int);"
        f"CREATE FUNCTION {OTHER}.f(public.size) RETURNS int IMMUTABLE LANGUAGE sql"
        f" RETURN ($1).a; CREATE CAST (public.size AS int) WITH FUNCTION {OTHER}.f(public.size)",
        "migrations.RunPython(migrations.RunPython.noop),",
        True,
        1,
    ),
    "a publication of all tables": (
        "CREATE PUBLICATION every FOR ALL TABLES",
        "migrations.RunPython(migrations.RunPython.noop),",
        True,
        2,
    ),
    "a name that is a pattern": (
        f'ALTER SCHEMA {OTHER} RENAME TO "ten*nt?.%|";',
        "migrations.RunPython(migrations.RunPython.noop),",
        True,
        2,
    ),
    "a view of another one": (
        f"CREATE VIEW {OTHER}.notes AS SELECT note FROM {MINE}.shop_customer",
        "migrations.RunPython(migrations.RunPython.noop),",
        True,
        1,
    ),
    "a shared table that others reference": (
        SHARED.format(other=OTHER),
        "migrations.RunPython(migrations.RunPython.noop),",
        True,
        2,
    ),
}
QUICK = {
    "its own rows",
    "code that goes through all schemas",
    "a trigger that works in another schema",
}


@pytest.mark.parametrize("case", some_quick(ON_A_COPY, QUICK))
def test_a_rehearsal_copies_neighbours_only_where_something_may_reach_them(
    tenants: Fleet, case: str
) -> None:
    """And its verdict is what migrate does."""
    by_hand, operations, applies, left_out = ON_A_COPY[case]
    if by_hand:
        tenants.execute("public", by_hand)
    plan(tenants, operations)
    answer = asked(tenants, "preflight_migrate", "--rehearse", "clone")
    migrated = tenants.run("migrate")
    assert (migrated.code == 0) is applies, migrated.stderr
    assert answer.report["verdict"] == ("passed" if applies else "failed"), answer.stdout
    rehearsal = answer.report["facts"]["rehearsal"]
    assert rehearsal["other_tenants_left_out"] == left_out
    assert rehearsal["differences"] == []


@pytest.mark.long
def test_a_clone_is_rehearsed_in_once(tenants: Fleet, new_database: Callable[..., str]) -> None:
    """Whom code reaches, the rehearsal tells; and the clone is then migrated."""
    connections[tenants.alias].close()
    clone = new_database(template=connections[tenants.alias].settings_dict["NAME"])
    # Python would add two literals as it compiles.
    text = '"ALTER TABLE tenant_{:04}.shop_order ADD COLUMN note text".format(2)'
    plan(tenants, f"migrations.RunPython(lambda apps, editor: editor.execute({text})),")
    tenants.variables["CLONE_URL"] = url_of(clone)
    answer = asked(tenants, "preflight_migrate", "--rehearse-in", "clone", "--no-input")
    assert answer.report["verdict"] == "passed", answer.stdout
    assert tenants.run("migrate").code == 0
