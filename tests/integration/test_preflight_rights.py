"""What a role may and may not: the verdict equals what `migrate` then does as that role."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import pytest
from django.core.management import call_command
from django.db import ProgrammingError, connections

from tests.conftest import Answer, Ops, execute
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate

ADD = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
INDEX = 'migrations.AddIndex("cage", models.Index(fields=["size"], name="zoo_size")),'
RENAME = 'migrations.RenameModel("Cage", "Pen"),'
OWN = (
    "ALTER TABLE zoo_cage OWNER TO {role}",
    "ALTER TABLE django_migrations OWNER TO {role}",
    "GRANT USAGE, CREATE ON SCHEMA public TO {role}",
)
NO_CREATE = "REVOKE CREATE ON SCHEMA public FROM {role}, PUBLIC"
TO_OTHERS = "ALTER TABLE zoo_cage OWNER TO postgres"
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
        ("ALTER TABLE zoo_cage OWNER TO {other}", "GRANT {other} TO {role} WITH INHERIT TRUE"),
        None,
    ),
    Case(
        "a member of the owner that does not inherit",
        ADD,
        ("ALTER TABLE zoo_cage OWNER TO {other}", "GRANT {other} TO {role} WITH INHERIT FALSE"),
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
        ),
        words="record the migration",
    ),
    Case(
        "the history needs SELECT for what RETURNING says",
        ADD,
        (
            "ALTER TABLE django_migrations OWNER TO postgres",
            "GRANT INSERT, SELECT (app, name, applied) ON django_migrations TO {role}",
        ),
    ),
    Case(
        "columns of the history are enough",
        ADD,
        (
            "ALTER TABLE django_migrations OWNER TO postgres",
            "GRANT SELECT, INSERT (app, name, applied) ON django_migrations TO {role}",
        ),
        None,
    ),
    Case(
        "the sequence of an old history table needs USAGE",
        ADD,
        ("REVOKE USAGE, UPDATE ON SEQUENCE django_migrations_id_seq FROM {role}",),
        words="SEQUENCE",
        setup=(*SERIAL, "GRANT USAGE ON SEQUENCE django_migrations_id_seq TO {role}"),
    ),
    Case(
        "a history that cannot be read",
        ADD,
        ("ALTER TABLE django_migrations OWNER TO postgres",),
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


@contextmanager
def guest(alias: str, user: dict[str, str]) -> Iterator[str]:
    """Yield an alias of the same database as another role."""
    connections.settings["guest"] = {**connections[alias].settings_dict, **user}
    try:
        yield "guest"
    finally:
        connections["guest"].close()
        del connections["guest"], connections.settings["guest"]


def told(answer: Answer) -> list[str]:
    """Return the ids of errors and warnings: another owner is drift, which is information."""
    findings = answer.report["findings"]
    return [finding["id"] for finding in findings if finding["severity"] != "info"]


def prepared(case: Case, alias: str, write: Write, names: dict[str, str], *, bad: bool) -> None:
    """Apply the first migration, hand the tables to the role, and write the pending operations."""
    write(case.first)
    assert migrate(alias, "zoo") is None
    for statement in (*OWN, *case.setup, *(case.taken if bad else ())):
        execute(connections[alias], statement.format(**names))
    write(case.first, case.pending, atomic=case.atomic)


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_the_verdict_knows_the_rights(
    case: Case,
    bad: bool,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    user, other = role(), role()
    names = {"role": f'"{user["USER"]}"', "other": f'"{other["USER"]}"'}
    prepared(case, empty_database, write_migrations, names, bad=bad)
    fails = bad and case.finding is not None

    with guest(empty_database, user) as alias:
        answer = ops("preflight_migrate", "zoo", database=alias)
        failure = migrate(alias, "zoo")

    assert (failure is not None) == fails, failure
    assert (answer.code, answer.report["unexamined"]) == (int(fails), []), answer.stdout
    if fails:
        finding = answer.report["findings"][0]
        assert finding["id"] == case.finding
        assert case.words in finding["message"]
        assert finding["hint"]
    else:
        assert told(answer) == []


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize(
    ("right", "pending", "words"),
    [
        ("SELECT ON django_content_type", ADD, "read after every plan"),
        ("INSERT ON django_content_type", "NEW", "add content types"),
        ("INSERT ON auth_permission", "NEW", "add permissions"),
        ("UPDATE ON django_content_type", RENAME, "rename content types"),
        ("INSERT ON django_content_type", ADD, None),
        ("INSERT ON auth_permission", ADD, None),
    ],
)
def test_the_verdict_knows_what_post_migrate_needs(
    right: str,
    pending: str,
    words: str | None,
    bad: bool,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    new = 'migrations.CreateModel("Pen", [("id", models.BigAutoField(primary_key=True))]),'
    write_migrations(CAGE)
    assert migrate(empty_database, "auth") is None
    assert migrate(empty_database, "zoo") is None
    user = role()
    fails = bad and words is not None
    for statement in (
        *OWN,
        "GRANT ALL ON django_content_type, auth_permission TO {role}",
        f"REVOKE {right} FROM {{role}}" if bad else "SELECT 1",
    ):
        execute(connections[empty_database], statement.format(role=f'"{user["USER"]}"'))
    write_migrations(CAGE, new if pending == "NEW" else pending)

    with guest(empty_database, user) as alias:
        answer = ops("preflight_migrate", "zoo", database=alias)
        failure = migrate(alias, "zoo")

    assert (failure is not None) == fails, failure
    assert (answer.code, answer.report["unexamined"]) == (int(fails), []), answer.stdout
    if fails:
        finding = answer.report["findings"][0]
        assert (finding["id"], finding["operation"]) == ("missing-privilege", "post_migrate")
        assert words in finding["message"]
        assert "after its last migration" in answer.report["facts"]["summary"]
    else:
        assert told(answer) == []


@pytest.mark.parametrize("right", ["INSERT ON django_content_type", "INSERT ON django_migrations"])
def test_what_is_faked_needs_the_history_and_no_content_types(
    right: str,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "auth") is None
    user = role()
    for statement in (
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        f"REVOKE {right} FROM {{role}}",
    ):
        execute(connections[empty_database], statement.format(role=f'"{user["USER"]}"'))

    with guest(empty_database, user) as alias:
        answer = ops("preflight_migrate", "zoo", database=alias, fake=True)
        failure = fake(alias)

    assert (failure is not None) == ("migrations" in right), failure
    assert (answer.code, answer.report["unexamined"]) == (int(failure is not None), [])


def fake(alias: str) -> str | None:
    try:
        call_command("migrate", "zoo", database=alias, fake=True, verbosity=0)
    except ProgrammingError as error:
        return str(error)
    return None


@pytest.fixture
def attic(django_db_modify_db_settings: None, django_db_blocker: Any) -> Iterator[str]:
    """Yield the name of a tablespace of its own."""
    with django_db_blocker.unblock():
        connection = connections["default"].copy()
        connection.settings_dict["NAME"] = "postgres"
        execute(connection, "SET allow_in_place_tablespaces = on")
        name = f"attic {token_hex(4)}"
        execute(connection, f"""CREATE TABLESPACE "{name}" LOCATION ''""")
        yield name
        for alias in [alias for alias in connections.settings if alias != "default"]:
            owner = connections["default"].copy()
            owner.settings_dict["NAME"] = connections.settings[alias]["NAME"]
            execute(owner, "DROP TABLE IF EXISTS zoo_pen")
            owner.close()
        execute(connection, f'DROP TABLESPACE "{name}"')
        connection.close()


@pytest.mark.parametrize("way", ["table", "index", "default"])
@pytest.mark.parametrize("state", ["granted", "refused", "missing"])
def test_the_verdict_knows_the_tablespaces(
    way: str,
    state: str,
    empty_database: str,
    attic: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    settings: Any,
) -> None:
    user = role()
    name = "no such attic" if state == "missing" else attic
    options = f', options={{"db_tablespace": "{name}"}}' if way == "table" else ""
    pending = (
        'migrations.CreateModel("Pen", [("id", models.BigAutoField(primary_key=True)),'
        f' ("size", models.IntegerField(unique=True))]{options}),'
    )
    grant = 'GRANT CREATE ON TABLESPACE "{attic}" TO {role}'
    tablespace = "ALTER ROLE {role} SET default_tablespace = '{attic}'"
    taken = (
        *((grant,) if state == "granted" else ()),
        *((tablespace,) if way == "default" and state != "missing" else ()),
    )
    names = {"role": f'"{user["USER"]}"', "attic": attic}
    prepared(Case("", pending, taken), empty_database, write_migrations, names, bad=True)
    if way == "index":
        settings.DEFAULT_INDEX_TABLESPACE = name
    # What a role's settings name and is not there, the server leaves out.
    fails = state == "refused" or (state == "missing" and way != "default")

    with guest(empty_database, user) as alias:
        answer = ops("preflight_migrate", "zoo", database=alias)
        failure = migrate(alias, "zoo")

    assert (failure is not None) == fails, failure
    assert (answer.code, answer.report["unexamined"]) == (int(fails), []), answer.stdout
    if fails:
        expected = "missing-privilege" if state == "refused" else "missing-tablespace"
        assert answer.ids[0] == expected
