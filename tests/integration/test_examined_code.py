"""What others wrote on their tables is not computed with a superuser's rights in order to look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import execute_for

pytestmark = [pytest.mark.adversary, pytest.mark.major]
# A read-only transaction forbids many things, but not this.
ATTACK = """
CREATE FUNCTION low.attack(int) RETURNS boolean LANGUAGE plpgsql AS $body$
BEGIN COPY (SELECT 1) TO PROGRAM 'cat > {written}'; RETURN true; END $body$
"""
TALLER = 'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),'
CHECKED = (
    'migrations.AddConstraint("cage", models.CheckConstraint('
    'condition=models.Q(size__gt=0), name="zoo_positive")),'
)


@pytest.fixture
def written() -> Iterator[Path]:
    """The file that the attack makes, where the account of the server may write."""
    with TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder, "written")


@pytest.fixture
def lowly(
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    written: Path,
) -> dict[str, str]:
    """A role without powers that owns the zoo's table, and a schema with an attack in it."""
    made = role()
    write_migrations(CAGE, CHECKED)
    assert migrate(empty_database, "zoo") is None
    execute_for(
        made,
        empty_database,
        "CREATE SCHEMA low AUTHORIZATION {role}",
    )
    execute(connections[empty_database], ATTACK.format(written=written))
    execute(connections[empty_database], ROW)
    execute_for(
        made,
        empty_database,
        "ALTER FUNCTION low.attack(int) OWNER TO {role}",
        "ALTER TABLE zoo_cage OWNER TO {role}",
        # What stands there was claimed by a migration, and says something else now.
        "ALTER TABLE zoo_cage DROP CONSTRAINT zoo_positive",
        "ALTER TABLE zoo_cage ADD CONSTRAINT zoo_positive CHECK (low.attack(size)) NOT VALID",
    )
    # What it would do, to know that it would.
    execute(connections[empty_database], "SELECT low.attack(1)")
    assert written.exists()
    written.unlink()
    return made


def test_a_check_of_somebody_else_is_left_open_and_not_computed(
    empty_database: str, lowly: dict[str, str], written: Path, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, CHECKED, TALLER)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert answer.code == 3, answer.stdout
    [left_open] = answer.report["undecided"]
    assert "would run that with a superuser's privileges" in left_open["why"]
    assert not written.exists()


def test_no_drift_is_looked_for_in_what_somebody_else_wrote(
    empty_database: str, lowly: dict[str, str], written: Path, ops: Ops
) -> None:
    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, set(answer.ids)) == (0, {"drift-owner", "drift-not-validated"})
    assert not written.exists()


@pytest.mark.parametrize("mode", ["clone", "schema"])
def test_no_copy_of_it_is_made_by_a_superuser_on_a_server_that_others_use(
    mode: str,
    empty_database: str,
    lowly: dict[str, str],
    written: Path,
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE, CHECKED, 'migrations.RunSQL("SELECT 1", "SELECT 1"),')

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse=mode)

    assert (answer.code, answer.ids) == (4, ["restore-runs-code"]), answer.stdout
    [finding] = answer.report["findings"]
    assert finding["evidence"]["owners"] == [lowly["USER"]]
    assert "FUNCTION attack of" in finding["message"]
    assert not written.exists()
    trusted = ops(
        "preflight_migrate", "zoo", database=empty_database, rehearse=mode, trust_code=True
    )
    assert "restore-runs-code" not in trusted.ids


def test_where_nobody_insists_on_a_copy_the_static_answer_stands(
    empty_database: str, lowly: dict[str, str], written: Path, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, CHECKED, 'migrations.RunSQL("SELECT 1", "SELECT 1"),')

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="auto")

    assert answer.code == 3, answer.stdout
    [said] = [each for each in answer.report["findings"] if each["id"] == "not-rehearsed"]
    assert "would run code of other roles" in said["message"]
    assert not written.exists()
