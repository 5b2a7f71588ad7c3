"""Whether two ways to connect lead to the same database."""

from typing import Any

import pytest

from opsmigrate.preflight.rehearsal.copy_name import asks_for_name
from opsmigrate.preflight.rehearsal.same_database import is_same_database

HERE = {"dbname": "scratch", "host": "127.0.0.1", "port": "5432"}


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "::1"}, True),
        ({"host": "/var/run/postgresql"}, True),
        ({"host": "", "port": None}, True),
        ({"user": "another"}, True),
        ({"host": "192.0.2.7"}, False),
        ({"host": "no-such-host.invalid"}, False),
        ({"host": "127.0.0.1,192.0.2.7"}, False),
        ({"host": "192.0.2.7,127.0.0.1"}, False),
        ({"hostaddr": "192.0.2.7"}, False),
        ({"service": "elsewhere"}, False),
        ({"port": "5433"}, False),
        ({"dbname": "live"}, False),
    ],
)
def test_a_host_is_the_same_whatever_it_is_called(given: dict[str, Any], same: bool) -> None:
    assert is_same_database({**HERE, **given}, HERE) is same


@pytest.mark.parametrize(
    ("statement", "asks"),
    [
        ("SELECT current_database()", True),
        ("select 1, CURRENT_CATALOG", True),
        ("DO $$ BEGIN IF current_database() = 'live' THEN DROP TABLE t; END IF; END $$", True),
        ("SELECT 1 FROM information_schema.tables WHERE table_catalog = 'live'", True),
        ("SELECT 1 FROM information_schema.tables WHERE table_catalog = current_database()", False),
        ("/* which? */ SELECT current_database()", True),
        ("WITH a AS (SELECT current_catalog AS b) SELECT * FROM a", True),
        ("SELECT * FROM current_database()", True),
        ("SELECT (SELECT max(id) FROM t), current_database()", True),
        ("INSERT INTO t SELECT current_database()", True),
        ("UPDATE t SET a = %s, b = current_database()", True),
        ("SELECT 'current_database()'", False),
        ("SELECT 1 FROM t JOIN pg_database d ON d.datname = current_database()", False),
        ("UPDATE t SET app = 'live'", False),
        ("SELECT name FROM t WHERE live", False),
    ],
)
def test_a_statement_asks_for_the_databases_name(statement: str, asks: bool) -> None:
    assert asks_for_name(statement, "live") is asks
