"""What only a superuser gives a copy: made on a server of ours, left open elsewhere where asked."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import OWN, execute_for
from tests.rehearsals import owner_of_zoo, prepared, reasons, rehearse

pytestmark = pytest.mark.major

ALL_PUBLISHED = "CREATE PUBLICATION p FOR ALL TABLES"
# It does nothing, and nobody can tell.
NOTHING = "migrations.RunPython(lambda apps, editor: exec('')),"
ADDS = 'migrations.AddField("cage", "age", models.IntegerField(null=True)),'
UPDATES = """migrations.RunSQL("UPDATE zoo_cage SET name = 'b'"),"""
MAKES_NAMELESS = """
migrations.RunSQL("CREATE TABLE note (n int)"), migrations.RunSQL("UPDATE note SET n = 1"),
"""
IN_FORCE = """
migrations.RunSQL("DO $$ BEGIN ASSERT current_setting('session_replication_role') = 'replica'"
    " AND current_setting('default_tablespace') = ''; END $$"),
"""
SETTINGS = {
    "session_replication_role": "replica",
    "lc_messages": "C",
    "default_tablespace": "nowhere",
    "DateStyle": "German",
}


def set_for_database(alias: str, settings: dict[str, str]) -> None:
    """Let sessions of the database begin with these settings, as a superuser may."""
    name = sql.Identifier(connections[alias].settings_dict["NAME"])
    for setting, value in settings.items():
        alter = sql.SQL("ALTER DATABASE {} SET {} = {}")
        execute(connections[alias], alter.format(name, sql.Identifier(setting), sql.Literal(value)))


@pytest.mark.long
def test_what_a_superuser_has_given_the_database_is_on_a_server_of_ours_too(
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
    settings: Any,
) -> None:
    settings.OPSMIGRATE = {"ENVIRONMENT": "test"}
    alias = prepared(empty_database, write_migrations, IN_FORCE, ALL_PUBLISHED)
    set_for_database(alias, SETTINGS)
    user = role("CREATEDB")
    execute_for(user, alias, OWN[2])
    with owner_of_zoo(alias, user) as owner:
        in_force = rehearse(ops, owner)
        write_migrations(CAGE, MAKES_NAMELESS)
        nameless = rehearse(ops, owner)
        connections[owner].close()
        applies = migrate(owner, "zoo")

    assert (in_force.code, reasons(in_force)) == (0, []), in_force.stdout
    assert applies is not None
    assert (nameless.code, nameless.ids[0]) == (1, "rehearsal-failed"), nameless.stdout
    assert "replica identity" in nameless.report["facts"]["summary"]


def test_what_a_copy_elsewhere_lacks_leaves_open_what_was_open_and_nothing_else(
    empty_database: str, role: Callable[..., dict[str, str]], write_migrations: Write, ops: Ops
) -> None:
    alias = prepared(empty_database, write_migrations, ADDS, ALL_PUBLISHED)
    answers = {}
    user = role("CREATEDB")
    execute_for(user, alias, OWN[2])
    with owner_of_zoo(alias, user) as owner:
        answers["nothing to name"] = rehearse(ops, owner)
        execute(connections[alias], "ALTER TABLE zoo_cage REPLICA IDENTITY NOTHING")
        for name, pending in {"adds": ADDS, "code": NOTHING, "makes": MAKES_NAMELESS}.items():
            write_migrations(CAGE, pending)
            answers[name] = rehearse(ops, owner)
        execute(connections[alias], "DROP PUBLICATION p")
        execute(connections[alias], "ALTER TABLE zoo_cage REPLICA IDENTITY DEFAULT")
        write_migrations(CAGE, NOTHING)
        answers["none"] = rehearse(ops, owner)
        set_for_database(alias, {"session_replication_role": "replica"})
        connections[owner].close()
        answers["in force"] = rehearse(ops, owner)

    said = {name: (each.code, reasons(each)) for name, each in answers.items()}
    lacks = "the copy lacks the publication p, and {} has no replica identity"
    assert said["nothing to name"] == (0, [])
    assert said["adds"] == (0, [])
    assert answers["adds"].report["facts"]["rehearsal"]["gaps"] == [lacks.format("zoo_cage")]
    assert "rehearsed" not in answers["adds"].report["facts"]["summary"]
    assert said["code"][0] == 3
    assert lacks.format("zoo_cage") in said["code"][1]
    assert said["makes"][0] == 3
    assert lacks.format("note") in said["makes"][1]
    assert said["none"] == (0, [])
    assert said["in force"][0] == 3
    assert any("session_replication_role" in why for why in said["in force"][1])
