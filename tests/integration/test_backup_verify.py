"""What is no longer what was backed up is found out, from the file alone or by restoring it."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from opsmigrate.backup.checksum import sha256_of
from opsmigrate.backup.verifier import Verifier
from opsmigrate.backup.verify import verify_archive, verify_by_restoring
from opsmigrate.digest.archive import read_archive
from opsmigrate.management.commands import backup_db
from opsmigrate.manifest import Manifest, read_manifests
from opsmigrate.pgtools.clients import Clients, find_clients
from opsmigrate.pgtools.run import ClientError
from opsmigrate.postgres.session import read_session
from opsmigrate.report import Finding
from tests.backups import SILENT, backup, scratch_databases
from tests.conftest import Ops, execute

pytestmark = pytest.mark.major


@dataclass(frozen=True)
class Taken:
    """A backup, and what verifies a copy of it."""

    alias: str
    file: Path
    manifest: Manifest
    clients: Clients

    def by_archive(self, **changes: object) -> tuple[Finding, ...]:
        return verify_archive(self.verifier(**changes))

    def by_restoring(self, **changes: object) -> tuple[Finding, ...]:
        return verify_by_restoring(self.verifier(**changes)).findings

    def verifier(self, **changes: Any) -> Verifier:
        return Verifier(
            connection=connections[self.alias],
            clients=self.clients,
            file=self.file,
            manifest=replace(self.manifest, **changes),
            progress=SILENT,
            run_id="a-run",
        )

    def rows(self) -> dict[str, int]:
        content = read_archive(
            self.clients,
            connections[self.alias],
            self.file,
            encoding="UTF8",
            meanwhile=lambda size: None,
        )
        return {name: table.rows for name, table in content.tables.items()}

    def damage(self, change: Callable[[bytearray], object]) -> None:
        """Change the bytes of the file."""
        content = bytearray(self.file.read_bytes())
        change(content)
        self.file.write_bytes(content)


@pytest.fixture
def taken(staging: str, ops: Ops, tmp_path: Path) -> Taken:
    """A backup of the staging database, not verified by the command."""
    _, file = backup(ops, staging, tmp_path, verify="none")
    [manifest] = read_manifests(tmp_path)
    clients = find_clients(read_session(connections[staging]).major, None)
    return Taken(staging, file, manifest, clients)


def test_an_untouched_backup_is_good_by_both_ways(taken: Taken) -> None:
    assert taken.by_archive() == ()
    assert taken.by_restoring() == ()
    assert taken.rows()["public.treasury_payment"] == 500
    assert scratch_databases(taken.alias) == []


def test_a_file_that_lost_its_end_is_found_out(taken: Taken) -> None:
    taken.damage(lambda content: content.__delitem__(slice(-100, None)))

    [finding] = taken.by_archive()

    assert (finding.id, finding.hint) == ("archive-changed", None)
    assert [step.text for step in finding.steps] == ["python manage.py backup_db"]
    assert finding.message == f"{taken.file.name} differs from the file that was written"


def test_a_flipped_bit_is_found_out_wherever_it_is(taken: Taken) -> None:
    chance, whole = random.Random(7), taken.file.read_bytes()  # noqa: S311 - the same every time
    for _ in range(20):
        place, bit = chance.randrange(len(whole)), chance.randrange(8)
        content = bytearray(whole)
        content[place] ^= 1 << bit
        taken.file.write_bytes(content)

        assert [finding.id for finding in taken.by_archive()] == ["archive-changed"]


def test_compressed_rows_that_cannot_be_read_are_found_out_without_the_checksum(
    taken: Taken,
) -> None:
    # The middle of the file is in the rows of a table.
    taken.damage(lambda content: content.__setitem__(slice(-400, -300), bytes(100)))

    [finding] = taken.by_archive(sha256=sha256_of(taken.file))

    assert finding.id == "archive-unreadable"
    assert finding.message.startswith(
        f"pg_restore cannot read {taken.file.name}: pg_restore: error:"
    )


def test_what_is_no_archive_at_all_cannot_be_read(taken: Taken) -> None:
    taken.file.write_bytes(b"COPY of something else\n" * 100)

    with pytest.raises(ClientError, match="input file does not appear to be a valid"):
        taken.rows()


def test_an_edited_count_in_the_manifest_is_found_out(taken: Taken) -> None:
    tables = {**taken.manifest.tables, "public.treasury_payment": 501}

    for findings in (taken.by_archive(tables=tables), taken.by_restoring(tables=tables)):
        [finding] = findings
        assert finding.id == "rows-differ"
        assert finding.table == "public.treasury_payment"
        assert finding.message == (
            "public.treasury_payment had 501 rows when it was backed up; the backup has 500"
        )
        assert finding.evidence == {"source": 501, "backup": 500}


def test_a_table_that_the_backup_does_not_have_is_found_out(taken: Taken) -> None:
    tables = {**taken.manifest.tables, "public.lost": 3}

    for findings in (taken.by_archive(tables=tables), taken.by_restoring(tables=tables)):
        [finding] = findings
        assert finding.message == (
            "public.lost had 3 rows when it was backed up; the backup has no such table"
        )


def test_what_cannot_be_restored_fails_though_the_archive_is_whole(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    # pg_restore has no search_path: the function finds no table, as in many a real database.
    for statement in (
        "CREATE TABLE rates (currency text, rate numeric)",
        "CREATE FUNCTION known(text) RETURNS boolean LANGUAGE sql IMMUTABLE"
        " AS 'SELECT EXISTS (SELECT FROM rates WHERE currency = $1)'",
        "INSERT INTO rates VALUES ('EUR', 1)",
        "CREATE TABLE quotes (currency text CHECK (known(currency)))",
        "INSERT INTO quotes VALUES ('EUR')",
    ):
        execute(connections[staging], statement)

    archive = ops("backup_db", database=staging, directory=str(tmp_path))
    assert archive.code == 0
    answer = ops("backup_db", database=staging, directory=str(tmp_path), verify="restore")

    assert (answer.code, answer.ids) == (1, ["restore-failed"])
    [finding] = answer.report["findings"]
    assert 'relation "rates" does not exist' in finding["message"]
    assert scratch_databases(staging) == []


def test_a_backup_that_cannot_be_restored_here_is_kept_and_said_to_be_whole(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    for statement in (
        "CREATE FUNCTION fine() RETURNS boolean LANGUAGE sql AS"
        " 'SELECT current_database() !~ ''^opsmigrate_scratch'''",
        "CREATE TABLE here (one int CHECK (fine()))",
        "INSERT INTO here VALUES (1)",
    ):
        execute(connections[staging], statement)

    answer = ops("backup_db", database=staging, directory=str(tmp_path), verify="restore")

    assert (answer.code, answer.ids) == (1, ["restore-failed"])
    assert answer.report["facts"]["verified"] == "archive"
    assert "the file itself is complete" in answer.report["facts"]["summary"]
    assert [item.verified for item in read_manifests(tmp_path)] == ["archive"]


def test_a_backup_that_is_not_good_is_kept_under_a_name_that_nothing_takes_for_one(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    answer = ops("backup_db", database=staging, directory=str(tmp_path), verify="none")
    file = Path(answer.report["facts"]["file"])
    [manifest] = read_manifests(tmp_path)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    connection = connections[staging]
    clients = find_clients(read_session(connection).major, None)
    taken = Taken(alias=staging, file=file, manifest=manifest, clients=clients)

    result = backup_db._verify(taken.verifier(), "archive", keep=False, trust_code=False)

    assert [finding.id for finding in result.findings] == ["archive-changed"]
    assert result.summary.endswith(f"it is kept as {file.name}.bad")
    assert [path.name for path in tmp_path.iterdir()] == [f"{file.name}.bad"]
    assert read_manifests(tmp_path) == ()
