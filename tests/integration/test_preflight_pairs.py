"""The verdict equals what `migrate` then does, on both databases of every pair."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Answer, Ops, execute
from tests.integration.data_pairs import DATA_PAIRS
from tests.integration.hidden_pairs import HIDDEN_PAIRS
from tests.integration.pairs import CAGE, PAIRS, Pair
from tests.integration.zoo_migrations import Write, migrate
from tests.remedies import Typist, shows_only

pytestmark = pytest.mark.newest

ALL = [*PAIRS, *DATA_PAIRS, *HIDDEN_PAIRS]
EVERY_PAIR = pytest.mark.parametrize("pair", ALL, ids=lambda pair: pair.name.replace(" ", "-"))
# On the other major every third is enough.
EVERY_PAIR_ONCE = pytest.mark.parametrize(
    "pair",
    [
        pytest.param(pair, marks=() if number % 3 else pytest.mark.major)
        for number, pair in enumerate(ALL)
    ],
    ids=lambda pair: pair.name.replace(" ", "-"),
)
# Where a migration comes before, little is another; every fifth shows it with each change.
EVERY_FIFTH_PAIR = pytest.mark.parametrize(
    "pair",
    [
        pytest.param(pair, marks=pytest.mark.long if number % 5 else ())
        for number, pair in enumerate(ALL)
    ],
    ids=lambda pair: pair.name.replace(" ", "-"),
)
# What is behind an error is said when it is gone.
ROUNDS = 3
HARMLESS = 'migrations.CreateModel("Nest", [("id", models.BigAutoField(primary_key=True))]),'


@pytest.mark.usefixtures("side_by_side")
@EVERY_PAIR_ONCE
def test_the_verdict_equals_what_migrate_then_does_and_the_steps_cure_it(
    pair: Pair,
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
    typist: Typist,
) -> None:
    try_both(pair, new_database, write_migrations, ops, typist=typist)


@pytest.mark.usefixtures("side_by_side")
@EVERY_FIFTH_PAIR
def test_the_verdict_of_a_chain_names_the_migration_that_fails(
    pair: Pair, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    try_both(pair, new_database, write_migrations, ops, HARMLESS)


@pytest.mark.long
@EVERY_PAIR
def test_a_rehearsal_does_not_change_the_verdict(
    pair: Pair, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    try_both(pair, new_database, write_migrations, ops, rehearse="clone")


def try_both(
    pair: Pair,
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
    *before: str,
    rehearse: str = "off",
    typist: Typist | None = None,
) -> None:
    """Ask on the good and on the bad database of a pair, and compare with the real migrate."""
    for drift in ((), pair.drift):
        bad = bool(drift) or not pair.drift
        alias = new_database("pair ")
        write_migrations(pair.first)
        assert migrate(alias, "zoo") is None
        for statement in (*pair.setup, *drift):
            execute(connections[alias], statement)
        write_migrations(
            pair.first,
            *before,
            pair.pending,
            atomic=pair.atomic if pair.drift else True,
            extension="plpgsql" if pair.drift else "no_such_extension",
        )

        answer = ops("preflight_migrate", "zoo", database=alias, rehearse=rehearse)
        failure = migrate(alias, "zoo")

        if "nulls_distinct" in pair.pending and connections[alias].pg_version < 150000:
            # Django leaves it out, so that no row can be in its way.
            assert (answer.ids, failure) == (["constraint-not-created"], None)
            continue
        assert answer.report["undecided"] == []
        assert answer.code == (1 if bad else 0), answer.stdout
        assert (failure is not None) == bad, failure
        if bad:
            finding = answer.report["findings"][0]
            assert finding["id"] == pair.finding
            assert (finding["table"], finding["column"]) == (pair.table, pair.column)
            assert finding["migration"] == f"zoo.000{2 + len(before)}_step"
            assert finding["operation"] is not None
            assert finding["hint"] or finding["steps"]
            if typist is not None:
                cure(pair, alias, answer, typist, ops)


def cure(pair: Pair, alias: str, answer: Answer, typist: Typist, ops: Ops) -> None:
    """Type the steps of all errors, and of what is behind them; then `migrate` applies.

    Where no step is given, or the steps show rows that a person must change, it ends there.
    """
    for _ in range(ROUNDS):
        errors = [each for each in answer.report["findings"] if each["severity"] == "error"]
        typed = typist.type_each(alias, errors)
        if not typed or all(shows_only(each) for each in errors):
            return
        answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
        if answer.code == 0:
            break
    if answer.code == 0:
        assert migrate(alias, "zoo") is None
        return
    errors = [each for each in answer.report["findings"] if each["severity"] == "error"]
    assert all(shows_only(each) for each in errors), answer.stdout


GENERATED = (
    CAGE
    + """
