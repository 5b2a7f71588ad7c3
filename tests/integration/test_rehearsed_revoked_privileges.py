"""What an owner may not do with its own is lacking on the copy too: the verdict is migrate's."""

from collections.abc import Callable

import pytest

from tests.aliases import guest
from tests.conftest import Ops
from tests.integration.pairs import CAGE, KEEPER, ROW
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import OWN, execute_for, told
from tests.rehearsals import rehearse


def test_what_the_role_withholds_from_itself_is_lacking_on_the_copy_too(
    empty_database: str, role: Callable[..., dict[str, str]], write_migrations: Write, ops: Ops
) -> None:
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    user = role("CREATEDB")
    withholds = "ALTER DEFAULT PRIVILEGES FOR ROLE {role} REVOKE REFERENCES ON TABLES FROM {role}"
    execute_for(user, empty_database, *OWN, withholds)
    herds = """
migrations.CreateModel("Herd", [("id", models.BigAutoField(primary_key=True))]),
migrations.CreateModel("Beast", [
    ("id", models.BigAutoField(primary_key=True)),
    ("herd", models.ForeignKey("zoo.Herd", models.CASCADE)),
]),
"""
    write_migrations(CAGE, herds)

    with guest(empty_database, user) as alias:
        answer = rehearse(ops, alias)
        failure = migrate(alias, "zoo")

    assert failure is not None
    assert (answer.code, told(answer)) == (1, ["missing-privilege"]), answer.stdout


@pytest.mark.parametrize("revoked", ["UPDATE", "INSERT"])
def test_what_was_revoked_from_the_owner_is_lacking_on_the_copy_too(
    revoked: str,
    empty_database: str,
    role: Callable[..., dict[str, str]],
    write_migrations: Write,
    ops: Ops,
) -> None:
    write_migrations(CAGE, KEEPER)
    assert migrate(empty_database, "zoo") is None
    user = role("CREATEDB")
    both = ("ALTER TABLE zoo_keeper OWNER TO {role}", *OWN, ROW)
    execute_for(user, empty_database, *both, f"REVOKE {revoked} ON zoo_cage FROM {{role}}")
    # Without UPDATE on the cage, its foreign key cannot lock it.
    code = "INSERT INTO zoo_keeper (cage_id) SELECT code FROM zoo_cage"
    if revoked == "INSERT":
        code = ROW.replace("'a'", "'b'")
    write_migrations(
        CAGE,
        KEEPER,
        f"""
migrations.RunPython(lambda apps, editor: editor.execute("{code}")),
""",
    )

    with guest(empty_database, user) as alias:
        answer = rehearse(ops, alias)
        failure = migrate(alias, "zoo")

    assert failure is not None
    # The INSERT itself lacks its privilege; what its keys ask for, it does not say.
    lacks = ["missing-privilege"] if revoked == "INSERT" else []
    assert (answer.code, told(answer)) == (1, ["rehearsal-failed", *lacks]), answer.stdout
