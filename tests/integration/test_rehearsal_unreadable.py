"""A copy of a database in which the role may not read everything."""

from collections.abc import Callable

from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.rehearsals import reasons

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
    assert harmless.report["facts"]["rehearsal"]["absent"] == ["public.secrets"]
    # On the copy it fails because the table is not there, which proves nothing; that the role may
    # not read it does.
    assert (looking.code, looking.report["findings"][-1]["id"]) == (1, "missing-privilege")
    assert any("not the whole truth" in reason for reason in reasons(looking))
