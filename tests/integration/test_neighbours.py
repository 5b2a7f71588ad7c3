"""Tenants beside the one that is asked about: left out where they are nothing to it, only there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from textwrap import dedent
from typing import Any

import pytest
from django.db import connections

from opsmigrate.postgres.catalog import read_catalog
from opsmigrate.postgres.connected_schemas import read_neighbours
from opsmigrate.postgres.neighbours import NOBODY, Neighbours
from opsmigrate.postgres.tenant import KEY
from opsmigrate.preflight.interpret.reading import read_schema
from tests.conftest import ROOT, Answer, url_of
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
    return f"migrations.RunSQL({text!r}),"


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
    "a column that another one's table has",
    "a view of a third over a view of another one",
    "a shared table that it references",
    "an extension that it uses",
    "its own rows",
    "code that goes through all schemas",
    "a trigger that works in another schema",
}


def some_quick(cases: Iterable[str]) -> list[Any]:
    """Return the cases, of which those that are not quick are `long`."""
    return [pytest.param(each, marks=[] if each in QUICK else pytest.mark.long) for each in cases]


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
    return tenants.run(*arguments, "--format", "json")


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


@pytest.mark.parametrize("case", some_quick(CASES))
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


@pytest.mark.parametrize("case", some_quick(ON_A_COPY))
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
