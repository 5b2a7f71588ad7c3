"""A foreign table in the place of a table: what alters it reads no row, and is rehearsed."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.aliases import guest
from tests.conftest import Ops
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import OWN, execute_for
from tests.rehearsals import reasons, rehearse

pytestmark = pytest.mark.major

FOREIGN = (
    "DROP TABLE zoo_cage CASCADE",
    'CREATE FOREIGN DATA WRAPPER "odd w"',
    "COMMENT ON FOREIGN DATA WRAPPER \"odd w\" IS 'odd'",
    'CREATE SERVER far_away FOREIGN DATA WRAPPER "odd w"',
    "CREATE FOREIGN TABLE zoo_cage (id bigint, code uuid, name varchar(20), size int)"
    " SERVER far_away",
)
LONGER = 'migrations.AlterField("cage", "name", models.CharField(max_length=40)),'
INDEXED = 'migrations.AlterField("cage", "size", models.IntegerField(null=True, db_index=True)),'
READS = 'migrations.RunSQL("SELECT count(*) FROM zoo_cage"),'


@pytest.mark.long
def test_what_alters_a_foreign_table_is_rehearsed_and_what_reads_it_is_not(
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    settings: Any,
) -> None:
    settings.OPSMIGRATE = {"ENVIRONMENT": "test"}
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    user = role("CREATEDB")
    execute_for(user, empty_database, *FOREIGN, *OWN)
    answers = {}
    with guest(empty_database, user) as alias:
        for name, pending in {"reads": READS, "indexed": INDEXED, "longer": LONGER}.items():
            write_migrations(CAGE, pending)
            answers[name] = rehearse(ops, alias)
        applies = migrate(alias, "zoo")
        write_migrations(CAGE, LONGER, INDEXED)
        fails = migrate(alias, "zoo")

    assert (applies, fails is not None) == (None, True)
    assert (answers["longer"].code, reasons(answers["longer"])) == (0, []), (
        answers["longer"].stdout + answers["longer"].stderr
    )
    assert answers["indexed"].code == 1, answers["indexed"].stdout
    assert answers["reads"].code == 3
    assert any("zoo_cage, which leads outside" in why for why in reasons(answers["reads"]))
