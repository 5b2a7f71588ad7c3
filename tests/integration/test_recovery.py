"""After a migration that is not atomic stopped half-way: what the report says leads to the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from django.db import connections

from tests.conftest import ROOT, Answer, Ops, execute, query, url_of
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist, unannounced

AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True, db_index=True)),'
WEIGHT = 'migrations.AddField("cage", "weight", models.IntegerField(default=7)),'
INDEX = 'AddIndexConcurrently("cage", models.Index(fields=["name", "size"], name="zoo_name")),'
UNIQUE = (
    'migrations.AddConstraint("cage", models.UniqueConstraint(fields=["size"], name="zoo_one")),'
)
BY_HAND = 'migrations.RunSQL("CREATE UNIQUE INDEX CONCURRENTLY zoo_one ON zoo_cage (size)"),'
CODE = "migrations.RunPython(lambda apps, editor: None, migrations.RunPython.noop),"
ONE_WAY = "migrations.RunPython(lambda apps, editor: None),"


@pytest.fixture
def cages(empty_database: str, write_migrations: Write) -> str:
    """Return a database with two cages of one size."""
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    for statement in (ROW, ROW):
        execute(connections[empty_database], statement)
    return empty_database


def half_applied(answer: Answer) -> dict[str, object]:
    """Return the one finding that says where the migration stopped."""
    (finding,) = [each for each in answer.report["findings"] if each["id"] == "half-applied"]
    assert finding["migration"] == "zoo.0002_step"
    return dict(finding)


def applied(alias: str) -> bool:
    """Say whether the second migration is recorded, and a third could follow."""
    return bool(query(alias, "SELECT 1 FROM django_migrations WHERE name = '0002_step'"))


STOPS = {
    "the third operation finds duplicates": (f"{AGE}\n{WEIGHT}\n{UNIQUE}\n{INDEX}", 2),
    "a foreign key of a new table is missing": (
        f"{KEEPER}{UNIQUE}",
        1,
    ),
    "an index is INVALID after a duplicate": (f"{WEIGHT}\n{BY_HAND}", 1),
    "nothing but an INVALID index": (BY_HAND, 0),
    "an INVALID index among other SQL": (
        """migrations.RunSQL(["SELECT 1", ('/* once */ CREATE UNIQUE INDEX CONCURRENTLY "zoo one" '
        'ON public."zoo_cage" (size)')]),""",
        0,
    ),
    "code is among the rest": (f"{AGE}\n{UNIQUE}\n{CODE}", 1),
    "code may have run": (f"{WEIGHT}\n{CODE}\n{UNIQUE}", 2),
    "code that cannot be undone may have run": (f"{WEIGHT}\n{ONE_WAY}\n{UNIQUE}", 2),
    "unique together was made in part": (
        f'{WEIGHT}\nmigrations.AlterUniqueTogether("cage", {{("id", "size"), ("size",)}}),',
        1,
    ),
    "a generated column was made": (
        'migrations.AddField("cage", "twice", models.GeneratedField('
        'expression=models.F("size") * 2,'
        f" output_field=models.IntegerField(), db_persist=True)),\n{UNIQUE}",
        1,
    ),
    "a many-to-many relation was made in part": (
        'migrations.AddField("cage", "friends", models.ManyToManyField("self")),\n' + UNIQUE,
        0,
    ),
    "what was renamed and removed": (
        'migrations.RenameField("cage", "name", "title"),\n'
        'migrations.RenameModel("Cage", "Pen"),\n'
        'migrations.RemoveField("pen", "title"),\n'
        'migrations.AlterField("pen", "size", models.IntegerField(unique=True)),',
        3,
    ),
}


@pytest.mark.major
@pytest.mark.parametrize("name", STOPS, ids=lambda name: name.replace(" ", "-"))
def test_what_the_hint_says_finishes_a_migration_that_stopped(
    name: str, cages: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    pending, done = STOPS[name]
    write_migrations(CAGE, pending, atomic=False)
    assert "duplicate" in (migrate(cages, "zoo") or "") or "unique" in (migrate(cages, "zoo") or "")

    answer = ops("preflight_migrate", "zoo", database=cages)
    finding = half_applied(answer)

    evidence = dict(finding["evidence"])
    assert len(evidence["done"]) == done
    table = "zoo_pen" if "Pen" in pending else "zoo_cage"
    execute(connections[cages], f"UPDATE {table} SET size = id")
    assert unannounced(finding, typist.type(cages, finding)) == []
    assert applied(cages)
    assert query(cages, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    with_all = described(cages)
    assert with_all == directly(cages, pending, write_migrations)


def described(alias: str) -> list[tuple[str, ...]]:
    """Return columns, constraints and indexes of the zoo."""
    return query(
        alias,
        """
        SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod),
               attnotnull::text
        FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
          AND attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r' AND relname ~ '^zoo')
        UNION ALL
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated::text
        FROM pg_constraint WHERE conrelid::regclass::text ~ '^zoo' AND contype <> 'n'
        UNION ALL
        SELECT indrelid::regclass::text, '', pg_get_indexdef(indexrelid), indisvalid::text
        FROM pg_index WHERE indrelid::regclass::text ~ '^zoo'
        ORDER BY 1, 2, 3
        """,
    )


def directly(alias: str, pending: str, write_migrations: Write) -> list[tuple[str, ...]]:
    """Return what the database is where the migration applies at once."""
    execute(connections[alias], "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    write_migrations(CAGE, pending, atomic=False)
    assert migrate(alias, "zoo") is None
    return described(alias)


def test_a_migration_that_was_killed_before_it_was_recorded_is_only_recorded(
    cages: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    write_migrations(CAGE, f"{AGE}\n{INDEX}", atomic=False)
    assert migrate(cages, "zoo") is None
    execute(connections[cages], "DELETE FROM django_migrations WHERE name = '0002_step'")

    finding = half_applied(ops("preflight_migrate", "zoo", database=cages))

    assert [step["text"] for step in finding["steps"]] == [
        f"python manage.py migrate --database {cages} zoo 0002_step --fake"
    ]
    assert typist.type(cages, finding) == []
    assert ops("preflight_migrate", "zoo", database=cages).code == 0


def test_a_kill_while_an_index_is_made_leaves_an_invalid_one_that_the_hint_drops(
    cages: str, write_migrations: Write, ops: Ops, typist: Typist
) -> None:
    write_migrations(CAGE, INDEX, atomic=False)
    holder = connections[cages].copy(f"stranger {cages}")
    execute(holder, "BEGIN; UPDATE zoo_cage SET size = 5")
    runner = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        cwd=ROOT,
        env={**os.environ, "URL": url_of(cages), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        wait_for_invalid(cages)
    finally:
        runner.send_signal(signal.SIGKILL)
        runner.wait()
        kill_backends(cages)
        holder.close()

    finding = half_applied(ops("preflight_migrate", "zoo", database=cages))

    assert [step["text"] for step in finding["steps"]] == [
        'DROP INDEX CONCURRENTLY "public"."zoo_name";',
        f"python manage.py migrate --database {cages} zoo 0002_step",
    ]
    assert typist.type(cages, finding) == []
    assert applied(cages)


# The migration's own statement, in a process that is killed while it waits for the writer.
KILLED = """
import os
import django
from django.conf import settings
import environ
settings.configure(DATABASES={"default": environ.Env.db_url_config(os.environ["URL"])})
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("CREATE INDEX CONCURRENTLY zoo_name ON zoo_cage (name, size)")
"""


def wait_for_invalid(alias: str) -> None:
    """Wait until the index is in the catalog."""
    deadline = time.monotonic() + 30
    while not query(alias, "SELECT 1 FROM pg_index WHERE NOT indisvalid"):
        assert time.monotonic() < deadline, "no index is being made"
        time.sleep(0.05)


def kill_backends(alias: str) -> None:
    """End what the killed process left running on the server."""
    query(
        alias,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE query LIKE 'CREATE INDEX CONCURRENTLY%%' AND datname = current_database()",
    )


@pytest.mark.parametrize(
    ("drift", "atomic"),
    [
        ((), False),
        (("ALTER TABLE zoo_cage ADD COLUMN weight bigint NOT NULL",), False),
        (("ALTER TABLE zoo_cage ADD COLUMN age integer",), True),
    ],
    ids=["untouched", "other-drift", "atomic"],
)
def test_what_did_not_stop_half_way_is_not_said_to_have(
    drift: tuple[str, ...], atomic: bool, cages: str, write_migrations: Write, ops: Ops
) -> None:
    execute(connections[cages], "DELETE FROM zoo_cage")
    for statement in drift:
        execute(connections[cages], statement)
    write_migrations(CAGE, f"{AGE}\n{WEIGHT}", atomic=atomic)

    assert "half-applied" not in ops("preflight_migrate", "zoo", database=cages).ids


def test_a_later_migration_cannot_have_begun(cages: str, write_migrations: Write, ops: Ops) -> None:
    write_migrations(CAGE, WEIGHT, AGE + UNIQUE, atomic=False)
    execute(connections[cages], "ALTER TABLE zoo_cage ADD COLUMN age integer")

    answer = ops("preflight_migrate", "zoo", database=cages)

    assert "column-exists" in answer.ids
    assert "half-applied" not in answer.ids
