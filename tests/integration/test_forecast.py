"""The forecast of locks, rewrites and scans equals what the server then does."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings

from opsmigrate.postgres.lock_modes import MODES, mode_of
from tests.conftest import Ops, execute, query
from tests.integration.zoo_migrations import Write, migrate, writer
from tests.prepared import database_alias

pytestmark = pytest.mark.major

FIRST = """
migrations.CreateModel("Cage", [
    ("id", models.BigAutoField(primary_key=True)),
    ("code", models.UUIDField(unique=True, db_default=RandomUUID())),
    ("name", models.CharField(max_length=20)),
    ("note", models.TextField(default="")),
    ("size", models.IntegerField(null=True)),
    ("price", models.DecimalField(max_digits=8, decimal_places=2, default=1)),
]),
migrations.CreateModel("Keeper", [
    ("id", models.BigAutoField(primary_key=True)),
    ("cage", models.ForeignKey("zoo.Cage", models.CASCADE, null=True)),
    ("loose", models.ForeignKey("zoo.Cage", models.CASCADE, null=True, db_constraint=False,
        related_name="+")),
]),
migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),
migrations.AddConstraint("cage", models.CheckConstraint(
    condition=models.Q(size__gt=0), name="zoo_positive")),
migrations.AddConstraint("cage", models.CheckConstraint(
    condition=models.Q(note__isnull=False), name="zoo_note")),
