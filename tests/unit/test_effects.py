"""Which statements of a migration stay, whatever becomes of it."""

import pytest

from opsmigrate.playbook.effects import COMMITS, bare, only_reads, runs_concurrently


@pytest.mark.parametrize(
    "text",
    [
        "SET work_mem = 4096; UPDATE a SET b = 1",
        "ROLLBACK; UPDATE a SET b = 1",
        "SELECT mended() FROM pg_class",
        'SELECT "mended" () FROM django_migrations',
        "SELECT setval('a', 1) FROM pg_class",
        "SELECT 1 INTO a FROM pg_class",
    ],
)
def test_what_may_stay_is_no_read(text: str) -> None:
    assert not only_reads(bare(text))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT c.relname FROM pg_catalog.pg_class c WHERE pg_catalog.pg_table_is_visible(c.oid)",
        "SELECT name FROM django_migrations WHERE app IN ('zoo');",
        "/* of a tool; UPDATE */ SAVEPOINT s",
        "SET CONSTRAINTS ALL IMMEDIATE",
    ],
)
def test_what_only_reads_is_known(text: str) -> None:
    assert only_reads(bare(text))


@pytest.mark.parametrize(
    ("text", "commits"),
    [
        ("-- the end\nCOMMIT", True),
        ("INSERT INTO a VALUES (1); /* now */ commit;", True),
        (r"INSERT INTO a VALUES (E'\''); COMMIT; --'", True),
        ("CREATE FUNCTION f() RETURNS void AS $$ BEGIN PERFORM 1; END $$ LANGUAGE plpgsql", False),
        ("INSERT INTO a VALUES ('; COMMIT')", False),
        ("COMMENT ON TABLE a IS 'x'", False),
    ],
)
def test_a_commit_is_seen_wherever_it_stands(text: str, commits: bool) -> None:
    assert bool(COMMITS.search(bare(text))) is commits


@pytest.mark.parametrize(
    ("text", "concurrently"),
    [
        ("-- of a tool\nCREATE INDEX CONCURRENTLY a ON b (c)", True),
        ("CREATE /* x */ UNIQUE INDEX CONCURRENTLY a ON b (c)", True),
        ("REINDEX (VERBOSE, CONCURRENTLY) INDEX a", True),
        ("REINDEX TABLE CONCURRENTLY a", True),
        ("ALTER TABLE a DETACH PARTITION b CONCURRENTLY", True),
        ("CREATE INDEX a ON b (c) WHERE d = 'CONCURRENTLY'", False),
        ("ALTER TABLE a RENAME TO concurrently", False),
    ],
)
def test_what_runs_concurrently_is_known_by_its_words(text: str, concurrently: bool) -> None:
    assert runs_concurrently(text) is concurrently
