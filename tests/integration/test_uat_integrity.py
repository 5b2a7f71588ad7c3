"""Indexes, constraints and sequences that PostgreSQL does not stand for are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import Error, connections

from tests.acceptance import accept, check_of
from tests.conftest import Ops, execute, query
from tests.remedies import Typist

pytestmark = pytest.mark.newest


def test_an_invalid_index_fails(migrated: str, ops: Ops, tmp_path: Path) -> None:
    with pytest.raises(Error):
        execute(
            connections[migrated],
            "CREATE UNIQUE INDEX CONCURRENTLY half_built ON treasury_payment (currency)",
        )

    answer = accept(ops, migrated, tmp_path, check=["constraints-valid"])

    assert answer.code == 1
    assert check_of(answer, "constraints-valid")["message"] == (
        "index half_built of public.treasury_payment is invalid"
    )


def test_a_constraint_that_was_never_validated_fails(
    migrated: str, ops: Ops, tmp_path: Path, typist: Typist
) -> None:
    execute(
        connections[migrated],
        "ALTER TABLE treasury_payment ADD CONSTRAINT small CHECK (amount < 1e12) NOT VALID",
    )

    answer = accept(ops, migrated, tmp_path, check=["constraints-valid"])

    assert answer.code == 1
    assert check_of(answer, "constraints-valid")["message"] == (
        "constraint small of public.treasury_payment is not validated"
    )
    typist.type(migrated, answer.report["findings"][0])
    assert accept(ops, migrated, tmp_path, check=["constraints-valid"]).code == 0


@pytest.mark.major
def test_a_sequence_behind_its_column_fails_and_its_remedy_works(
    migrated: str, ops: Ops, tmp_path: Path, typist: Typist
) -> None:
    sequence = "pg_get_serial_sequence('treasury_payment', 'id')"
    execute(connections[migrated], f"SELECT setval({sequence}, 7)")

    answer = accept(ops, migrated, tmp_path, check=["sequences-ahead"])
    outcome = check_of(answer, "sequences-ahead")
    assert outcome["steps"] == answer.report["findings"][0]["steps"]
    typist.type(migrated, answer.report["findings"][0])
    again = accept(ops, migrated, tmp_path, check=["sequences-ahead"])

    assert answer.code == 1
    assert outcome["message"].endswith(
        "sequences is behind: public.treasury_payment_id_seq yields 8 next, but "
        "public.treasury_payment.id goes up to 200"
    )
    assert again.code == 0
    assert query(migrated, f"SELECT nextval({sequence})") == [(201,)]


def test_a_sequence_that_gives_exactly_the_highest_key_next_is_behind(
    migrated: str, ops: Ops, tmp_path: Path
) -> None:
    sequence = "pg_get_serial_sequence('treasury_payment', 'id')"
    execute(connections[migrated], f"SELECT setval({sequence}, 200, false)")
    behind = accept(ops, migrated, tmp_path, check=["sequences-ahead"])
    execute(connections[migrated], f"SELECT setval({sequence}, 201, false)")
    ahead = accept(ops, migrated, tmp_path, check=["sequences-ahead"])

    assert (behind.code, ahead.code) == (1, 0)
