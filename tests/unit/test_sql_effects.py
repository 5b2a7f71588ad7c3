"""What SQL written by hand does at most where there are no rows."""

import pytest

from opsmigrate.preflight.ledger import Effect
from opsmigrate.preflight.walk.code_effects import effect_of_sql


@pytest.mark.parametrize(
    ("statement", "on_rows"),
    [
        ("UPDATE t SET a = 1 WHERE b IN (1, 2)", True),
        ("UPDATE t SET (a, b) = (1, 2)", True),
        ("/* why */ DELETE FROM ONLY t WHERE a = 'f(x); select'", True),
        ("UPDATE t SET a = 1; CREATE INDEX i ON t (f(a))", True),
        ("ALTER TABLE ONLY t ALTER a SET DEFAULT 1, ADD CONSTRAINT c CHECK (a > 0)", True),
        ("COMMENT ON TABLE t IS 'a'; ANALYZE t", True),
        ("UPDATE t SET a = f(1)", False),
        ("DELETE FROM t USING (SELECT 1) AS u", False),
        ("UPDATE t SET a = (TABLE u)", False),
        ("WITH a AS (INSERT INTO u VALUES (1)) UPDATE t SET b = 1", False),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0), ADD COLUMN b int DEFAULT f()", False),
        ("INSERT INTO t VALUES (1)", False),
        ("VACUUM t", False),
        ("UPDATE t SET", False),
    ],
)
def test_only_what_works_on_rows_is_said_to(statement: str, on_rows: bool) -> None:
    expected = Effect.WORKS_ON_ROWS if on_rows else Effect.ANYTHING
    assert effect_of_sql(statement) is expected
