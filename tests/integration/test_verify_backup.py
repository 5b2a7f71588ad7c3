"""verify_backup finds every damage, and names what differs."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.backup.checksum import sha256_of
from opsmigrate.backup.restore import restore_into
from opsmigrate.backup.verifier import Verifier
from opsmigrate.backup.verify import verify_archive
from opsmigrate.manifest import read_manifest, write_manifest
from opsmigrate.pgtools.clients import find_clients
from opsmigrate.pgtools.schema_text import schema_differences
from opsmigrate.postgres.session import read_session
from opsmigrate.scratch import find_kept, reap, scratch_database
from tests.backups import SILENT, act_as, backup, manifest_of, mode_of, scratch_databases
from tests.conftest import Answer, Ops, execute, query
from tests.sessions import stranger

pytestmark = pytest.mark.major


def verify(ops: Ops, alias: str, file: Path, **options: object) -> Answer:
    return ops("verify_backup", str(file), database=alias, **options)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_backup_is_verified_by_its_file_and_by_restoring_it(
    staging: str, ops: Ops, tmp_path: Path, jobs: int
) -> None:
    _, file = backup(ops, staging, tmp_path, jobs=jobs)
    assert manifest_of(file)["format"] == ("custom" if jobs == 1 else "directory")
    assert file.is_dir() == (jobs > 1)

    archive = verify(ops, staging, file)
    restored = verify(ops, staging, file, level="restore")

    assert (archive.code, restored.code) == (0, 0), restored.stdout
    assert manifest_of(file)["verified"] == "restore"
    assert restored.report["undecided"] == []
    assert verify(ops, staging, file).report["facts"]["verified"] == "restore"
    assert scratch_databases(staging) == []


def test_a_folder_and_what_is_in_it_can_be_read_by_its_owner_only(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    _, folder = backup(ops, staging, tmp_path, jobs=2)

    assert mode_of(folder) == 0o700
    assert {mode_of(member) for member in folder.iterdir()} == {0o600}
    assert manifest_of(folder)["bytes"] == sum(path.stat().st_size for path in folder.iterdir())


def biggest(folder: Path) -> Path:
    return max(folder.glob("*.dat*"), key=lambda path: path.stat().st_size)


def swap_two(folder: Path) -> None:
    first, second = sorted(folder.glob("*.dat*"))[:2]
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a member of no bytes": lambda folder: biggest(folder).write_bytes(b""),
    "a member that is gone": lambda folder: biggest(folder).unlink(),
    "a member that was added": lambda folder: (folder / "9999.dat.gz").write_bytes(b""),
    "a member that was cut": lambda folder: biggest(folder).write_bytes(
        biggest(folder).read_bytes()[:-1]
    ),
    "two members that changed names": swap_two,
    "a table of contents that was cut": lambda folder: (folder / "toc.dat").write_bytes(
        (folder / "toc.dat").read_bytes()[:-1]
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_folder_that_is_not_what_was_written_is_found_out(
    staging: str, ops: Ops, tmp_path: Path, damage: str
) -> None:
    _, folder = backup(ops, staging, tmp_path, jobs=2)
    DAMAGES[damage](folder)

    answer = verify(ops, staging, folder)

    assert (answer.code, answer.ids) == (1, ["archive-changed"])


def test_a_member_of_no_bytes_is_found_out_without_the_checksum(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    # Some versions of pg_restore take it for an empty table, and end with status 0.
    _, folder = backup(ops, staging, tmp_path, jobs=2)
    biggest(folder).write_bytes(b"")
    manifest = replace(read_manifest(folder), sha256=sha256_of(folder))
    clients = find_clients(read_session(connections[staging]).major, None)

    findings = verify_archive(
        Verifier(
            connection=connections[staging],
            clients=clients,
            file=folder,
            manifest=manifest,
            progress=SILENT,
        )
    )

    assert len(findings) == 1
    assert findings[0].id in {"rows-differ", "archive-unreadable"}


def test_an_edit_of_any_entry_of_the_manifest_is_found_out(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    _, file = backup(ops, staging, tmp_path)
    path, body = file.with_suffix(".json"), manifest_of(file)
    for key in body:
        changed = {**body, key: 7 if body[key] != 7 else 8}
        path.write_text(json.dumps(changed), encoding="utf-8")

        answer = verify(ops, staging, file)

        assert (answer.code, answer.ids) == (1, ["manifest-unreadable"]), key
    path.unlink()
    assert verify(ops, staging, file).ids == ["manifest-unreadable"]


def test_the_file_of_another_backup_is_found_out(staging: str, ops: Ops, tmp_path: Path) -> None:
    _, first = backup(ops, staging, tmp_path)
    execute(connections[staging], "UPDATE treasury_payment SET memo = 'x' WHERE id = 1")
    _, second = backup(ops, staging, tmp_path)
    shutil.copy(first, second)

    assert verify(ops, staging, second).ids == ["archive-changed"]


def test_what_differs_is_named_table_by_table(staging: str, ops: Ops, tmp_path: Path) -> None:
    connection = connections[staging]
    execute(connection, "CREATE SEQUENCE numbers")
    execute(connection, "SELECT nextval('numbers')")
    execute(connection, "SELECT lo_from_bytea(4242, 'before')")
    _, first = backup(ops, staging, tmp_path)
    execute(connection, "UPDATE treasury_payment SET memo = 'x' WHERE id = 1")
    execute(connection, "SELECT nextval('numbers')")
    execute(connection, "SELECT lo_put(4242, 0, 'AFTER!')")
    execute(connection, "CREATE TABLE added AS SELECT 1 AS one")
    _, second = backup(ops, staging, tmp_path)
    clients = find_clients(read_session(connection).major, None)
    manifest = replace(read_manifest(first), sha256=sha256_of(second))

    findings = verify_archive(
        Verifier(
            connection=connection,
            clients=clients,
            file=second,
            manifest=manifest,
            progress=SILENT,
        )
    )

    assert {finding.id for finding in findings} == {
        "values-differ",
        "sequence-differs",
        "rows-differ",
    }
    messages = [finding.message for finding in findings]
    assert messages[0] == ("the backup has rows of public.added, which its manifest does not list")
    assert (
        "public.treasury_payment has the right number of rows (500 rows) in the backup, but not "
        "the values that it had when it was backed up" in messages
    )
    assert "the large objects of the backup differ from those that were backed up" in messages
    assert (
        "the sequence public.numbers was between 1 and 1 when it was backed up; in the backup "
        "it is 2" in messages
    )


def test_where_rows_were_only_counted_values_stay_open(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    _, file = backup(ops, staging, tmp_path, verify="none")

    answer = verify(ops, staging, file, level="restore")

    assert answer.code == 3
    assert [item["what"] for item in answer.report["undecided"]] == ["the values of the rows"]
    assert manifest_of(file)["verified"] is None


def test_settings_of_role_and_database_change_no_digest(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    connection = connections[staging]
    execute(
        connection,
        "CREATE TABLE odd AS SELECT 0.1::float8 + 0.2 AS f, now() AS t, interval '1 day 2h' AS i,"
        " '\\x00ff'::bytea AS b, current_date AS d",
    )
    _, plain = backup(ops, staging, tmp_path)
    for setting in (
        "datestyle TO 'German'",
        "intervalstyle TO 'iso_8601'",
        "timezone TO 'Asia/Kathmandu'",
        "bytea_output TO 'escape'",
        "extra_float_digits TO -5",
        "client_encoding TO 'LATIN1'",
        "lock_timeout TO '1h'",
    ):
        name = connection.settings_dict["NAME"].replace('"', '""')
        execute(connection, f'ALTER DATABASE "{name}" SET {setting}')
    connection.close()
    _, other = backup(ops, staging, tmp_path, verify="restore")

    assert manifest_of(plain)["digests"] == manifest_of(other)["digests"]
    assert verify(ops, staging, plain, level="restore").code == 0


def test_a_server_of_our_own_has_its_roles_so_that_owners_and_rights_are_proven(
    staging: str, ops: Ops, tmp_path: Path, role: Callable[..., dict[str, str]]
) -> None:
    act_as(staging, role())
    _, file = backup(ops, staging, tmp_path)

    answer = verify(ops, staging, file, level="restore", on="embedded")

    assert answer.code == 0, answer.stdout
    assert answer.report["undecided"] == []
    assert answer.report["facts"]["restored_on"] == "a temporary embedded server"


def test_without_its_roles_owners_are_left_out_and_named(
    staging: str, ops: Ops, tmp_path: Path, roles: Callable[..., dict[str, str]]
) -> None:
    act_as(staging, roles("CREATEDB"))
    _, file = backup(ops, staging, tmp_path)
    manifest = read_manifest(file)
    missing = {"owners": ["nobody has it"], "grantees": []}
    properties = {**manifest.properties, "roles": missing}
    write_manifest(tmp_path, replace(manifest, properties=properties))

    answer = verify(ops, staging, file, level="restore")

    assert answer.code == 0, answer.stdout
    [missed] = answer.report["undecided"]
    assert missed["what"] == "owners and rights of the restored objects"
    assert missed["why"] == 'there is no role "nobody has it"'


def test_on_another_alias_it_is_restored_there(
    staging: str, ops: Ops, tmp_path: Path, new_database: Callable[..., str]
) -> None:
    _, file = backup(ops, staging, tmp_path)

    assert verify(ops, staging, file, level="restore", on=new_database()).code == 0
    unknown = verify(ops, staging, file, level="restore", on="nowhere")
    assert (unknown.code, unknown.ids) == (2, ["unknown-alias"])
    assert unknown.report["findings"][0]["hint"].startswith("name an existing one with --on: ")


def test_a_definition_that_is_not_the_backups_is_named(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    _, file = backup(ops, staging, tmp_path)
    connection = connections[staging]
    clients = find_clients(read_session(connection).major, None)
    with scratch_database(connection, run_id="test", maintenance_db=None) as scratch:
        restore_into(
            connection, clients, file, scratch.name, owners=True, printed={}, meanwhile=lambda: None
        )
        with stranger(staging, database=scratch.name) as restored:
            assert schema_differences(restored, clients, file, owners=True, printing={}) == ()
            execute(restored, "ALTER TABLE treasury_payment ALTER memo SET DEFAULT 'other'")
            execute(restored, "GRANT SELECT ON treasury_payment TO PUBLIC")
            execute(restored, "CREATE INDEX added ON treasury_payment (memo)")
            found = schema_differences(restored, clients, file, owners=True, printing={})

    assert "INDEX public.added" in found
    assert any(each.startswith("ACL public.TABLE treasury_payment") for each in found)
    assert len(found) == 3


@pytest.mark.parametrize("part", ["schema", "name"])
def test_a_name_that_reads_like_another_kind_hides_no_difference(
    staging: str, ops: Ops, tmp_path: Path, part: str
) -> None:
    connection = connections[staging]
    clients = find_clients(read_session(connection).major, None)
    odd = '"x; Type: BLOBS; Schema: y"'
    execute(connection, f"CREATE SCHEMA {odd}")
    where = f"{odd}.hidden" if part == "schema" else odd
    execute(connection, f"CREATE TABLE {where} (id int)")
    _, file = backup(ops, staging, tmp_path)
    assert schema_differences(connection, clients, file, owners=True, printing={}) == ()

    execute(connection, f"ALTER TABLE {where} ADD COLUMN more int")

    [found] = schema_differences(connection, clients, file, owners=True, printing={})
    assert "; Type: " in found


def test_expressions_that_the_server_writes_otherwise_when_restored_are_the_same(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    connection = connections[staging]
    among = "memo IN ('a', 'b')"
    for statement in (
        f"ALTER TABLE treasury_payment ADD CONSTRAINT among CHECK ({among} OR memo NOT IN ('x'))",
        f"CREATE INDEX among_index ON treasury_payment (id) WHERE {among}",
        f"CREATE VIEW among_view AS SELECT id FROM treasury_payment WHERE {among}",
        f"CREATE POLICY among_policy ON treasury_payment USING ({among})",
    ):
        execute(connection, statement.replace("memo", "memo::varchar(9)"))
    _, file = backup(ops, staging, tmp_path)

    assert verify(ops, staging, file, level="restore").code == 0


def test_a_scratch_database_that_is_kept_says_what_it_is_and_stays_until_it_expires(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    connection = connections[staging]
    answer, file = backup(ops, staging, tmp_path, verify="restore", keep_scratch=True)
    name = answer.report["facts"]["scratch"]
    source = read_session(connection).oid

    assert reap(connection, None) == ()
    [kept] = find_kept(connection, source=source)
    assert kept.name == name
    assert kept.about["kind"] == "restored"
    assert kept.about["backup"] == manifest_of(file)["sha256"]
    assert kept.about["migrations"] == manifest_of(file)["migrations"]
    assert find_kept(connection, source=source + 1) == ()

    past = json.dumps({**kept.about, "expires": "2020-01-01T00:00:00+00:00"})
    execute(connection, sql.SQL(f"COMMENT ON DATABASE {name} IS {{}}").format(sql.Literal(past)))
    assert find_kept(connection, source=source) == ()
    assert reap(connection, None) == (name,)
    assert scratch_databases(staging) == []


def test_keeping_what_was_not_asked_for_is_a_usage_error(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    answer = ops("backup_db", database=staging, directory=str(tmp_path), keep_scratch=True)

    assert (answer.code, answer.ids) == (2, ["no-scratch-to-keep"])


def test_an_extensions_own_rows_are_backed_up_and_compared(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    connection = connections[staging]
    # pg_dump 14 leaves out the rows of an extension that initdb made.
    execute(connection, "DROP EXTENSION plpgsql")
    execute(connection, "CREATE EXTENSION plpgsql")
    execute(connection, "CREATE TABLE configuration AS SELECT generate_series(1, 9) AS id")
    execute(connection, "ALTER EXTENSION plpgsql ADD TABLE configuration")
    execute(
        connection,
        "UPDATE pg_extension SET extconfig = ARRAY['configuration'::regclass::oid],"
        " extcondition = ARRAY['WHERE id > 5'] WHERE extname = 'plpgsql'",
    )
    answer, _ = backup(ops, staging, tmp_path)

    assert answer.report["facts"]["tables"]["public.configuration"] == 4
    assert query(staging, "SELECT count(*) FROM configuration") == [(9,)]


def test_an_extension_that_the_server_does_not_have_is_said_before_anything_is_restored(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    _, file = backup(ops, staging, tmp_path)
    manifest = read_manifest(file)
    elsewhere = {**manifest.extensions, "of another server": "1.0"}
    write_manifest(tmp_path, replace(manifest, extensions=elsewhere))

    answers = [
        verify(ops, staging, file, level="restore"),
        ops("restore_db", str(file), database=staging, no_input=True),
        ops("restore_db", str(file), database=staging, into="beside"),
    ]

    assert [(each.code, each.ids) for each in answers] == [(4, ["extension-unavailable"])] * 3
    assert "the extension of another server" in answers[0].report["findings"][0]["message"]
    assert verify(ops, staging, file, level="archive").code == 0
    assert scratch_databases(staging) == []


def test_the_file_alone_is_proven_also_where_the_server_is_away(
    staging: str, ops: Ops, tmp_path: Path
) -> None:
    _, file = backup(ops, staging, tmp_path)
    connections[staging].close()
    connections[staging].settings_dict["PORT"] = 1

    answer = verify(ops, staging, file, level="archive")
    restored = verify(ops, staging, file, level="restore")

    assert (answer.code, answer.report["facts"]["verified"]) == (0, "archive")
    assert (restored.code, restored.ids) == (3, ["cannot-connect"])
    connections[staging].settings_dict["PORT"] = connections["default"].settings_dict["PORT"]
