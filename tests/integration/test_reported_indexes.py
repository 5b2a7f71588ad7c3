"""What the catalog says of expressions in indexes and generated columns, without a rehearsal."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist

pytestmark = pytest.mark.major

BORN = 'migrations.AddField("cage", "born", models.DateField(null=True)),\n'
AT = 'migrations.AddField("cage", "at", models.DateTimeField(null=True)),\n'
INDEX = 'migrations.AddIndex("cage", models.Index({}, name="zoo_made")),'
GENERATED = (
    'migrations.AddField("cage", "made", models.GeneratedField(expression={}, db_persist=True, '
    "output_field=models.TextField())),"
)
VECTOR = 'Func(models.F("name"), function="to_tsvector")'
AS_TEXT = 'models.functions.Cast("{}", models.TextField())'
FUNCTIONS = (
    # As volatile as any that does not say what it is, and yet one that the planner writes out.
    "CREATE FUNCTION written_out(text) RETURNS text LANGUAGE sql AS 'SELECT lower($1)'",
    "CREATE FUNCTION called(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1; END'",
    "CREATE FUNCTION stays(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END'",
)
NOT_IMMUTABLE = {
    "an index on a search vector without a configuration": INDEX.format(VECTOR),
    "a generated column with it": GENERATED.format(VECTOR),
    "an index on a date as text": BORN + INDEX.format(AS_TEXT.format("born")),
    "a generated column of a date as text": BORN + GENERATED.format(AS_TEXT.format("born")),
    "an index on the day of a time": AT
    + INDEX.format('models.functions.Cast("at", models.DateField())'),
    "an index on a function that does not say so": INDEX.format(
        'Func(models.F("name"), function="called")'
    ),
    "a condition that asks what time it is": BORN
    + 'migrations.AddIndex("cage", models.Index(fields=["name"], name="zoo_made", '
    "condition=models.Q(born__lt=Now()))),",
    "an exclusion constraint on the days of a time": AT
    + 'migrations.AddConstraint("cage", ExclusionConstraint(name="zoo_apart", expressions=['
    '(Func(models.functions.Cast("at", models.DateField()), models.Value(None), '
    'function="daterange", output_field=DateRangeField()), "&&")])),',
    "a new table with a generated column": 'migrations.CreateModel("Den", [("id", '
    'models.BigAutoField(primary_key=True)), ("name", models.TextField()), ("made", '
    f"models.GeneratedField(expression={VECTOR}, db_persist=True, "
    "output_field=models.TextField()))]),",
}
IMMUTABLE = {
    "a search vector with a configuration": INDEX.format(
        'SearchVector("name", config="english")'
    ).replace("models.Index(", "GinIndex("),
    "a function in SQL that says nothing": INDEX.format(
        'Func(models.F("name"), function="written_out")'
    ),
    "a function of one's own that says so": INDEX.format(
        'Func(models.F("name"), function="stays")'
    ),
    "the day of a time somewhere": AT
    + INDEX.format('models.functions.TruncDate("at", tzinfo=__import__("datetime").timezone.utc)'),
    "a number as text": INDEX.format(AS_TEXT.format("size")),
    "a text as a number": INDEX.format('models.functions.Cast("name", models.IntegerField())'),
    "a part of a document": 'migrations.AddField("cage", "data", models.JSONField(default=dict)),\n'
    + INDEX.format('models.functions.Cast(models.F("data__k__n"), models.TextField())'),
    "several": INDEX.format(
        'Lower("name"), (models.F("size") + 1).desc(), models.functions.Concat("name", "name")'
    ),
    "a condition with a date": BORN
    + 'migrations.AddIndex("cage", models.Index(fields=["name"], name="zoo_made", '
    "condition=models.Q(born__lt=__import__('datetime').date(2020, 1, 2), size__in=[1, 2]))),",
}


def prepare(alias: str, write_migrations: Write, pending: str) -> None:
    """Apply the first migration, with a row, and let `pending` be pending."""
    write_migrations(CAGE, pending)
    assert migrate(alias, "zoo", "0001") is None
    for statement in (ROW.replace("'a'", "'1'"), *FUNCTIONS):
        execute(connections[alias], statement)


@pytest.mark.parametrize(
    "pending", NOT_IMMUTABLE.values(), ids=[name.replace(" ", "-") for name in NOT_IMMUTABLE]
)
def test_what_is_not_immutable_is_a_no(
    pending: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    prepare(empty_database, write_migrations, pending)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.ids) == (1, ["not-immutable"]), answer.stdout
    assert "mmutable" in (migrate(empty_database, "zoo") or "").replace("IMM", "mm").lower()


@pytest.mark.parametrize(
    "pending", IMMUTABLE.values(), ids=[name.replace(" ", "-") for name in IMMUTABLE]
)
def test_what_is_immutable_is_a_yes(
    pending: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    prepare(empty_database, write_migrations, pending)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.report["undecided"]) == (0, []), answer.stdout
    assert migrate(empty_database, "zoo") is None


PLAIN = "CREATE FUNCTION plain(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)'"
SLUG = "CREATE FUNCTION slug(text) RETURNS text IMMUTABLE LANGUAGE {}"
IN_SQL = SLUG.format("sql AS 'SELECT plain($1)'")
IN_PLPGSQL = SLUG.format("plpgsql AS 'BEGIN RETURN plain($1); END'")
ON_SLUG = INDEX.format('Func(models.F("name"), function="slug")')


@pytest.mark.parametrize("body", [IN_SQL, IN_PLPGSQL], ids=["in-sql", "in-plpgsql"])
@pytest.mark.parametrize("rows", [0, 1])
def test_a_function_that_needs_the_search_path_is_a_no_from_17_on(
    rows: int,
    body: str,
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    alias = new_database()
    write_migrations(CAGE, ON_SLUG)
    assert migrate(alias, "zoo", "0001") is None
    for statement in (PLAIN, body, *[ROW] * rows):
        execute(connections[alias], statement)
    # What a body of PL/pgSQL names is looked up when it runs, for a row.
    fails = connections[alias].pg_version >= 170_000 and (rows == 1 or body == IN_SQL)

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
    failure = migrate(alias, "zoo")

    assert answer.ids == (["function-needs-path"] if fails else []), answer.stdout
    assert (answer.code == 1) == (failure is not None) == fails
    if fails:
        typist.type(alias, answer.report["findings"][0])
        assert ops("preflight_migrate", "zoo", database=alias, rehearse="off").code == 0
        assert migrate(alias, "zoo") is None


def test_an_index_that_is_made_again_for_a_new_type_needs_the_path_too(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = 'migrations.AlterField("cage", "name", models.CharField(max_length=9)),'
    write_migrations(CAGE, pending)
    assert migrate(empty_database, "zoo", "0001") is None
    for statement in (
        PLAIN,
        SLUG.format("plpgsql SET search_path = public AS 'BEGIN RETURN plain($1); END'"),
        "CREATE INDEX ON zoo_cage (slug(name))",
        "ALTER FUNCTION slug(text) RESET search_path",
        ROW,
    ):
        execute(connections[empty_database], statement)
    fails = connections[empty_database].pg_version >= 170_000

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert answer.ids == (["function-needs-path"] if fails else []), answer.stdout
    assert (migrate(empty_database, "zoo") is not None) == fails
