"""The tablespaces that a plan names: there or not, and open to the role or not."""

from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

import pytest
from django.db import connections

from tests.conftest import Ops, execute
from tests.integration.pairs import CAGE
from tests.integration.zoo_migrations import Write, migrate
from tests.privileges import OWN, execute_for, judged


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
    default = "ALTER ROLE {role} SET default_tablespace = '{attic}'"
    given = (
        *((grant,) if state == "granted" else ()),
        *((default,) if way == "default" and state != "missing" else ()),
    )
    write_migrations(CAGE)
    assert migrate(empty_database, "zoo") is None
    execute_for(user, empty_database, *OWN, *given, attic=attic)
    write_migrations(CAGE, pending)
    if way == "index":
        settings.DEFAULT_INDEX_TABLESPACE = name
    # What a role's settings name and is not there, the server leaves out.
    fails = state == "refused" or (state == "missing" and way != "default")

    answer = judged(ops, empty_database, user, fails=fails)

    if fails:
        expected = "missing-privilege" if state == "refused" else "missing-tablespace"
        assert answer.ids[0] == expected