"""
ROWS = (
    "INSERT INTO zoo_cage (code, name, size, note, price)"
    " SELECT gen_random_uuid(), n::text, n, '', 1 FROM generate_series(1, 50) n",
    "INSERT INTO zoo_keeper (cage_id, loose_id) SELECT id, id FROM zoo_cage",
    "ALTER TABLE zoo_cage ALTER note DROP NOT NULL",
    "CREATE TABLE zoo_free (a text, b varchar(9) NOT NULL, c char(3), d inet, e cidr)",
    "INSERT INTO zoo_free SELECT 'a', n::text, 'c', '::1', '::1' FROM generate_series(1, 9) n",
    "ANALYZE",
)
FIELD = "models.IntegerField(null=True)"
OPERATIONS = {
    "add a nullable column": f'migrations.AddField("cage", "age", {FIELD})',
    "add a column with a constant default": (
        'migrations.AddField("cage", "age", models.IntegerField(default=7))'
    ),
    "add a column with a default of the database": (
        'migrations.AddField("cage", "age", models.IntegerField(db_default=7))'
    ),
    "add a column with a volatile default": (
        'migrations.AddField("cage", "tag", models.UUIDField(db_default=RandomUUID()))'
    ),
    "add a column with a stable default": (
        'migrations.AddField("cage", "at", models.DateTimeField(db_default=Now()))'
    ),
    "add a generated column": (
        'migrations.AddField("cage", "twice", models.GeneratedField(expression='
        'models.F("size") * 2, output_field=models.IntegerField(), db_persist=True))'
    ),
    "add a column with a check": (
        'migrations.AddField("cage", "age", models.PositiveIntegerField(null=True))'
    ),
    "add a unique column": (
        'migrations.AddField("cage", "tag", models.IntegerField(null=True, unique=True))'
    ),
    "add a column with an index": (
        'migrations.AddField("cage", "tag", models.IntegerField(null=True, db_index=True))'
    ),
    "add a foreign key column": (
        'migrations.AddField("cage", "head", models.ForeignKey("zoo.Keeper", models.CASCADE,'
        ' null=True, related_name="+"))'
    ),
    "add a constraint to a foreign key": (
        'migrations.AlterField("keeper", "loose", models.ForeignKey("zoo.Cage", models.CASCADE,'
        ' null=True, related_name="+"))'
    ),
    "drop the constraint of a foreign key": (
        'migrations.AlterField("keeper", "cage", models.ForeignKey("zoo.Cage", models.CASCADE,'
        " null=True, db_constraint=False))"
    ),
    "drop a column": 'migrations.RemoveField("cage", "price")',
    "drop a foreign key column": 'migrations.RemoveField("keeper", "cage")',
    "rename a column": 'migrations.RenameField("cage", "size", "extent")',
    "a wider integer": 'migrations.AlterField("cage", "size", models.BigIntegerField(null=True))',
    "a longer varchar": 'migrations.AlterField("cage", "name", models.CharField(max_length=30))',
    "a shorter varchar": 'migrations.AlterField("cage", "name", models.CharField(max_length=9))',
    "varchar to text": 'migrations.AlterField("cage", "name", models.TextField())',
    "text to varchar": 'migrations.AlterField("cage", "note", models.CharField(max_length=9))',
    "more digits": (
        'migrations.AlterField("cage", "price", models.DecimalField('
        "max_digits=9, decimal_places=2, default=1))"
    ),
    "more decimals": (
        'migrations.AlterField("cage", "price", models.DecimalField('
        "max_digits=9, decimal_places=3, default=1))"
    ),
    "a primary key of another type": (
        'migrations.AlterField("cage", "id", models.AutoField(primary_key=True))'
    ),
    "not null": 'migrations.AlterField("cage", "size", models.IntegerField())',
    "not null with a default": (
        'migrations.AlterField("cage", "size", models.IntegerField(default=3))'
    ),
    "not null that a check proves": 'migrations.AlterField("cage", "note", models.TextField())',
    "nullable": 'migrations.AlterField("cage", "name", models.CharField(max_length=20, null=True))',
    "a default of the database": (
        'migrations.AlterField("cage", "size", models.IntegerField(null=True, db_default=3))'
    ),
    "an index": 'migrations.AddIndex("cage", models.Index(fields=["name"], name="zoo_name"))',
    "an index for LIKE": (
        'migrations.AlterField("cage", "name", models.CharField(max_length=20, db_index=True))'
    ),
    "drop an index": 'migrations.RemoveIndex("cage", "zoo_size")',
    "rename an index": (
        'migrations.RenameIndex("cage", old_name="zoo_size", new_name="zoo_extent")'
    ),
    "a unique constraint": (
        'migrations.AddConstraint("cage", models.UniqueConstraint('
        'fields=["name"], name="zoo_unique"))'
    ),
    "a partial unique constraint": (
        'migrations.AddConstraint("cage", models.UniqueConstraint(fields=["name"],'
        ' condition=models.Q(size=1), name="zoo_unique"))'
    ),
    "a unique constraint on an expression": (
        'migrations.AddConstraint("cage", models.UniqueConstraint(Lower("name"), name="zoo_lower"))'
    ),
    "a check": (
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(size__lt=99), name="zoo_small"))'
    ),
    "drop a check": 'migrations.RemoveConstraint("cage", "zoo_positive")',
    "a check that is not validated": (
        'AddConstraintNotValid("cage", models.CheckConstraint('
        'condition=models.Q(size__lt=99), name="zoo_small"))'
    ),
    "a check, validated": (
        'AddConstraintNotValid("cage", models.CheckConstraint('
        'condition=models.Q(size__lt=99), name="zoo_small")),\n'
        'ValidateConstraint("cage", "zoo_small")'
    ),
    "unique together": 'migrations.AlterUniqueTogether("cage", {("name", "size")})',
    "rename a table": (
        f'migrations.RenameModel("Cage", "Pen"),\nmigrations.AddField("pen", "age", {FIELD})'
    ),
    "drop a table": 'migrations.DeleteModel("Keeper")',
    "a new table that points here": (
        'migrations.CreateModel("Guest", [("id", models.BigAutoField(primary_key=True)),'
        ' ("cage", models.ForeignKey("zoo.Cage", models.CASCADE))])'
    ),
    "many to many": (
        'migrations.AddField("keeper", "more", models.ManyToManyField("zoo.Cage",'
        ' related_name="+"))'
    ),
    "a comment": 'migrations.AlterModelTableComment("cage", "what stands here")',
    **{
        f"by hand: {statement}": f"migrations.RunSQL({statement!r})"
        for statement in (
            "UPDATE zoo_cage SET size = 3 WHERE name = 'a'",
            "DELETE FROM ONLY zoo_keeper",
            "ALTER TABLE zoo_cage SET (fillfactor = 80), ALTER size SET STATISTICS 20",
            "ALTER TABLE zoo_free SET UNLOGGED",
            "ALTER TABLE ONLY public.zoo_free ALTER a TYPE varchar(20)",
            "ALTER TABLE zoo_free ALTER b TYPE text, ALTER d SET DEFAULT '::2'",
            "ALTER TABLE zoo_free ALTER COLUMN e TYPE inet USING e::inet",
            "ALTER TABLE zoo_free ALTER c TYPE text",
            "ALTER TABLE zoo_free ALTER c TYPE char(3)",
            "ALTER TABLE zoo_free ADD COLUMN n serial; CREATE INDEX ON zoo_free (a)",
            "ALTER TABLE zoo_free ADD COLUMN n int GENERATED BY DEFAULT AS IDENTITY",
            "ALTER TABLE zoo_free ALTER b TYPE varchar(9) USING b || ''",
            "CREATE TRIGGER t BEFORE UPDATE ON zoo_cage FOR EACH ROW"
            " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "/* strong */ LOCK TABLE zoo_cage, zoo_free IN SHARE ROW EXCLUSIVE MODE",
            "COMMENT ON COLUMN zoo_free.a IS 'x; ALTER TABLE zoo_cage'",
            "CLUSTER zoo_cage USING zoo_size",
            "REINDEX TABLE zoo_cage",
            "ALTER TABLE zoo_keeper ADD CONSTRAINT k FOREIGN KEY (loose_id)"
            " REFERENCES zoo_cage (id) NOT VALID; ALTER TABLE zoo_keeper VALIDATE CONSTRAINT k",
            "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_cage_pkey CASCADE",
        )
    },
}
ASK = """
SELECT c.oid, pg_relation_filenode(c.oid), pg_stat_get_xact_numscans(c.oid),
       ARRAY(SELECT mode FROM pg_locks l WHERE l.relation = c.oid AND l.pid = pg_backend_pid()
             AND l.granted)
