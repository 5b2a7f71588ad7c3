"""The backup takes the place of the live database, which stays live until then."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from opsmigrate.backup import rollback
from opsmigrate.backup import swap as swap_module
from opsmigrate.backup.rollback import roll_back
from opsmigrate.backup.rollback_checks import Loss
from opsmigrate.backup.verify import Verification
from opsmigrate.errors import UndecidedError
from opsmigrate.manifest import read_manifests
from tests.backups import scratch_databases
from tests.conftest import ODD_NAME, ROOT, Ops, environment_for, url_of
from tests.rollbacks import kept_databases, oid, payments, place_of

pytestmark = [pytest.mark.major, pytest.mark.usefixtures("no_kept_database")]


def test_sessions_that_the_server_ends_when_they_are_idle_are_no_obstacle(
    taken: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    alias, file = taken
    [manifest] = read_manifests(file.parent)
    live, prove = oid(alias), rollback.prove_restored
    connections[alias].close()
    connections[alias].settings_dict["OPTIONS"]["options"] = "-c idle_session_timeout=2s"

    def slowly(*args: Any, **options: Any) -> Verification:
        time.sleep(3)
        return prove(*args, **options)

    def yes(loss: Loss) -> bool:
        time.sleep(3)
        return True

    monkeypatch.setattr(rollback, "prove_restored", slowly)
    roll_back(replace(place_of(alias), confirm=yes), file, manifest)

    connections[alias].close()
    assert oid(alias) != live
    assert scratch_databases(alias) == []


def test_stopped_in_the_middle_of_the_swap_the_server_does_not_wait_for_us_without_end(
    taken: tuple[str, Path], ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    alias, file = taken
    live, beside = oid(alias), f"{ODD_NAME}_before_20260101_000000"
    assert ops("restore_db", str(file), database=alias, into=beside).code == 0
    monkeypatch.setattr(swap_module, "SECONDS_SILENT", 1)

    with pytest.raises(UndecidedError, match="the live database is as it was"):
        swap_module.swap(
            connections[alias],
            None,
            live=connections[alias].settings_dict["NAME"],
            replacement=beside,
            about={},
            require=lambda counters: None,
            finish=lambda renaming: time.sleep(3),
        )

    assert oid(alias) == live


SWAPS = """
import sys, time, django
django.setup()
from django.db import connection
from opsmigrate.backup import swap
point, replacement = sys.argv[1:]
def stop(here, *args):
    if here == point:
        print(here, flush=True)
        time.sleep(60)
swap.swap(
    connection, None, live=connection.settings_dict["NAME"], replacement=replacement, about={},
    require=lambda counters: stop("counted"), finish=lambda renaming: stop("renamed"),
)
print("swapped", flush=True)
"""


@pytest.mark.parametrize("point", ["counted", "renamed"])
def test_killed_in_the_middle_of_the_swap_the_live_database_stays_live(
    taken: tuple[str, Path], ops: Ops, point: str
) -> None:
    alias, file = taken
    live, beside = oid(alias), f"{ODD_NAME}_before_20260101_000000"
    assert ops("restore_db", str(file), database=alias, into=beside).code == 0
    connections[alias].close()
    process = subprocess.Popen(
        [sys.executable, "-c", SWAPS, point, beside],
        cwd=ROOT,
        env=environment_for(url_of(alias), DJANGO_SETTINGS_MODULE="staging_settings"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == point
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert oid(alias) == live
    assert kept_databases(alias) == [beside]
    assert payments(alias) == 500
