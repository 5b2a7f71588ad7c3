"""NOT NULL constraints of PostgreSQL 18 that are NOT VALID or NO INHERIT."""

import re
from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.data_pairs import row
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist

NOT_VALID = "ALTER TABLE zoo_cage ADD CONSTRAINT nn NOT NULL size NOT VALID"
NO_INHERIT = "ALTER TABLE zoo_cage ADD CONSTRAINT nn NOT NULL size NO INHERIT"
NULL = row(size="NULL")
SET = 'migrations.AlterField("cage", "size", models.IntegerField()),'
FILLED = 'migrations.AlterField("cage", "size", models.IntegerField(default=5)),'
KEY = (
    'migrations.AlterField("cage", "id", models.BigIntegerField()),\n'
    'migrations.AlterField("cage", "size", models.IntegerField(primary_key=True)),'
)
# The rows before, the constraint, what is pending, and the finding.
CASES = {
    "a row holds NULL": ((NULL,), NOT_VALID, SET, "null-values"),
    "no row holds NULL": ((ROW,), NOT_VALID, SET, None),
    "NULLs that are filled in": ((NULL,), NOT_VALID, FILLED, None),
    "renamed before": (
        (NULL,),
        NOT_VALID,
        'migrations.RenameField("cage", "size", "extent"),\n'
        'migrations.AlterField("cage", "extent", models.IntegerField()),',
        "null-values",
    ),
    "not for children": ((ROW,), NO_INHERIT, SET, "constraint-in-the-way"),
    "not for children, filled": ((ROW,), NO_INHERIT, FILLED, "constraint-in-the-way"),
    "a key that is not valid": (
        (ROW,),
        NOT_VALID,
        KEY,
        "constraint-in-the-way",
    ),
    "a key that is not for children": (
        (ROW,),
        NO_INHERIT,
        KEY,
        "constraint-in-the-way",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=[name.replace(" ", "-") for name in CASES])
def test_what_attnotnull_says_is_not_believed(
    case: tuple[tuple[str, ...], str, str, str | None],
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    rows, constraint, pending, finding = case
    alias = new_database()
    if connections[alias].pg_version < 180_000:
        return
    # Where NULL is not allowed before, Django does not SET NOT NULL again.
    first = CAGE.replace("(null=True)", "()") if pending == KEY else CAGE
    write_migrations(first, pending)
    assert migrate(alias, "zoo", "0001") is None
    for statement in ("ALTER TABLE zoo_cage ALTER size DROP NOT NULL", *rows, constraint):
        execute(connections[alias], statement)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
    errors = [each for each in answer.report["findings"] if each["severity"] == "error"]

    assert answer.code == (1 if finding else 0), answer.stdout
    assert [each["id"] for each in errors] == ([finding] if finding else [])
    assert answer.report["undecided"] == []
    if finding is not None:
        assert re.search(r"\bnn\b", errors[0]["message"])
    assert (migrate(alias, "zoo") is not None) == bool(finding)
    if finding == "constraint-in-the-way":
        typist.type(alias, errors[0])
        assert ops("preflight_migrate", "zoo", database=alias, rehearse="off").code == 0
        assert migrate(alias, "zoo") is None
