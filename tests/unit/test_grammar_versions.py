"""What only a newer server parses is a syntax error of an older one, before all else."""

from __future__ import annotations

import pytest

from opsmigrate.preflight.interpret.effects import Effects
from opsmigrate.preflight.interpret.interpret import interpret
from opsmigrate.preflight.interpret.schema import Schema
from opsmigrate.sql.grammar import parse

SINCE = {
    "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DO NOTHING": 150_000,
    "CREATE UNIQUE INDEX ON t (a) NULLS NOT DISTINCT": 150_000,
    "ALTER TABLE t ADD UNIQUE NULLS NOT DISTINCT (a)": 150_000,
    "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES s ON DELETE SET NULL (a)": 150_000,
    "ALTER TABLE t ALTER a SET EXPRESSION AS (1)": 170_000,
    "ALTER TABLE t ADD NOT NULL a": 180_000,
    "CREATE TABLE s (a integer, NOT NULL a)": 180_000,
    "CREATE TABLE s (a integer NOT NULL NO INHERIT)": 180_000,
    "CREATE TABLE s (a integer GENERATED ALWAYS AS (1) VIRTUAL)": 180_000,
    "CREATE TABLE s (a integer CHECK (a > 1) NOT ENFORCED)": 180_000,
    "CREATE TABLE s (a integer, CHECK (a > 1) NOT ENFORCED)": 180_000,
    "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES s NOT ENFORCED": 180_000,
    "ALTER TABLE t ALTER CONSTRAINT c NOT ENFORCED": 180_000,
    "ALTER TABLE t ALTER CONSTRAINT c INHERIT": 180_000,
    "VACUUM FULL ONLY t": 180_000,
    "ANALYZE ONLY t": 180_000,
}
OLD = (
    "CREATE TABLE s (a integer NOT NULL, b integer GENERATED ALWAYS AS (1) STORED)",
    "CREATE UNIQUE INDEX ON t (a)",
    "ALTER TABLE t ALTER CONSTRAINT c DEFERRABLE",
    "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES s ON DELETE SET NULL",
    "ALTER TABLE t ADD CHECK (a > 1)",
    "VACUUM FULL t",
    "VACUUM",
)


def said(text: str, version: int) -> Effects:
    [statement] = parse(text)
    return interpret(Schema(version=version, schemas={"public": ""}), statement)[1]


@pytest.mark.parametrize("text", SINCE)
def test_is_a_syntax_error_before_its_version_and_none_from_then_on(text: str) -> None:
    before = said(text, SINCE[text] - 1).refusal
    assert before is not None
    assert before.sqlstate == "42601"

    after = said(text, SINCE[text]).refusal
    assert after is None or after.sqlstate != "42601"


@pytest.mark.parametrize("text", OLD)
def test_what_the_oldest_parses_is_none(text: str) -> None:
    refusal = said(text, 140_000).refusal
    assert refusal is None or refusal.sqlstate != "42601"
