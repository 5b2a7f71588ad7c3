"""--rehearse-in behind an address that leads to the clone at first, and then to another server."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.pgtools import embedded
from tests.aliases import alias_of, elsewhere
from tests.conftest import Ops, execute
from tests.integration.test_rehearse_in import Clone, clone_of, rehearse_in
from tests.integration.zoo_migrations import Write
from tests.rehearsals import DOUBLE, dump, dumped, fill, prepared
from tests.switching import switching

__all__ = ["clone_of"]


@pytest.mark.named
def test_no_session_of_a_rehearsal_works_anywhere_but_in_the_clone_that_was_compared(
    empty_database: str, write_migrations: Write, ops: Ops, clone_of: Clone, tmp_path: Path
) -> None:
    alias = prepared(empty_database, write_migrations, DOUBLE)
    precious = clone_of(alias)
    settings = connections[precious].settings_dict
    name, here = settings["NAME"], ("127.0.0.1", int(settings["PORT"]))
    major = connections[alias].pg_version // 10_000
    live, untouched = dump(alias), dump(precious)
    with embedded.running(tmp_path, major=major, durable=False) as server:
        place = {**settings, "HOST": "127.0.0.1", "PORT": server.port}
        password = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
            sql.Identifier(settings["USER"]), sql.Literal(settings["PASSWORD"])
        )
        with (
            elsewhere(alias, server.url) as its,
            switching(("127.0.0.1", server.port), here) as address,
        ):
            execute(connections[its], password)
            again = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
            execute(connections[its], again)
            with alias_of("original", **place) as original:
                fill(original, dumped(alias))
            template = sql.SQL("ALTER DATABASE {} RENAME TO original").format(sql.Identifier(name))
            execute(connections[its], template)

            with alias_of("switched", **{**place, "PORT": address.port}) as there:

                def ended(sessions: int | None) -> tuple[int, list[str]]:
                    connections[there].close()
                    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                    execute(connections[its], drop.format(sql.Identifier(name)))
                    made = sql.SQL("CREATE DATABASE {} TEMPLATE original")
                    execute(connections[its], made.format(sql.Identifier(name)))
                    address.sessions, address.opened = sessions, 0
                    answer = rehearse_in(ops, alias, there)
                    return answer.code, answer.ids

                assert ended(None) == (0, [])
                whole = address.opened
                assert whole > 5
                for sessions in range(1, whole):
                    code, ids = ended(sessions)
                    assert code in (3, 4), (sessions, ids)
                    assert dump(precious) == untouched, sessions
    assert dump(alias) == live
