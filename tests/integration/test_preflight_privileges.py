"""What a role may and may not: the verdict equals what `migrate` then does as that role."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.conftest import Ops
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import (
    NO_CREATE,
    OWN,
    READS_SEQUENCES,
    TO_OTHERS,
    execute_for,
    judged,
    name_of,
)
from tests.remedies import Typist

ADD = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
HEIR = "CREATE TABLE heir () INHERITS (zoo_cage)"
INDEX = 'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),'
RENAME = 'migrations.RenameModel("Cage", "Pen"),'
# Not in SQL, which would be inlined.
SHOUT = (
    "CREATE FUNCTION shout(a text) RETURNS text IMMUTABLE LANGUAGE plpgsql"
    " AS 'BEGIN RETURN upper(a); END'"
)
CALL = 'Func("name", function="shout", output_field=models.TextField())'
SHOUTS = {
    "an index": f'migrations.AddIndex("cage", models.Index({CALL}, name="zoo_shout")),',
    "a generated column": 'migrations.AddField("cage", "loud", models.GeneratedField('
    f"expression={CALL}, output_field=models.TextField(), db_persist=True)),",
    "a check": 'migrations.AddConstraint("cage", models.CheckConstraint('
    'condition=models.Q(name=Func("name", function="shout", output_field=models.CharField())),'
    ' name="zoo_loud")),',
}
SERIAL = (
    "DROP TABLE django_migrations",
    "CREATE TABLE django_migrations (id serial PRIMARY KEY, app text, name text,"
    " applied timestamptz)",
    "INSERT INTO django_migrations (app, name, applied) VALUES ('zoo', '0001_step', now())",
    "GRANT SELECT, INSERT, DELETE ON django_migrations TO {role}",
)


@dataclass(frozen=True)
class Case:
    """The pending operations, and what takes away from the owner the one right that they need.

    `setup` holds on both databases; without a `finding`, the bad one is as good as the other.
    """

    name: str
    pending: str
    taken: tuple[str, ...]
    finding: str | None = "missing-privilege"
    words: str = ""
    setup: tuple[str, ...] = ()
    first: str = CAGE
    atomic: bool = True


CASES = (
    Case(
        "a column of a table from which one of another role inherits",
        ADD,
        (HEIR, "ALTER TABLE heir OWNER TO postgres"),
        words="heir",
    ),
    Case(
        "NOT NULL of a column that a table of another role inherits",
        'migrations.AlterField("cage", "size", models.IntegerField()),',
        (HEIR, "ALTER TABLE heir OWNER TO postgres"),
        words="heir",
    ),
    Case(
        "an index is made on the table alone",
        INDEX,
        (HEIR, "ALTER TABLE heir OWNER TO postgres"),
        None,
    ),
    Case("no right to create, but none is needed", ADD, (NO_CREATE,), None),
    Case("an index needs CREATE on the schema", INDEX, (NO_CREATE,), words="create indexes"),
    Case(
        "an index made CONCURRENTLY needs CREATE on the schema",
        'AddIndexConcurrently("cage", models.Index(fields=["size"], name="zoo_size")),',
        (NO_CREATE,),
        words="create indexes",
        atomic=False,
    ),
    Case(
        "a unique constraint needs CREATE on the schema",
        'migrations.AddConstraint("cage", models.UniqueConstraint('
        'fields=["name"], name="zoo_unique")),',
        (NO_CREATE,),
        words="create indexes",
    ),
    Case(
        "a unique column needs CREATE on the schema",
        'migrations.AddField("cage", "age", models.IntegerField(null=True, unique=True)),',
        (NO_CREATE,),
        words="create indexes",
    ),
    Case(
        "a check does not need CREATE on the schema",
        'migrations.AddConstraint("cage", models.CheckConstraint('
        'condition=models.Q(size__gt=0), name="zoo_positive")),',
        (NO_CREATE,),
        None,
    ),
    Case(
        "another type does not need CREATE on the schema",
        'migrations.AlterField("cage", "size", models.BigIntegerField(null=True)),',
        (NO_CREATE,),
        None,
    ),
    Case(
        "a new name of a column does not need CREATE on the schema",
        'migrations.RenameField("cage", "size", "extent"),',
        (NO_CREATE,),
        None,
    ),
    Case("a new name needs CREATE on the schema", RENAME, (NO_CREATE,), words="rename relations"),
    Case(
        "a new name of an index needs CREATE on the schema",
        'migrations.RenameIndex("cage", new_name="zoo_new", old_name="zoo_old"),',
        (NO_CREATE,),
        words="rename relations",
        first=CAGE + 'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_old")),',
    ),
    Case(
        "a type that the role may not use",
        'migrations.AddField("cage", "words", type("Words", (models.TextField,), '
        '{"db_type": lambda self, connection: "words"})(null=True)),',
        ("REVOKE USAGE ON TYPE words FROM PUBLIC",),
        words="may not use the type words",
        setup=("CREATE DOMAIN words AS text",),
    ),
    *(
        Case(
            f"a function that the role may not execute, in {place}, {rows}",
            pending,
            ("REVOKE EXECUTE ON FUNCTION shout FROM PUBLIC",),
            None if (place, made) == ("an index", ()) else "missing-privilege",
            words="permission denied for function shout",
            setup=(SHOUT, *made),
        )
        for place, pending in SHOUTS.items()
        for rows, made in (("with rows", (ROW.replace("'a'", "'A'"),)), ("without rows", ()))
    ),
    Case("altering is for the owner", ADD, (TO_OTHERS, "GRANT ALL ON zoo_cage TO {role}")),
    Case(
        "a member of the owner that inherits",
        ADD,
        ("ALTER TABLE zoo_cage OWNER TO {other}", "GRANT {other} TO {role}"),
        None,
    ),
    Case(
        "a member of the owner that does not inherit",
        ADD,
        (
            "ALTER TABLE zoo_cage OWNER TO {other}",
            # From PostgreSQL 16 on, what the role inherits is decided when it becomes a member.
            "ALTER ROLE {role} NOINHERIT",
            "GRANT {other} TO {role}",
        ),
    ),
    Case("dropping is for the owner", 'migrations.DeleteModel("Cage"),', (TO_OTHERS,)),
    Case(
        "the owner of the schema may drop, but not alter",
        'migrations.DeleteModel("Cage"),',
        ("ALTER SCHEMA public OWNER TO {role}", TO_OTHERS),
        None,
    ),
    Case(
        "the owner of the schema may drop an index",
        'migrations.RemoveIndex("cage", "zoo_size"),',
        ("ALTER SCHEMA public OWNER TO {role}", TO_OTHERS),
        None,
        first=CAGE + INDEX,
    ),
    Case(
        "a comment is for the owner",
        'migrations.AlterModelTableComment("cage", "of iron"),',
        (TO_OTHERS,),
    ),
    Case(
        "a foreign key needs REFERENCES, also of the owner",
        KEEPER,
        ("REVOKE REFERENCES ON zoo_cage FROM {role}",),
        words="REFERENCES",
    ),
    Case(
        "a foreign key needs REFERENCES on its own column",
        KEEPER,
        (TO_OTHERS, "GRANT REFERENCES (id, name) ON zoo_cage TO {role}"),
        words="REFERENCES",
    ),
    Case(
        "REFERENCES on the one column is enough",
        KEEPER,
        (TO_OTHERS, "GRANT REFERENCES (code) ON zoo_cage TO {role}"),
        None,
    ),
    Case(
        "the history needs INSERT",
        ADD,
        (
            "ALTER TABLE django_migrations OWNER TO postgres",
            "GRANT SELECT ON django_migrations TO {role}",
            READS_SEQUENCES,
        ),
        words="record the migration",
    ),
    Case(
        "the history needs SELECT for what RETURNING says",
        ADD,
        (
            "ALTER TABLE django_migrations OWNER TO postgres",
            "GRANT INSERT, SELECT (app, name, applied) ON django_migrations TO {role}",
            READS_SEQUENCES,
        ),
    ),
    Case(
        "columns of the history are enough",
        ADD,
        (
            "ALTER TABLE django_migrations OWNER TO postgres",
            "GRANT SELECT, INSERT (app, name, applied) ON django_migrations TO {role}",
            READS_SEQUENCES,
        ),
        None,
    ),
    Case(
        "the sequence of an old history table needs USAGE",
        ADD,
        (
            "REVOKE USAGE, UPDATE ON SEQUENCE django_migrations_id_seq FROM {role}",
            READS_SEQUENCES,
        ),
        words="SEQUENCE",
        setup=(*SERIAL, "GRANT USAGE ON SEQUENCE django_migrations_id_seq TO {role}"),
    ),
    Case(
        "a history that cannot be read",
        ADD,
        ("ALTER TABLE django_migrations OWNER TO postgres", READS_SEQUENCES),
        words="may not read its history",
    ),
    Case(
        "a search_path without a schema that is there",
        'migrations.CreateModel("Pen", [("id", models.BigAutoField(primary_key=True))]),',
        ("ALTER ROLE {role} SET search_path = nowhere",),
        "missing-schema",
    ),
    Case(
        "a schema that may not be used",
        ADD,
        ("REVOKE USAGE ON SCHEMA public FROM {role}, PUBLIC",),
        "missing-schema",
    ),
)


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_the_verdict_knows_the_rights(
    case: Case,
    bad: bool,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    user, other = role(), role()
    write_migrations(case.first)
    assert migrate(empty_database, "zoo") is None
    statements = (*OWN, *case.setup, *(case.taken if bad else ()))
    execute_for(user, empty_database, *statements, other=name_of(other))
    write_migrations(case.first, case.pending, atomic=case.atomic)
    fails = bad and case.finding is not None

    answer = judged(ops, empty_database, user, fails=fails)

    if fails:
        finding = answer.report["findings"][0]
        assert finding["id"] == case.finding
        assert case.words in finding["message"]
        assert "superuser" in finding["hint"]
        errors = [each for each in answer.report["findings"] if each["severity"] == "error"]
        assert typist.type_each(empty_database, errors)
        judged(ops, empty_database, user, fails=False)
