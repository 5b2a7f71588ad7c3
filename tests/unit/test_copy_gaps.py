"""Which statements may go another way on a copy that lacks rows or validity."""

import pytest

from opsmigrate.preflight.rehearsal.copy_gaps import CopyGaps

GAPS = CopyGaps(
    names="big", when_deleting="big|referenced", differing=None, not_validated_on_copy=True
)


@pytest.mark.parametrize(
    ("statement", "asks"),
    [
        ("SELECT 1 FROM big", True),
        ("SELECT 1 FROM referenced", False),
        ("DELETE FROM referenced WHERE id = %s", True),
        ("WITH a AS (DELETE FROM referenced RETURNING 1) SELECT 1 FROM a", True),
        ("DO $$ BEGIN DELETE FROM referenced; END $$", True),
        ("UPDATE referenced SET note = 'delete'", False),
        ("INSERT INTO referenced (note) VALUES ('truncate')", False),
        ("SELECT 1 FROM referenced WHERE", True),
        ("ALTER TABLE t ALTER a TYPE bigint", True),
        ("ALTER TABLE t VALIDATE CONSTRAINT c", True),
        ("DO $$ BEGIN ALTER TABLE t VALIDATE CONSTRAINT c; END $$", True),
        ("UPDATE t SET type = 'a'", False),
        ("CREATE TYPE a AS ENUM ()", False),
    ],
)
def test_a_statement_asks_for_what_the_copy_lacks(statement: str, asks: bool) -> None:
    assert GAPS.asked_by(statement) is asks
