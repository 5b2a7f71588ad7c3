"""seed_payment_id reaches the goal from every state, and changes no value that is there."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from tests.aliases import guest
from tests.conftest import Ops, execute, query
from tests.integration.zoo_migrations import migrate
from tests.remedies import Typist, alternatives, unannounced

pytestmark = pytest.mark.major

COLUMN = """
SELECT format_type(a.atttypid, a.atttypmod), a.attnotnull, con.conname,
       pg_get_constraintdef(con.oid), con.condeferrable, pg_get_indexdef(con.conindid)
FROM pg_attribute a LEFT JOIN pg_constraint con
     ON con.conrelid = a.attrelid AND con.conkey = ARRAY[a.attnum] AND con.contype = 'u'
WHERE a.attrelid = 'treasury_payment'::regclass AND a.attname = 'payment_id'
"""
ADD = "ALTER TABLE treasury_payment ADD COLUMN payment_id uuid"
NAME = "treasury_payment_payment_id_key"

STATES = {
    "there without values": [ADD],
    "there with some values": [
        ADD,
        "UPDATE treasury_payment SET payment_id = gen_random_uuid() WHERE id % 3 = 0",
    ],
    "there with a default": [f"{ADD} DEFAULT gen_random_uuid()"],
    "unique under another name": [f"{ADD} CONSTRAINT somebodys UNIQUE"],
    "unique by an index only": [
        ADD,
        "CREATE UNIQUE INDEX somebodys ON treasury_payment (payment_id)",
    ],
    "with an INVALID index left": [
        ADD,
        f"CREATE UNIQUE INDEX {NAME} ON treasury_payment (payment_id)",
        f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{NAME}'::regclass",
    ],
    "NOT NULL but not unique": [f"{ADD} NOT NULL DEFAULT gen_random_uuid()"],
    "with the check of a run that was killed": [
        ADD,
        "UPDATE treasury_payment SET payment_id = gen_random_uuid()",
        "ALTER TABLE treasury_payment ADD CONSTRAINT opsmigrate_seeded"
        " CHECK (payment_id IS NOT NULL) NOT VALID",
    ],
}


def prepare(alias: str, statements: list[str]) -> None:
    for statement in statements:
        execute(connections[alias], statement.replace("%", "%%"), [])


def values(alias: str) -> dict[int, Any]:
    rows = query(alias, "SELECT id, payment_id FROM treasury_payment WHERE payment_id IS NOT NULL")
    return dict(rows)


def rest(alias: str) -> list[tuple[Any, ...]]:
    return query(
        alias,
        "SELECT count(*), sum(hashtextextended((to_jsonb(p) - 'payment_id')::text, 0))"
        " FROM treasury_payment p",
    )


def test_the_column_ends_as_a_fresh_database_has_it_and_with_a_default(
    staging: str, empty_database: str, new_database: Callable[..., str], ops: Ops
) -> None:
    fresh = new_database()
    call_command("migrate", "treasury", "0001", database=fresh, verbosity=0, stdout=StringIO())

    answer = ops("seed_payment_id", database=staging)

    assert answer.code == 0
    assert query(staging, COLUMN) == query(fresh, COLUMN)
    insert = (
        "INSERT INTO treasury_payment (reference, payee, amount, currency, status, due_date,"
        " created_at, updated_at, memo, account_id) SELECT 'old release', payee, amount, currency,"
        " status, due_date, created_at, updated_at, memo, account_id FROM treasury_payment LIMIT 1"
    )
    execute(connections[staging], insert)
    assert query(staging, "SELECT count(*) FROM treasury_payment WHERE payment_id IS NULL") == [
        (0,)
    ]
    facts = answer.report["facts"]
    assert (facts["rows"], facts["seeded"], facts["nulls"], facts["duplicates"]) == (500, 500, 0, 0)
    assert facts["batches"] > 0
    assert facts["longest_lock_wait_ms"] == 0


@pytest.mark.parametrize("state", STATES, ids=lambda name: name.replace(" ", "-"))
def test_every_state_has_a_path_and_no_value_is_changed(state: str, staging: str, ops: Ops) -> None:
    prepare(staging, STATES[state])
    before, others = values(staging), rest(staging)

    answer = ops("seed_payment_id", database=staging)

    assert answer.code == 0, answer.stdout
    after = values(staging)
    assert {key: after[key] for key in before} == before
    assert len(set(after.values())) == 500
    assert rest(staging) == others
    assert query(staging, COLUMN)[0][:3] == ("uuid", True, NAME)
    checks = "SELECT count(*) FROM pg_constraint WHERE conname LIKE '%%_seeded'"
    assert query(staging, checks) == [(0,)]
    assert ops("preflight_migrate", database=staging).code == 0
    assert migrate(staging, "treasury") is None


def test_a_second_run_finds_nothing_to_do(staging: str, ops: Ops) -> None:
    ops("seed_payment_id", database=staging)
    before = values(staging)

    answer = ops("seed_payment_id", database=staging)

    assert (answer.code, answer.report["facts"]["seeded"]) == (0, 0)
    assert values(staging) == before


REFUSALS = {
    "column-type": ["ALTER TABLE treasury_payment ADD COLUMN payment_id integer"],
    "duplicates": [
        ADD,
        "UPDATE treasury_payment SET payment_id = '00000000-0000-0000-0000-000000000001'"
        " WHERE id % 2 = 0",
    ],
    "update-triggers": [
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.updated_at := now(); RETURN NEW; END'",
        "CREATE TRIGGER touch BEFORE UPDATE ON treasury_payment"
        " FOR EACH ROW EXECUTE FUNCTION touch()",
    ],
    "index-exists": [f"CREATE SEQUENCE {NAME}"],
    "table-hierarchy": ["CREATE TABLE special () INHERITS (treasury_payment)"],
}


def test_a_deferrable_constraint_of_that_name_is_refused_before_anything_is_written(
    staging: str, ops: Ops
) -> None:
    # No foreign key can point to it, and its name is the one that ours is to have.
    prepare(staging, [f"{ADD} CONSTRAINT {NAME} UNIQUE DEFERRABLE"])

    answer = ops("seed_payment_id", database=staging)

    assert (answer.code, answer.ids) == (4, ["index-exists"])
    assert values(staging) == {}

    prepare(staging, [f"ALTER INDEX {NAME} RENAME TO former"])
    assert ops("seed_payment_id", database=staging).code == 0


@pytest.mark.parametrize("id", REFUSALS)
def test_what_cannot_be_reached_is_refused_before_anything_is_written(
    id: str, staging: str, ops: Ops, typist: Typist
) -> None:
    prepare(staging, REFUSALS[id])
    columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'treasury_payment'::regclass"
    before = (query(staging, columns), rest(staging))

    answer = ops("seed_payment_id", database=staging)

    assert (answer.code, answer.report["verdict"], answer.ids) == (4, "refused", [id])
    assert (query(staging, columns), rest(staging)) == before
    [finding] = answer.report["findings"]
    way = max(alternatives(finding))
    gone = typist.type(staging, finding, alternative=way)
    assert unannounced(finding, gone, alternative=way) == []
    again = ops("seed_payment_id", database=staging, no_unique=id == "table-hierarchy")
    assert (again.code, again.report["facts"]["seeded"]) == (0, 0)


def test_update_triggers_fire_where_that_is_asked_for(staging: str, ops: Ops) -> None:
    prepare(staging, REFUSALS["update-triggers"])

    assert ops("seed_payment_id", database=staging, triggers="fire").code == 0


def test_a_trigger_on_another_column_is_no_obstacle(staging: str, ops: Ops) -> None:
    function, trigger = REFUSALS["update-triggers"]
    prepare(staging, [function, trigger.replace("UPDATE ON", "UPDATE OF amount ON")])

    assert ops("seed_payment_id", database=staging).code == 0


def test_a_dry_run_shows_the_statements_and_writes_nothing(staging: str, ops: Ops) -> None:
    answer = ops("seed_payment_id", database=staging, dry_run=True)

    statements = [s for phase in answer.report["facts"]["phases"] for s in phase["statements"]]
    assert answer.code == 0
    assert (
        statements[0]
        == 'ALTER TABLE "public"."treasury_payment" ADD COLUMN "payment_id" pg_catalog.uuid'
    )
    assert query(staging, COLUMN) == []


def test_verify_only_says_what_is_missing(staging: str, ops: Ops, typist: Typist) -> None:
    missing = ops("seed_payment_id", database=staging, verify_only=True)
    prepare(staging, [ADD])
    empty = ops("seed_payment_id", database=staging, verify_only=True)
    typist.type(staging, empty.report["findings"][0])
    complete = ops("seed_payment_id", database=staging, verify_only=True)

    assert (missing.code, missing.ids) == (1, ["not-seeded"])
    assert "the column does not exist" in missing.report["findings"][0]["message"]
    assert "500 rows without a value" in empty.report["findings"][0]["message"]
    assert (complete.code, complete.ids) == (0, [])


def test_a_dry_run_refuses_what_the_run_would_refuse(staging: str, ops: Ops) -> None:
    prepare(staging, REFUSALS["duplicates"])

    answer = ops("seed_payment_id", database=staging, dry_run=True)

    assert (answer.code, answer.ids) == (4, ["duplicates"])


def test_an_owner_who_may_not_create_in_the_schema_is_refused_before_anything_is_written(
    staging: str, role: Callable[..., dict[str, str]], ops: Ops, typist: Typist
) -> None:
    user = role()
    execute(connections[staging], f"""ALTER TABLE treasury_payment OWNER TO "{user["USER"]}" """)
    # Before PostgreSQL 15 everybody may.
    execute(connections[staging], "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    with guest(staging, user) as alias:
        answer = ops("seed_payment_id", database=alias)

    assert (answer.code, answer.ids) == (4, ["missing-privilege"])
    assert "may not create an index in schema public" in answer.report["findings"][0]["message"]
    assert query(staging, COLUMN) == []
    typist.type(staging, answer.report["findings"][0])
    with guest(staging, user) as alias:
        assert ops("seed_payment_id", database=alias).code == 0


@pytest.mark.parametrize(
    ("field", "options", "value", "type"),
    [
        ("memo", {}, "", "text"),
        ("status", {}, "draft", "character varying(10)"),
        ("amount", {"expression": "round(id * 1.5, 2)"}, None, None),
        ("payee", {"expression": "'per ' || 100 || '%'"}, "per 100%", "character varying(140)"),
    ],
)
def test_other_fields_are_seeded_with_their_default_or_an_expression(
    field: str, options: dict[str, str], value: str | None, type: str, staging: str, ops: Ops
) -> None:
    drop = f"ALTER TABLE treasury_payment DROP COLUMN {field} CASCADE"
    execute(connections[staging], drop)
    target = {"model": "treasury.Payment", "field": field}

    answer = ops("seed_payment_id", database=staging, **target, **options)
    again = ops("seed_payment_id", database=staging, **target, **options, verify_only=True)

    if value is None:
        # Computed from the row: no default, so no NOT NULL while the old release inserts.
        assert (answer.code, answer.ids) == (4, ["no-default"])
        return
    assert (answer.code, again.code) == (0, 0), answer.stdout
    assert query(staging, f"SELECT DISTINCT {field} FROM treasury_payment") == [(value,)]
    column = (
        "SELECT format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
        " WHERE attrelid = 'treasury_payment'::regclass AND attname = %s"
    )
    assert query(staging, column, [field]) == [(type, True)]


@pytest.mark.parametrize("expression", ["no_such(1)", "1 +", "NULL", "ARRAY[1]", "1; DROP TABLE x"])
def test_an_expression_that_gives_no_value_is_a_usage_error(
    expression: str, staging: str, ops: Ops
) -> None:
    target = {"model": "treasury.Payment", "field": "payment_id", "expression": expression}

    answer = ops("seed_payment_id", database=staging, **target)

    assert (answer.code, answer.ids) == (2, ["bad-expression"])
    assert query(staging, COLUMN) == []


def test_without_uniqueness_the_column_is_filled_and_not_null(staging: str, ops: Ops) -> None:
    answer = ops("seed_payment_id", database=staging, no_unique=True, workers=2)

    assert answer.code == 0, answer.stdout
    assert query(staging, COLUMN)[0][:3] == ("uuid", True, None)
    assert ops("seed_payment_id", database=staging, verify_only=True).ids == ["not-seeded"]


@pytest.mark.parametrize(
    ("options", "id"),
    [
        ({"model": "treasury.Payment"}, "incomplete-target"),
        ({"model": "treasury.Nothing", "field": "payment_id"}, "unknown-field"),
        ({"model": "treasury.Payment", "field": "nothing"}, "unknown-field"),
        ({"model": "nonsense", "field": "payment_id"}, "unknown-field"),
        ({"model": "treasury.Payment", "field": "account"}, "unsupported-field"),
    ],
)
def test_a_target_that_is_not_there_is_a_usage_error(
    options: dict[str, str], id: str, staging: str, ops: Ops
) -> None:
    answer = ops("seed_payment_id", database=staging, **options)

    assert (answer.code, answer.ids) == (2, [id])


def test_no_target_at_all_says_what_to_set(staging: str, ops: Ops, settings: Any) -> None:
    settings.OPSMIGRATE = {"ENVIRONMENT": "test"}

    answer = ops("seed_payment_id", database=staging)

    assert (answer.code, answer.ids) == (2, ["no-seed-target"])


def test_a_database_without_the_table_is_a_usage_error(
    empty_database: str, ops: Ops, typist: Typist
) -> None:
    answer = ops("seed_payment_id", database=empty_database)

    assert (answer.code, answer.ids) == (2, ["missing-table"])
    typist.type(empty_database, answer.report["findings"][0])
    assert ops("seed_payment_id", database=empty_database).code == 0


def test_production_demands_approval_and_a_verified_backup_of_this_state(
    staging: str, ops: Ops, settings: Any, tmp_path: Any
) -> None:
    settings.OPSMIGRATE = {
        **settings.OPSMIGRATE,
        "ENVIRONMENT": "production",
        "BACKUP_DIR": str(tmp_path),
    }
    bare = ops("seed_payment_id", database=staging)
    approved = ops("seed_payment_id", database=staging, approval="CAB-1, Ada")
    ops("backup_db", database=staging, verify="none")
    unverified = ops("seed_payment_id", database=staging, approval="CAB-1, Ada")
    assert query(staging, COLUMN) == []
    backup = ops("backup_db", database=staging)
    done = ops("seed_payment_id", database=staging, approval="CAB-1, Ada")

    assert (bare.code, bare.ids) == (4, ["approval-needed"])
    assert (approved.code, approved.ids) == (4, ["backup-missing"])
    assert (unverified.code, unverified.ids) == (4, ["backup-missing"])
    assert (backup.code, done.code) == (0, 0)
    assert done.report["facts"]["approval"] == "CAB-1, Ada"
    assert done.report["facts"]["backup"] == backup.report["facts"]["file"].rsplit("/", 1)[-1]