migrations.AddField("cage", "low", models.GeneratedField(
    expression=Lower("name"), output_field=models.CharField(max_length=20), db_persist=True)),
migrations.AddField("cage", "rank", models.IntegerField(db_default=4)),
"""
)
APPLIES = {
    "a type after the generated column that used it is gone": 'migrations.RemoveField("cage", '
    '"low"),\nmigrations.AlterField("cage", "name", models.TextField()),',
    "a default that goes as the type comes": 'migrations.AlterField("cage", "rank", '
    "models.BooleanField()),",
    "a text that is long enough for any number": 'migrations.AlterField("cage", "rank", '
    "models.CharField(max_length=9)),",
    "a name in another schema": 'migrations.CreateModel("Den", [("id", models.BigAutoField('
    'primary_key=True))], options={"db_table": \'public"."den\'}),\n'
    'migrations.AddField("den", "size", models.IntegerField(null=True, db_index=True)),',
    "a doubled percent sign": 'migrations.AlterModelTableComment("cage", "80 %%"),',
    "an index on a key of a large document": 'migrations.AddField("cage", "data", '
    "models.JSONField(default=dict)),\n"
    'migrations.AddIndex("cage", models.Index(models.F("data__k"), name="zoo_k")),',
    "a condition with a list": 'migrations.AddConstraint("cage", models.UniqueConstraint('
    'fields=["name"], condition=models.Q(rank__in=[1, 2]), name="zoo_part")),',
    "an index on an expression without a column": 'migrations.AddIndex("cage", models.Index('
    'models.ExpressionWrapper(models.Value(1) + 1, models.IntegerField()), name="zoo_two")),',
    "a GIN index on a search vector": 'migrations.AddIndex("cage", GinIndex('
    'SearchVector("name", config="english"), name="zoo_words")),',
}


@pytest.mark.parametrize(
    "pending", APPLIES.values(), ids=[name.replace(" ", "-") for name in APPLIES]
)
def test_what_applies_is_not_refused(
    pending: str, new_database: Callable[..., str], write_migrations: Write, ops: Ops
) -> None:
    alias = new_database()
    write_migrations(GENERATED, pending)
    assert migrate(alias, "zoo", "0001") is None

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert (answer.code, answer.report["undecided"]) == (0, []), answer.stdout
    assert migrate(alias, "zoo") is None


@pytest.mark.parametrize("table", ["zoo_cage", "zoo_keeper"])
def test_a_foreign_key_joins_a_domain_with_its_base(
    table: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    keeper = """
migrations.CreateModel("Keeper", [
    ("id", models.BigAutoField(primary_key=True)), ("cage", models.UUIDField(null=True)),
]),
"""
    pending = """
migrations.AlterField("keeper", "cage",
    models.ForeignKey("zoo.Cage", models.CASCADE, null=True, to_field="code", db_column="cage")),
