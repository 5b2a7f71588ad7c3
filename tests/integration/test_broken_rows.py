"""Rows that contradict a unique index or NOT NULL in which the server believes."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute, query
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import SCRATCH, owner_of_zoo, prepared, reasons, rehearse
from tests.remedies import Typist

pytestmark = pytest.mark.major

AGE = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
READ = """migrations.RunPython(lambda apps, editor: [
    cage.size for cage in apps.get_model("zoo", "Cage").objects.using(editor.connection.alias)
]),"""
ANEW = 'migrations.RunSQL("ALTER TABLE zoo_cage ADD COLUMN of uuid DEFAULT gen_random_uuid()"),'
READY = "UPDATE pg_index SET indisready = {} WHERE indexrelid = 'zoo_cage_code_key'::regclass"
# As a crash or a faulty disk may leave it: the index has one of them only.
TWICE = (
    READY.format("false"),
    "INSERT INTO zoo_cage (code, name, size) SELECT code, 'b', 2 FROM zoo_cage",
    READY.format("true"),
)
IN_CATALOG = (
    "UPDATE pg_attribute SET attnotnull = true"
    " WHERE attrelid = 'zoo_cage'::regclass AND attname = 'size'"
)
AS_CONSTRAINT = f"""
DO $do$ BEGIN
IF current_setting('server_version_num')::int < 180000 THEN {IN_CATALOG}; RETURN; END IF;
EXECUTE 'ALTER TABLE zoo_cage ADD CONSTRAINT nn NOT NULL size NOT VALID';
UPDATE pg_constraint SET convalidated = true WHERE conname = 'nn';
END $do$
"""
NULL = (
    "INSERT INTO zoo_cage (code, name) VALUES (gen_random_uuid(), 'c')",
    "CREATE TABLE yard (id int PRIMARY KEY, cage uuid NOT NULL)",
    "INSERT INTO yard SELECT 1, code FROM zoo_cage LIMIT 1",
)
NULL_WORDS = (
    "broken-not-null",
    "NOT NULL of public.zoo_cage.size is marked as valid, but 1 row has NULL in "
    "public.zoo_cage.size: 2",
    "contains null values",
)


@pytest.mark.parametrize("superuser", [True, False], ids=["superuser", "owner"])
@pytest.mark.parametrize(
    ("damage", "id", "words", "refuses"),
    [
        (
            TWICE,
            "broken-unique",
            "the unique index zoo_cage_code_key of public.zoo_cage is marked as valid, but 1 "
            "value of public.zoo_cage (code) is in more than one row: ",
            "could not create unique index",
        ),
        ((*NULL, AS_CONSTRAINT), *NULL_WORDS),
        ((*NULL, IN_CATALOG), *NULL_WORDS),
    ],
    ids=["unique", "not-null", "not-null-in-catalog"],
)
def test_rows_that_contradict_what_is_believed_are_said_and_stop_no_copy(
    damage: tuple[str, ...],
    id: str,
    words: str,
    refuses: str,
    superuser: bool,
    empty_database: str,
    write_migrations: Write,
    ops: Ops,
    role: Callable[..., dict[str, str]],
    typist: Typist,
) -> None:
    alias = prepared(empty_database, write_migrations, AGE, *damage)
    connections[alias].close()
    user = {"USER": connections[alias].settings_dict["USER"]} if superuser else role("CREATEDB")
    with owner_of_zoo(alias, user) as asking:
        execute(
            connections[alias],
            f"""GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{user["USER"]}" """,
        )
        answer = rehearse(ops, asking)
        write_migrations(CAGE, READ)
        reading = rehearse(ops, asking)
        write_migrations(CAGE, ANEW)
        anew = rehearse(ops, asking)
        failure = migrate(asking, "zoo")
        write_migrations(CAGE, AGE)
        assert migrate(asking, "zoo") is None

    assert (answer.code, reasons(answer)) == (0, []), answer.stdout
    finding = next(item for item in answer.report["findings"] if item["id"] == id)
    assert (finding["severity"], finding["table"]) == ("warning", "public.zoo_cage")
    assert finding["message"].startswith(words)
    assert typist.type(empty_database, finding) == []
    assert reading.code == 3, reading.stdout
    assert refuses in str(failure)
    assert anew.code == 1, anew.stdout
    assert next(item for item in anew.report["findings"] if item["id"] == id)["operation"]
    assert query(empty_database, SCRATCH) == []
