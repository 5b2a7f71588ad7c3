"""Rows that the server itself cannot read, or cannot write out: which they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.errors import OpsmigrateError
from opsmigrate.pgtools.run import ClientError
from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.driver_errors import first_line, sqlstate
from opsmigrate.postgres.session import second_connection, set_for_session

# As pg_dump tells what it was at. Where psql read the same table, the TOAST table may be named.
COPIED = re.compile(r'COPY ((?:"(?:[^"]|"")+"|[\w$]+)\.(?:"(?:[^"]|"")+"|[\w$]+)) \(')
TOAST = re.compile(r"\bpg_toast_(\d+)\b")
# internal_error and what is corrupt; a limit of the program: a text of 1 GB; no memory for it.
OF_THE_ROWS = ("XX", "54", "53200")
SECONDS = 60
SEVERAL = 5
PAGES = """
SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname),
       pg_catalog.pg_relation_size(c.oid)
       / pg_catalog.current_setting('block_size')::pg_catalog.int8
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = %s::pg_catalog.regclass AND c.relkind = 'r'
"""


def unreadable_rows(connection: BaseDatabaseWrapper, error: ClientError) -> OpsmigrateError | None:
    """Return the error that names the table and its rows, None where its rows can be read.

    `error` is what a client program failed with. Reading anew takes as long as half of the table
    at a time, SECONDS at the most for each part.
    """
    words = f"{error}\n{error.besides}"
    if found := COPIED.search(words):
        table = found[1]
    elif toast := TOAST.search(words):
        table = toast[1]
    else:
        return None
    with second_connection(connection) as other:
        set_for_session(other, statement_timeout=f"{SECONDS}s")
        try:
            with other.cursor() as cursor:
                cursor.execute(PAGES, [table])
                row = cursor.fetchone()
        except Error:
            return None
        return _named(other, *row) if row else None


def _named(connection: BaseDatabaseWrapper, table: str, pages: int) -> OpsmigrateError | None:
    failure = _failure(connection, table, 0, pages)
    if failure is None:
        return None
    first, end = 0, pages
    while end - first > 1:
        middle = (first + end) // 2
        if _failure(connection, table, first, middle):
            end = middle
        else:
            first = middle
    rows = list(_rows(connection, table, first))
    places = ", ".join(rows) if rows else "all of it"
    return OpsmigrateError(
        f"the server cannot read every row of {table}, so no backup can be taken: {failure}; the "
        f"first such page is {first:,} of {pages:,}, the rows there (ctid): {places}",
        id="unreadable-rows",
        hint="where they are damaged, keep a copy of the server's files before anything else; take "
        "the values from an older backup, column by column from the row itself as far as it can be "
        "read, or let them be smaller than 500 MB where they are too long to write out; then the "
        "backup again, which names the next ones",
        table=table,
        evidence={"page": first, "pages": pages, "rows": rows},
    )


def _failure(connection: BaseDatabaseWrapper, table: str, first: int, end: int) -> str | None:
    """Return the server's words where a row of these pages cannot be written out."""
    return _tried(
        connection,
        sql.SQL("t.ctid >= {} AND t.ctid < {}").format(
            *(
                sql.SQL("'({},0)'::pg_catalog.tid").format(sql.Literal(page))
                for page in (first, end)
            )
        ),
        table,
    )


def _rows(connection: BaseDatabaseWrapper, table: str, page: int) -> Iterator[str]:
    """Yield the first rows of the page that cannot be written out, by their place."""
    found = 0
    for number in range(1, 300):
        place = f"({page},{number})"
        here = sql.SQL("t.ctid = {}::pg_catalog.tid").format(sql.Literal(place))
        if _tried(connection, here, table):
            yield place
            found += 1
        if found == SEVERAL:
            return


def _tried(connection: BaseDatabaseWrapper, where: Composable, table: str) -> str | None:
    query = sql.SQL(
        "SELECT pg_catalog.sum(pg_catalog.octet_length(t.*::pg_catalog.text)) FROM ONLY {} t "
        "WHERE {}"
    ).format(sql.SQL(table), where)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            cursor.fetchone()
    except Error as error:
        if (sqlstate(error) or "").startswith(OF_THE_ROWS):
            return first_line(error)
    return None