"""
    column = "code" if table == "zoo_cage" else "cage"
    write_migrations(CAGE + keeper, pending)
    assert migrate(empty_database, "zoo", "0001") is None
    execute(connections[empty_database], "CREATE DOMAIN plate AS uuid")
    execute(connections[empty_database], f"ALTER TABLE {table} ALTER {column} TYPE plate")

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.report["undecided"]) == (0, []), answer.stdout
    assert migrate(empty_database, "zoo") is None


MALFORMED = {
    "a quotation mark in a column": 'migrations.AddField("cage", "x", models.IntegerField('
    "null=True, db_column='a\"b')),",
    "a quotation mark in an index": 'migrations.AddIndex("cage", models.Index(fields=["size"], '
    "name='a\"b')),",
    "a quotation mark in a table": 'migrations.AlterModelTable("cage", \'a"b\'),',
    "a percent sign in a table": 'migrations.AlterModelTable("cage", "a%b"),',
    "a percent sign in a comment": 'migrations.AlterField("cage", "size", models.IntegerField('
    'null=True, db_comment="in %")),',
    "a percent sign in the comment of a new table": 'migrations.CreateModel("Den", [("id", '
    'models.BigAutoField(primary_key=True))], options={"db_table_comment": "5 % of it"}),',
}


@pytest.mark.parametrize(
    "drift",
    [
        "ALTER TABLE zoo_cage DROP COLUMN name",
        "DROP TABLE zoo_cage",
        "ALTER TABLE zoo_cage ALTER COLUMN name TYPE text",
    ],
    ids=["column", "table", "type"],
)
def test_an_alteration_that_comes_to_nothing_needs_nothing(
    drift: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    pending = 'migrations.AlterField("cage", "name", models.EmailField(max_length=20)),'
    write_migrations(CAGE, pending)
    assert migrate(empty_database, "zoo", "0001") is None
    execute(connections[empty_database], drift)

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    errors = [item for item in answer.report["findings"] if item["severity"] == "error"]
    assert (answer.code, errors) == (0, []), answer.stdout
    assert migrate(empty_database, "zoo") is None


NO_MORE_UNIQUE = """
migrations.AlterField("cage", "slug", models.SlugField(null=True, db_index=False)),
migrations.AlterField("cage", "rank", models.IntegerField(null=True)),
"""


@pytest.mark.parametrize(
    "drift",
    [
        "ALTER TABLE zoo_cage RENAME TO zoo_cage_former",
        "ALTER TABLE zoo_cage DROP COLUMN slug, DROP COLUMN rank",
        "ALTER TABLE zoo_cage DROP COLUMN rank",
        "SELECT",
    ],
    ids=["table", "columns", "a column", "nothing"],
)
def test_a_uniqueness_that_goes_needs_nothing_of_what_is_gone(
    drift: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    first = CAGE + (
        'migrations.AddField("cage", "slug", models.SlugField(null=True, unique=True)),\n'
        'migrations.AddField("cage", "rank", models.IntegerField(null=True, unique=True)),\n'
    )
    write_migrations(first, NO_MORE_UNIQUE)
    assert migrate(empty_database, "zoo", "0001") is None
    execute(connections[empty_database], drift)

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    errors = [item for item in answer.report["findings"] if item["severity"] == "error"]
    assert (answer.code, errors) == (0, []), answer.stdout
    assert migrate(empty_database, "zoo") is None


@pytest.mark.major
@pytest.mark.parametrize(
    "pending", MALFORMED.values(), ids=[name.replace(" ", "-") for name in MALFORMED]
)
def test_what_cannot_be_sent_to_the_server_is_refused(
    pending: str, empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE, pending)
    assert migrate(empty_database, "zoo", "0001") is None

    answer = ops("preflight_migrate", "zoo", database=empty_database)

    assert (answer.code, answer.ids) == (1, ["malformed-statement"]), answer.stdout
    assert migrate(empty_database, "zoo") is not None


def test_a_value_that_the_driver_cannot_send_yet_is_left_open(
    empty_database: str, write_migrations: Write, ops: Ops
) -> None:
    # What adapts it may come with the plan: a dict for hstore, as soon as the extension is there.
    pending = 'migrations.AddField("cage", "x", models.DurationField(default={"days": 1})),'
    write_migrations(CAGE, pending)
    assert migrate(empty_database, "zoo", "0001") is None

    answer = ops("preflight_migrate", "zoo", database=empty_database, rehearse="off")

    assert (answer.code, answer.ids) == (3, ["not-rehearsed"]), answer.stdout
    assert "cannot send a value yet" in answer.report["undecided"][0]["why"]


@pytest.mark.parametrize(
    ("index", "finding"),
    [
        ('GinIndex(Lower("name"), name="zoo_low")', "no-operator-class"),
        (
            'models.Index(OpClass(Lower("name"), name="varchar_pattern_ops"), name="zoo_low")',
            "expression-invalid",
        ),
    ],
    ids=["no-operators-for-the-type", "OpClass-without-its-app"],
)
def test_an_expression_that_its_index_cannot_take(
    index: str,
    finding: str,
    new_database: Callable[..., str],
    write_migrations: Write,
    ops: Ops,
) -> None:
    alias = new_database()
    write_migrations(CAGE, f'migrations.AddIndex("cage", {index}),')
    assert migrate(alias, "zoo", "0001") is None

    answer = ops("preflight_migrate", "zoo", database=alias)

    assert answer.code == 1, answer.stdout
    assert answer.report["findings"][0]["id"] == finding
    assert migrate(alias, "zoo") is not None
