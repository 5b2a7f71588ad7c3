"""What PostgreSQL refuses within a transaction: each statement is tried in one."""

from __future__ import annotations

from django.db import DatabaseError, connections

from opsmigrate.postgres.driver_errors import sqlstate
from opsmigrate.sql.grammar import parse
from opsmigrate.sql.transactions import stands_alone
from tests.conftest import execute

OBJECTS = """
CREATE TABLE t (n int);
CREATE INDEX i ON t (n);
CREATE TABLE p (n int) PARTITION BY LIST (n);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
"""
STATEMENTS = """
VACUUM
VACUUM t
ANALYZE
ANALYZE t
CREATE INDEX CONCURRENTLY x ON t (n)
CREATE INDEX x ON t (n)
DROP INDEX CONCURRENTLY i
DROP INDEX i
REINDEX TABLE t
REINDEX TABLE CONCURRENTLY t
REINDEX SCHEMA public
CLUSTER
CLUSTER t USING i
DISCARD ALL
DISCARD PLANS
CREATE DATABASE x
DROP DATABASE x
ALTER SYSTEM SET work_mem = '4MB'
DROP TABLESPACE x
ALTER TABLE p DETACH PARTITION p1
ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY
ALTER TABLE t ADD COLUMN m int
"""
IN_A_TRANSACTION = "25001"


def test_what_the_server_refuses_in_a_transaction_stands_alone(empty_database: str) -> None:
    connection = connections[empty_database]
    execute(connection, OBJECTS)
    refused, alone = [], []
    for text in STATEMENTS.strip().splitlines():
        [statement] = parse(text)
        if stands_alone(statement):
            alone.append(text)
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                cursor.execute(text)
            except DatabaseError as error:
                if sqlstate(error) == IN_A_TRANSACTION:
                    refused.append(text)
            finally:
                cursor.execute("ROLLBACK")

    assert alone == refused
