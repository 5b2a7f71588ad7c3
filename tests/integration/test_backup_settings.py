"""What a database or a role has set changes no backup: what passed as verified can be restored."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.backups import backup
from tests.conftest import Ops, execute, query

# Each with a value that is not the default, and that somebody might want.
SETTINGS = {
    "quote_all_identifiers": "on",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-5",
    "bytea_output": "escape",
    "xmlbinary": "hex",
    "xmloption": "document",
    "lc_monetary": "de_DE.utf8",
    "lc_numeric": "de_DE.utf8",
    "lc_time": "de_DE.utf8",
    "TimeZone": "Australia/Lord_Howe",
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "escape_string_warning": "on",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "default_toast_compression": "pglz",
    "default_text_search_config": "pg_catalog.german",
    "default_tablespace": "pg_default",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "row_security": "off",
    "session_replication_role": "replica",
    "check_function_bodies": "off",
    "search_path": "other, pg_catalog",
    "jit": "off",
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "statement_timeout": "900ms",
    "lock_timeout": "10ms",
    "idle_session_timeout": "900ms",
    "idle_in_transaction_session_timeout": "900ms",
    "transaction_timeout": "900ms",
    "log_statement": "all",
    "log_min_duration_statement": "0",
    "client_min_messages": "debug1",
    "client_encoding": "LATIN1",
    "synchronous_commit": "off",
    "work_mem": "64kB",
    "default_statistics_target": "7",
}
# What prints, or reads, a value or a definition otherwise: each is tried alone.
PRINTING = list(SETTINGS)[: list(SETTINGS).index("default_toast_compression")]
# Which locales there are differs from machine to machine: test_other_language.py has one.
ALONE = [*(name for name in PRINTING if not name.startswith("lc_")), "search_path"]
SCHEMA = (
    "CREATE SCHEMA other",
    'CREATE TYPE mood AS ENUM (\'so la\', \'it\'\'s\')',
    """CREATE TABLE "values" (
        id int PRIMARY KEY, price money, took interval, at timestamptz, day date,
        raw bytea, ratio float8, words text[], feeling mood, label text DEFAULT E'back\\\\slash',
        since timestamptz DEFAULT '2026-03-01 12:00:00+01',
        doubled int GENERATED ALWAYS AS (id * 2) STORED,
        CONSTRAINT "order" CHECK (label <> 'a''b' AND took > '-3 days'::interval),
        CHECK (at > '2020-01-01 00:00:00+00'::timestamptz),
        CHECK (price > '0.5'::numeric::money))""",
    'CREATE TABLE child (id int REFERENCES "values" (id), "user" text)',
    """INSERT INTO "values" (id, price, took, at, day, raw, ratio, words, feeling) VALUES
       (1, 1234.56::numeric::money, '-1 days +02:03:04.5', '2026-03-29 01:30:00+00', '2026-12-11',
        '\\\\x00ff5c27', 0.1::float8 + 0.2, ARRAY[NULL, 'NULL', 'a"b', 'c\\\\d'], 'it''s')""",
    "INSERT INTO child VALUES (1, 'x'), (NULL, NULL)",
    """CREATE VIEW seen AS SELECT v.id, v.at AT TIME ZONE 'UTC' AS utc, '1 day'::interval AS one,
       '2026-01-01 00:00:00+00'::timestamptz AS fixed, 2.5::money AS fee, c."user" IS NULL AS empty
       FROM "values" v LEFT JOIN child c USING (id)""",
    "CREATE INDEX ON child (lower(\"user\")) WHERE \"user\" <> 'it''s'",
    "CREATE FUNCTION twice(a int DEFAULT 3) RETURNS int LANGUAGE sql AS 'SELECT a * 2'",
)  # fmt: skip


@pytest.fixture
def varied(empty_database: str) -> str:
    """Return the alias of a database with values and definitions of many kinds."""
    for statement in SCHEMA:
        execute(connections[empty_database], statement.replace("\\\\", "\\"))
    return empty_database


def set_on(alias: str, names: Iterable[str], *, role: str | None = None) -> list[str]:
    """Set them on the database, or the role; return those that this server knows."""
    connection, done = connections[alias], []
    known = {name for (name,) in query(alias, "SELECT lower(name) FROM pg_settings")}
    locales = {name for (name,) in query(alias, "SELECT collcollate FROM pg_collation")}
    whose = (
        sql.SQL("ROLE {}").format(sql.Identifier(role))
        if role
        else sql.SQL("DATABASE {}").format(sql.Identifier(connection.settings_dict["NAME"]))
    )
    for name in names:
        value = SETTINGS[name]
        if name.lower() not in known or (name.startswith("lc_") and value not in locales):
            continue
        values = [part.strip() for part in value.split(",")] if name == "search_path" else [value]
        execute(
            connection,
            sql.SQL("ALTER {} SET {} TO {}").format(
                whose, sql.Identifier(name), sql.SQL(", ").join(map(sql.Literal, values))
            ),
        )
        done.append(name)
    connection.close()
    return done


def content(alias: str) -> list[tuple[object, ...]]:
    with connections[alias].cursor() as cursor:
        for name in ("TimeZone", "DateStyle", "IntervalStyle", "bytea_output", "lc_monetary"):
            cursor.execute(sql.SQL("RESET {}").format(sql.Identifier(name)))
        cursor.execute("SET extra_float_digits = 3; SET lc_monetary = 'C'; SET TimeZone = 'UTC'")
        cursor.execute("SET DateStyle = ISO; SET IntervalStyle = postgres; SET bytea_output = hex")
        cursor.execute('SELECT v::text FROM public."values" v')
        rows = list(cursor.fetchall())
    connections[alias].close()
    return rows


def require_restorable(ops: Ops, alias: str, folder: Path) -> None:
    before = content(alias)
    answer, file = backup(ops, alias, folder, verify="restore")
    assert answer.ids == []
    answer = ops("restore_db", str(file), database=alias, no_input=True)
    kept = answer.report["facts"].get("former_database")
    if kept:
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(kept))
        other = connections[alias].copy(f"stranger {alias}")
        execute(other, drop)
        other.close()
    assert answer.code == 0, answer.stdout
    assert content(alias) == before


@pytest.mark.parametrize("name", ALONE)
def test_what_a_database_has_set_does_not_show_in_its_backup(
    varied: str, ops: Ops, tmp_path: Path, name: str
) -> None:
    assert set_on(varied, [name])
    require_restorable(ops, varied, tmp_path)


@pytest.mark.major
def test_all_that_a_database_may_have_set_at_once(varied: str, ops: Ops, tmp_path: Path) -> None:
    assert len(set_on(varied, SETTINGS)) > len(SETTINGS) - 5
    require_restorable(ops, varied, tmp_path)


def test_all_that_a_role_may_have_set_at_once(
    varied: str, ops: Ops, tmp_path: Path, role: object
) -> None:
    made = role("SUPERUSER")  # type: ignore[operator]
    assert len(set_on(varied, SETTINGS, role=made["USER"])) > len(SETTINGS) - 5
    connections[varied].close()
    connections.settings[varied].update(made)
    del connections[varied]
    require_restorable(ops, varied, tmp_path)


@pytest.mark.long
def test_time_outs_of_the_role_for_who_idles_end_no_rehearsal(
    staging: str, ops: Ops, tmp_path: Path, role: object
) -> None:
    call_command("seed_payment_id", database=staging, verbosity=0, stdout=StringIO())
    made = role("SUPERUSER")  # type: ignore[operator]
    idle = [name for name in SETTINGS if "idle" in name or name == "transaction_timeout"]
    set_on(staging, idle, role=made["USER"])
    execute(
        connections[staging],
        "CREATE FUNCTION slow() RETURNS boolean LANGUAGE sql AS"
        " 'SELECT current_database() !~ ''^opsmigrate'' OR pg_sleep(0.5) IS NOT NULL'",
    )
    execute(connections[staging], "CREATE TABLE slowly (one int CHECK (slow()))")
    execute(connections[staging], "INSERT INTO slowly VALUES (1), (2), (3), (4), (5)")
    connections[staging].close()
    connections.settings[staging].update(made)
    del connections[staging]

    rehearsed = ops("preflight_migrate", database=staging, rehearse="clone")
    backup(ops, staging, tmp_path, verify="restore")

    assert rehearsed.report["facts"]["rehearsal"], rehearsed.stdout
    assert rehearsed.code in (0, 1), rehearsed.stdout
    assert query(staging, "SHOW idle_session_timeout") == [("900ms",)]
