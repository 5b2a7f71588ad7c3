"""Random apps with random histories: the verdict is never wrong."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.drift import fuzz, generated
from tests.drift.histories import History

SHORT = range(3)
LONG = range(100, 160)


@pytest.fixture
def databases(
    django_db_modify_db_settings: None,
    django_db_blocker: Any,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> Iterator[None]:
    """Make what the fuzzer needs, and leave the default alias as it was."""
    monkeypatch.setitem(os.environ, "ZOO_MIGRATIONS", "")
    settings.MIGRATION_MODULES = {}
    before = dict(connection.settings_dict)
    with django_db_blocker.unblock():
        fuzz.SUPERUSER = before["USER"]
        with generated.databases():
            yield
        connection.close()
        connection.settings_dict.update(before)


def test_a_history_is_made_again_by_its_seed() -> None:
    assert [History(seed).files() for seed in SHORT] == [History(seed).files() for seed in SHORT]
    assert History(1).files() != History(2).files()


@pytest.mark.parametrize("seed", SHORT)
def test_the_verdict_of_a_random_history_is_right(seed: int, databases: None) -> None:
    case = generated.run_case(seed, ("off",))

    right = "passed" if case.applied else "failed"
    assert case.answers["off"].verdict in ("undecided", right), case


@pytest.mark.long
def test_the_verdicts_of_many_random_histories_are_right(databases: None, tmp_path: Path) -> None:
    cases = [generated.run_case(seed, ("off",), tmp_path) for seed in LONG]

    undecided = [case for case in cases if case.answers["off"].verdict == "undecided"]
    assert [case for case in cases if case.wrong() and case not in undecided] == []
    assert len(undecided) < len(cases) / 3
    assert {case.applied for case in cases} == {True, False}
