"""The locks of a statement that is its own transaction, which nobody can see, are foreseen."""

from django.db import connections, transaction

from opsmigrate.postgres.lock_modes import MODES, ROW_EXCLUSIVE
from opsmigrate.preflight.forecast.live_effects import live_effects
from opsmigrate.preflight.interpret.reading import read_schema
from opsmigrate.preflight.rehearsal.server_watch import ServerWatch
from opsmigrate.preflight.walk.interpretation import interpreted
from tests.conftest import execute

SETUP = """
CREATE TABLE target (id int PRIMARY KEY);
CREATE TABLE mine (id int PRIMARY KEY, n int, t text, CONSTRAINT c CHECK (n > 0) NOT VALID);
CREATE INDEX mine_n ON mine (n);
CREATE TABLE whole (id int) PARTITION BY LIST (id);
CREATE TABLE part (id int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER note BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION note();
CREATE MATERIALIZED VIEW seen AS SELECT 1 AS id;
"""
STATEMENTS = (
    "ALTER TABLE mine ADD COLUMN m int",
    "ALTER TABLE mine ALTER COLUMN n TYPE bigint",
    "ALTER TABLE mine VALIDATE CONSTRAINT c",
    "ALTER TABLE mine ALTER COLUMN n SET STATISTICS 10",
    "ALTER TABLE mine ADD CONSTRAINT f FOREIGN KEY (n) REFERENCES target",
    "ALTER TABLE mine DISABLE TRIGGER note",
    "ALTER TABLE mine SET (fillfactor = 70)",
    "ALTER TABLE mine SET (autovacuum_enabled = false, fillfactor = 70)",
    "ALTER TABLE mine RESET (fillfactor)",
    "ALTER TABLE mine CLUSTER ON mine_n",
    "ALTER TABLE mine SET WITHOUT CLUSTER",
    "ALTER TABLE mine ALTER COLUMN t SET (n_distinct = 5)",
    "ALTER TABLE mine SET (fillfactor = 70), ADD COLUMN m int",
    "ALTER TABLE mine ALTER COLUMN n SET STATISTICS 10, ADD COLUMN m int",
    "ALTER TABLE mine DISABLE TRIGGER note, SET (fillfactor = 70)",
    "ALTER TABLE whole ATTACH PARTITION part FOR VALUES IN (1)",
    "ALTER TABLE mine RENAME TO other",
    "CREATE INDEX extra ON mine (t)",
    "CREATE UNIQUE INDEX extra ON mine (t)",
    "REINDEX TABLE mine",
    "CLUSTER mine USING mine_n",
    "TRUNCATE mine",
    "DROP TABLE mine",
    "REFRESH MATERIALIZED VIEW seen",
    "COMMENT ON TABLE mine IS 'x'",
    "CREATE TRIGGER notes BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION note()",
    "DROP TRIGGER note ON mine",
)


def test_each_statement_takes_the_locks_that_are_foreseen(empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, SETUP)
    schema = read_schema(connection)
    foreseen, taken = {}, {}
    for statement in STATEMENTS:
        watch = ServerWatch(connection)
        with transaction.atomic(using=empty_database):
            execute(connection, statement)
            taken[statement] = {
                table: mode
                for table, mode in watch.new_locks().items()
                if MODES.index(mode) >= MODES.index(ROW_EXCLUSIVE)
            }
            transaction.set_rollback(True, using=empty_database)
        effects = live_effects(interpreted(schema, statement))
        assert effects.understood, statement
        foreseen[statement] = effects.locks

    assert foreseen == taken
    assert all(taken.values())
