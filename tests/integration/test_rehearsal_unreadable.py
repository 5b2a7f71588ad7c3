"""A copy of a database in which the role may not read everything."""

from collections.abc import Callable

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import reasons

ADDS = 'migrations.AddField("cage", "note", models.TextField(null=True)),'
HARMLESS = "migrations.RunPython(lambda apps, editor: None),"
LOOKS = """
migrations.RunPython(lambda apps, editor: editor.execute("SELECT count(*) FROM secrets")),
"""


def prepare(
    new_database: Callable[..., str], role: Callable[..., dict[str, str]], write: Write
) -> tuple[str, str]:
    """Return the aliases of a superuser and of the role that owns everything but one table."""
    user = role("CREATEDB")
    alias = new_database("unreadable ", **user)
    superuser = f"{alias}_super"
    connections.settings[superuser] = {
        **connections.settings["default"],
        "NAME": connections.settings[alias]["NAME"],
    }
    execute(connections[superuser], f'GRANT ALL ON SCHEMA public TO "{user["USER"]}"')
    write(CAGE)
    assert migrate(alias, "zoo") is None
    execute(connections[superuser], "CREATE TABLE secrets (cage uuid REFERENCES zoo_cage (code))")
    return alias, superuser


FORCED = (
    "ALTER TABLE zoo_keeper ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE zoo_keeper FORCE ROW LEVEL SECURITY",
    "CREATE POLICY half ON zoo_keeper USING (id > 1)",
)
# The counter of another role: nobody else may say where it stands.
COUNTED = (
    "CREATE SEQUENCE counter START 5000",
    "ALTER TABLE zoo_keeper ALTER COLUMN id DROP IDENTITY",
    "ALTER TABLE zoo_keeper ALTER COLUMN id SET DEFAULT nextval('counter')",
)


@pytest.mark.parametrize("hiding", [FORCED, COUNTED], ids=["row-security", "sequence"])
def test_what_hides_rows_or_counters_leaves_open_only_what_asks_for_them(
    hiding: tuple[str, ...],
    new_database: Callable[..., str],
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    alias, superuser = prepare(new_database, role, write_migrations)
    try:
        write_migrations(CAGE, KEEPER)
        assert migrate(alias, "zoo") is None
        execute(connections[alias], ROW)
        execute(connections[alias], "INSERT INTO zoo_keeper (cage_id) SELECT code FROM zoo_cage")
        for statement in hiding:
            execute(connections[superuser], statement)
        write_migrations(CAGE, KEEPER, HARMLESS)
        harmless = ops("preflight_migrate", "zoo", database=alias, rehearse="clone")
        write_migrations(CAGE, KEEPER, LOOKS.replace("secrets", "zoo_keeper"))
        looking = ops("preflight_migrate", "zoo", database=alias, rehearse="clone")
    finally:
        connections[superuser].close()
        del connections[superuser], connections.settings[superuser]

    assert (harmless.code, reasons(harmless)) == (0, []), harmless.stdout
    assert looking.code == 3, looking.stdout


def test_a_table_that_the_role_may_not_read_is_left_out_of_the_copy(
    new_database: Callable[..., str],
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    alias, superuser = prepare(new_database, role, write_migrations)
    try:
        write_migrations(CAGE, HARMLESS)
        harmless = ops("preflight_migrate", "zoo", database=alias, rehearse="clone")
        write_migrations(CAGE, LOOKS)
        looking = ops("preflight_migrate", "zoo", database=alias, rehearse="clone")
    finally:
        connections[superuser].close()
        del connections[superuser], connections.settings[superuser]

    assert harmless.code == 0, harmless.stdout
    assert harmless.report["facts"]["rehearsal"]["absent_tables"] == ["public.secrets"]
    # On the copy it fails because the table is not there, which proves nothing; that the role may
    # not read it does.
    assert (looking.code, looking.report["findings"][-1]["id"]) == (1, "missing-privilege")
    assert any("differs from the live database" in reason for reason in reasons(looking))


def test_what_was_decided_without_a_rehearsal_stands_where_the_copy_lacks_an_unreadable_table(
    new_database: Callable[..., str],
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    alias, superuser = prepare(new_database, role, write_migrations)
    connections[superuser].close()
    del connections[superuser], connections.settings[superuser]
    # It stays the owner, which may alter it.
    execute(connections[alias], "REVOKE ALL ON zoo_cage FROM CURRENT_USER")
    write_migrations(CAGE, ADDS)

    seen = ops("preflight_migrate", "zoo", database=alias, rehearse="clone")

    assert (seen.code, reasons(seen)) == (0, []), seen.stdout
    (said,) = [each for each in seen.report["findings"] if each["id"] == "not-rehearsed"]
    assert "needed public.zoo_cage, which the copy lacks" in said["message"]
    assert seen.report["facts"]["rehearsal"] is None
    assert migrate(alias, "zoo") is None
