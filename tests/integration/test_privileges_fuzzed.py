"""Rights taken away at random: the verdict equals what `migrate` then does as that role."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from tests.aliases import guest
from tests.conftest import Ops, execute, query
from tests.integration.zoo_migrations import migrate
from tests.prepared import database_alias

pytestmark = pytest.mark.long

CASES = 60
DEPTHS = (("auth", "0003"), ("auth",), ("treasury", "0001"), ())
TARGETS = (
    (),
    ("admin",),
    ("auth",),
    ("auth", "0001"),
    ("auth", "zero"),
    ("contenttypes", "0001"),
    ("sessions",),
    ("treasury",),
    ("treasury", "0001"),
)
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES", "ALL")
# Tables that migrate itself reads and writes.
OFTEN = ("django_migrations", "django_content_type", "auth_permission", "auth_user")
TABLES = """
SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
ORDER BY 1
"""


@pytest.fixture(scope="module")
def templates(django_db_modify_db_settings: None, django_db_blocker: Any) -> Iterator[list[str]]:
    """Yield the names of databases at several points of the history."""
    with django_db_blocker.unblock(), ExitStack() as stack:
        names = []
        for depth in DEPTHS:
            alias = stack.enter_context(database_alias())
            if depth:
                call_command("migrate", *depth, database=alias, verbosity=0, stdout=StringIO())
            connections[alias].close()
            names.append(connections.settings[alias]["NAME"])
        yield names


def taking(alias: str, chance: random.Random, role: str, other: str) -> str:
    """Return statements that take away something from the owner of everything."""
    tables = [name for (name,) in query(alias, TABLES)]
    if not tables or chance.random() < 0.2:
        return f"REVOKE CREATE ON SCHEMA public FROM {role}"
    table = chance.choice([*tables, *[name for name in OFTEN if name in tables]])
    columns = query(
        alias,
        "SELECT quote_ident(attname) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        [f'"{table}"'],
    )
    column, right = chance.choice(columns)[0], chance.choice(PRIVILEGES)
    inherits = chance.choice(["TRUE", "FALSE"])
    away = f'ALTER TABLE "{table}" OWNER TO postgres'
    return chance.choice(
        [
            f'REVOKE {right} ON "{table}" FROM {role}',
            away,
            f'{away}; GRANT {right} ON "{table}" TO {role}',
            f'{away}; GRANT SELECT, INSERT ON "{table}" TO {role}',
            f'{away}; GRANT SELECT, REFERENCES ({column}) ON "{table}" TO {role}',
            f'ALTER TABLE "{table}" OWNER TO {other};'
            f" GRANT {other} TO {role} WITH INHERIT {inherits}",
        ]
    )


def test_rights_taken_at_random(
    templates: list[str],
    new_database: Callable[..., str],
    role: Callable[..., dict[str, str]],
    ops: Ops,
) -> None:
    chance = random.Random(7)  # noqa: S311 - the same cases each time
    wrong, undecided, failed = [], 0, 0
    other = f'"{role()["USER"]}"'
    for _ in range(CASES):
        with database_alias(chance.choice(templates)) as alias:
            user = role()
            name = f'"{user["USER"]}"'
            given = [f'ALTER TABLE "{table}" OWNER TO {name}' for (table,) in query(alias, TABLES)]
            given += [
                f"ALTER SCHEMA public OWNER TO {chance.choice(['postgres', name])}",
                "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
                f"GRANT USAGE, CREATE ON SCHEMA public TO {name}",
            ]
            taken = [taking(alias, chance, name, other) for _ in range(chance.randint(0, 3))]
            for statement in (*given, *taken):
                execute(connections[alias], statement)
            target = chance.choice(TARGETS)
            with guest(alias, user) as own:
                answer = ops("preflight_migrate", *target, database=own)
                failure = migrate(own, *target)
            # What a RunPython does is not decided here; what is decided must be right.
            undecided += answer.code == 3
            failed += failure is not None
            if (answer.code == 0 and failure) or (answer.code == 1 and not failure):
                wrong.append((target, taken, answer.code, answer.ids, failure))

    assert wrong == []
    assert failed >= CASES // 4, "too few cases fail to prove anything"
    assert undecided <= CASES // 5
