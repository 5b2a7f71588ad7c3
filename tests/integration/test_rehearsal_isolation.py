"""A server of its own for the copy, a network of its own for the process, no live credentials."""

from typing import Any

import pytest

from tests.conftest import Ops
from tests.integration.zoo_migrations import Write
from tests.rehearsals import DOUBLE, prepared, reasons, rehearse


@pytest.fixture(autouse=True)
def unbound(settings: Any) -> None:
    """Say nothing of where the copy is to be made."""
    settings.OPSMIGRATE = {"ENVIRONMENT": "test"}


def test_the_copy_is_made_on_a_server_of_its_own_wherever_one_suits(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    answer = rehearse(ops, prepared(empty_database, write_migrations, DOUBLE))

    assert (answer.code, reasons(answer)) == (0, []), answer.stdout
    isolation = answer.report["facts"]["rehearsal"]["isolation"]
    assert isolation == {
        "server": "embedded",
        "network": "namespace",
        "fence": "isolated",
        "why": [],
    }
