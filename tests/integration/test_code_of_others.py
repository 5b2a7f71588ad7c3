"""What SQL by hand calls is asked of the rows, but never where another role has made it."""

from collections.abc import Callable

import pytest
from django.db import connections

from opsmigrate.postgres.names import quoted
from tests.conftest import Ops, execute, query
from tests.integration.one_cage import prepared  # noqa: F401 - a fixture
from tests.integration.zoo_migrations import migrate

MAKE = (
    "CREATE FUNCTION public.f({of}) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS"
    " 'BEGIN RAISE EXCEPTION ''called''; END'"
)
GIVE = 'ALTER FUNCTION public.f({of}) OWNER TO "{role}"'
OPERATOR = "CREATE OPERATOR public.@@@ (LEFTARG = integer, RIGHTARG = integer, FUNCTION = f)"
CAGE = "ALTER TABLE zoo_cage "
# What the function takes, what is made of it, and the SQL of the migration.
CALLS = {
    "USING": ("integer", "", f"{CAGE}ALTER size TYPE bigint USING f(size)"),
    "a check": ("integer", "", f"{CAGE}ADD CHECK (f(size) > 0)"),
    "a generated column": (
        "integer",
        "",
        f"{CAGE}ADD h integer GENERATED ALWAYS AS (f(size)) STORED",
    ),
    "an index": ("integer", "", "CREATE INDEX ON zoo_cage (f(size))"),
    "a default": ("integer", "", f"{CAGE}ADD h integer DEFAULT f(3)"),
    "an operator": ("integer, integer", OPERATOR, f"{CAGE}ALTER size TYPE bigint USING size @@@ 1"),
    "an UPDATE": ("integer, integer", OPERATOR, "UPDATE zoo_cage SET size = size @@@ 1"),
    "a cast": (
        "uuid",
        "CREATE CAST (uuid AS integer) WITH FUNCTION f(uuid)",
        f"{CAGE}ALTER code TYPE integer USING code::integer",
    ),
}
Role = Callable[..., dict[str, str]]


def by_hand(sql: str) -> str:
    return f"migrations.RunSQL({sql!r}),"


@pytest.mark.parametrize("about", CALLS, ids=lambda about: about.replace(" ", "-"))
def test_what_another_role_has_made_is_not_called(
    about: str,
    prepared: Callable[..., str],  # noqa: F811
    role: Role,
    ops: Ops,
) -> None:
    of, more, sql = CALLS[about]
    give = GIVE.format(of=of, role=role()["USER"])
    alias = prepared(by_hand(sql), MAKE.format(of=of), more, give)

    name = quoted(connections[alias].settings_dict["NAME"])
    execute(connections[alias], f"ALTER DATABASE {name} SET track_functions = 'all'")
    # What a session has called is counted as it ends.
    connections[alias].close()
    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")
    connections[alias].close()

    assert answer.ids == ["not-rehearsed"], answer.stdout
    called = "SELECT funcname FROM pg_stat_user_functions WHERE schemaname = 'public'"
    assert query(alias, called) == []
    assert migrate(alias, "zoo") is not None


@pytest.mark.parametrize("about", ["a check", "a generated column", "an index"])
def test_what_the_project_s_own_function_raises_is_told(
    about: str,
    prepared: Callable[..., str],  # noqa: F811
    ops: Ops,
) -> None:
    of, _, sql = CALLS[about]
    alias = prepared(by_hand(sql), MAKE.format(of=of))

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert (answer.code, answer.ids) == (1, ["expression-fails"]), answer.stdout
    assert "called (P0001)" in answer.report["findings"][0]["message"]
    assert migrate(alias, "zoo") is not None


def test_a_default_that_a_function_gives_is_left_to_a_rehearsal(
    prepared: Callable[..., str],  # noqa: F811
    ops: Ops,
) -> None:
    of, _, sql = CALLS["a default"]
    alias = prepared(by_hand(sql), MAKE.format(of=of))

    answer = ops("preflight_migrate", "zoo", database=alias, rehearse="off")

    assert answer.code == 3, answer.stdout
    assert "calls a function that is not PostgreSQL's" in answer.report["undecided"][0]["why"]