FROM unnest(%s::oid[]) AS c (oid)
"""


@dataclass
class Done:
    """What the server did: the strongest mode, the file and the scans of each table."""

    oids: dict[str, int]
    locks: dict[str, str] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    scans: dict[str, int] = field(default_factory=dict)
    rewrites: set[str] = field(default_factory=set)

    def look(self, connection: BaseDatabaseWrapper) -> None:
        """Note the present state; a live table keeps its oid whatever it is called."""
        with connection.connection.cursor() as cursor:
            cursor.execute(ASK, [list(self.oids.values())])
            rows = cursor.fetchall()
        names = {oid: name for name, oid in self.oids.items()}
        for oid, file, scans, modes in rows:
            name = names[oid]
            strongest = max((mode_of(mode) for mode in modes), key=MODES.index, default=None)
            if strongest and MODES.index(strongest) >= MODES.index("ROW SHARE"):
                before = self.locks.get(name, strongest)
                self.locks[name] = max(before, strongest, key=MODES.index)
            if file and self.files.setdefault(name, file) != file:
                self.rewrites.add(name)
            self.scans[name] = max(self.scans.get(name, 0), scans)


@pytest.fixture(scope="module")
def zoo(
    django_db_modify_db_settings: None,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Yield the alias of a database with cages and keepers; every test undoes what it did."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("zoo")
    patch.syspath_prepend(folder)

    with django_db_blocker.unblock(), database_alias() as alias:
        chosen = SimpleNamespace()
        writer(folder, chosen, patch)(FIRST)
        with override_settings(MIGRATION_MODULES=chosen.MIGRATION_MODULES):
            assert migrate(alias, "zoo") is None
        for statement in ROWS:
            execute(connections[alias], statement)
        patch.undo()
        yield alias


@contextmanager
def undone(alias: str) -> Iterator[None]:
    """Roll back what the block does."""

    class Undo(Exception):
        pass

    with suppress(Undo), transaction.atomic(using=alias):
        yield
        raise Undo


def forecast(alias: str, ops: Ops) -> tuple[dict[str, str], set[str], set[str]]:
    """Return the locks, rewrites and scans of the plan as preflight_migrate says them."""
    answer = ops("preflight_migrate", "zoo", database=alias)
    assert answer.report["verdict"] in ("passed", "undecided"), answer.stdout
    locks: dict[str, str] = {}
    rewrites, scans = set(), set()
    for each in answer.report["facts"]["statements"]:
        assert each["understood"], each
        for lock in each["locks"]:
            table = lock["table"].removeprefix("public.")
            locks[table] = max(locks.get(table, lock["mode"]), lock["mode"], key=MODES.index)
        rewrites |= {table.removeprefix("public.") for table in each["rewrites"]}
        scans |= {table.removeprefix("public.") for table in each["scans"]}
    return locks, rewrites, scans - rewrites


def really(alias: str) -> Done:
    """Run migrate inside a transaction that is rolled back, and return what it did."""
    connection = connections[alias]
    tables = query(
        alias, "SELECT relname, oid FROM pg_class WHERE relkind = 'r' AND relname ~ '^zoo_'"
    )
    done = Done(dict(tables))

    def watch(run: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        try:
            return run(sql, params, many, context)
        finally:
            done.look(connection)

    with undone(alias):
        for kind in ("indexscan", "bitmapscan", "indexonlyscan"):
            execute(connection, f"SET LOCAL enable_{kind} = off")
        done.look(connection)
        before = dict(done.scans)
        with connection.execute_wrapper(watch):
            call_command("migrate", "zoo", database=alias, verbosity=0)
    done.scans = {name: count - before.get(name, 0) for name, count in done.scans.items()}
    return done


@pytest.mark.parametrize("name", OPERATIONS, ids=lambda name: name.replace(" ", "-")[:60])
def test_the_server_locks_rewrites_and_reads_what_the_forecast_says(
    name: str, zoo: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(FIRST, OPERATIONS[name] + ",")

    locks, rewrites, scans = forecast(zoo, ops)
    done = really(zoo)

    assert locks == done.locks
    assert rewrites == done.rewrites
    assert scans == {name for name, count in done.scans.items() if count} - done.rewrites


def waits(alias: str, statement: str) -> dict[str, str]:
    """Return the locks of a statement that waits for a writer, which makes it visible."""
    writer, seen = (
        connections[alias].copy(f"stranger {alias}"),
        connections[alias].copy(f"stranger {alias}"),
    )
    runner = connections[alias].copy(f"stranger {alias}")
    runner.inc_thread_sharing()
    execute(writer, "BEGIN; UPDATE zoo_cage SET size = 1 WHERE id = 1")
    thread = threading.Thread(target=lambda: execute(runner, statement))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while True:
            with seen.cursor() as cursor:
                cursor.execute(
                    "SELECT relation::regclass::text, mode FROM pg_locks WHERE granted"
                    " AND relation::regclass::text ~ '^zoo_(cage|keeper)$' AND pid IN"
                    " (SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    "  AND datname = current_database())"
                )
                found = {table: mode_of(mode) for table, mode in cursor.fetchall()}
            if found:
                return found
            assert time.monotonic() < deadline, "it did not wait"
            time.sleep(0.02)
    finally:
        execute(writer, "COMMIT")
        thread.join()
        for connection in (writer, runner, seen):
            connection.close()


@pytest.mark.parametrize(
    "pending",
    [
        'AddIndexConcurrently("cage", models.Index(fields=["name"], name="zoo_name")),',
        'RemoveIndexConcurrently("cage", "zoo_size"),',
    ],
)
def test_what_runs_concurrently_locks_what_the_forecast_says(
    pending: str, zoo: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(FIRST, pending, atomic=False)
    with copied(zoo) as alias:
        locks, _, _ = forecast(alias, ops)
        report = ops("preflight_migrate", "zoo", database=alias).report
        (statement,) = report["facts"]["statements"]

        assert waits(alias, statement["sql"]) == locks == {"zoo_cage": "SHARE UPDATE EXCLUSIVE"}


@contextmanager
def copied(zoo: str) -> Iterator[str]:
    """Yield the alias of a copy of the zoo."""
    connections[zoo].close()
    with database_alias(connections.settings[zoo]["NAME"]) as alias:
        yield alias


def described(alias: str) -> list[tuple[Any, ...]]:
    """Return what the tables are: columns, constraints and indexes."""
    return query(
        alias,
        """
        SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod),
               attnotnull::text, coalesce(pg_get_expr(adbin, adrelid), '')
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attnum > 0 AND NOT attisdropped AND attrelid::regclass::text ~ '^zoo_.*[^s]$'
          AND attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r')
        UNION ALL
        SELECT conrelid::regclass::text, conname, contype::text, convalidated::text,
               pg_get_constraintdef(oid)
        FROM pg_constraint WHERE conrelid::regclass::text ~ '^zoo_' AND contype <> 'n'
        UNION ALL
        SELECT indrelid::regclass::text, indexrelid::regclass::text, '', indisvalid::text,
               pg_get_indexdef(indexrelid)
        FROM pg_index WHERE indrelid::regclass::text ~ '^zoo_'
        ORDER BY 1, 2, 3
        """,
    )


FILLS = {
    "more decimals": "UPDATE zoo_cage SET price_new = price",
    "add a column with a volatile default": "UPDATE zoo_cage SET tag = gen_random_uuid()",
    "not null with a default": "UPDATE zoo_cage SET size = 3 WHERE size IS NULL",
}


@pytest.mark.parametrize(
    "name",
    [
        "an index",
        "drop an index",
        "an index for LIKE",
        "add a column with an index",
        "add a unique column",
        "a check",
        "a unique constraint",
        "a partial unique constraint",
        "a unique constraint on an expression",
        "unique together",
        "not null",
        "not null with a default",
        "add a constraint to a foreign key",
        "add a column with a volatile default",
        "more decimals",
        "drop a column",
        "drop a foreign key column",
    ],
)
def test_the_safer_way_leads_to_the_same_schema_and_blocks_nobody_for_long(
    name: str, zoo: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(FIRST, OPERATIONS[name] + ",")
    statements = ops("preflight_migrate", "zoo", database=zoo).report["facts"]["statements"]
    text = next(each["safer_alternative"] for each in statements if each["safer_alternative"])
    with copied(zoo) as alias:
        assert migrate(alias, "zoo") is None
        wanted = described(alias)

    pasted = re.split(r"^# migration \d of \d\n", text, flags=re.M)[1:]
    with copied(zoo) as alias:
        for number, part in enumerate(pasted):
            if name in FILLS and number == len(pasted) - 1:
                execute(connections[alias], FILLS[name])
            write_migrations(FIRST, *pasted[: number + 1])
            facts = ops("preflight_migrate", "zoo", database=alias).report["facts"]
            for statement in facts["statements"]:
                worked = {*statement["scans"], *statement["rewrites"]}
                blocked = {lock["table"] for lock in statement["locks"] if lock["blocks"]}
                # What was filled is made NOT NULL last, which has a safer way of its own.
                assert name in FILLS or not worked & blocked, statement
            assert migrate(alias, "zoo") is None, part
        assert described(alias) == wanted
