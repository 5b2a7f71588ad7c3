"""Rows that a unique index or NOT NULL should have refused: a copy refuses them, and lacks them."""

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.of_users import of_users
from opsmigrate.postgres.session import no_time_limits, set_for_session
from opsmigrate.postgres.transaction import SNAPSHOT, transaction
from opsmigrate.preflight.rehearsal.broken_constraint import BrokenConstraint
from opsmigrate.preflight.rehearsal.selection import CopySelection

UNIQUE = of_users("""
SELECT n.nspname, c.relname, x.relname,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true)
             FROM generate_series(1, i.indnkeyatts) AS k),
       pg_get_expr(i.indpred, i.indrelid),
       NOT coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false)
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisunique AND i.indisvalid AND i.indisready AND c.relkind = 'r'
  AND {of_users}
ORDER BY i.indexrelid
""")
INDEXES = """
SELECT n.nspname, x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = x.relnamespace
"""
# All but one of those that are the same.
TWICE = """
DELETE FROM ONLY {table} WHERE ctid IN (
    SELECT place FROM (
        SELECT ctid AS place, row_number() OVER (PARTITION BY {keys} ORDER BY ctid) AS number
        FROM ONLY {table} WHERE {counts}) AS numbered
    WHERE number > 1)
"""
# Of PostgreSQL 18 on they have names.
NOT_NULL = of_users("""
SELECT n.nspname, c.relname, a.attname,
       (SELECT k.conname FROM pg_constraint k
        WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum])
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnotnull AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'r'
  AND {of_users}
""")
COLUMNS = """
SELECT n.nspname, c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'r'
"""
NAMED = " AND strpos(%(words)s, a.attname) > 0 AND strpos(%(words)s, c.relname) > 0"
TABLES = of_users("""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND {of_users}
""")
LARGE_OBJECTS = "SELECT lo_unlink(oid) FROM pg_largeobject_metadata"
TIMEOUT = "60s"


def leave_out_twice(
    source: BaseDatabaseWrapper, scratch: BaseDatabaseWrapper
) -> tuple[BrokenConstraint, ...]:
    """Delete from the copy the rows that make its unique indexes fail, and return those.

    Call it when the copy has the rows, and an index could not be made.
    """
    with transaction(source, SNAPSHOT) as cursor:
        # So that every name in an expression has its schema.
        cursor.execute("SET LOCAL search_path = pg_catalog")
        cursor.execute(UNIQUE)
        unique = cursor.fetchall()
    set_for_session(scratch, **no_time_limits(scratch))
    with scratch.cursor() as cursor:
        cursor.execute(INDEXES)
        there = set(cursor.fetchall())
    broken = []
    for schema, table, name, keys, condition, nulls_distinct in unique:
        if (schema, name) in there:
            continue
        given = [sql.SQL("({}) IS NOT NULL").format(sql.SQL(key)) for key in keys]
        if condition:
            given.append(sql.SQL("({})").format(sql.SQL(condition)))
        counts = given if nulls_distinct else given[len(keys) :]
        statement = sql.SQL(TWICE).format(
            table=sql.Identifier(schema, table),
            keys=sql.SQL(", ").join(map(sql.SQL, keys)),
            counts=sql.SQL(" AND ").join(counts) if counts else sql.SQL("true"),
        )
        try:
            with transaction(scratch) as cursor:
                cursor.execute(statement)
                if not cursor.rowcount:
                    continue
        except Error:
            continue
        broken.append(
            BrokenConstraint(
                schema=schema,
                table=table,
                name=name,
                kind="unique",
                marked_valid=True,
                columns=tuple(keys),
                condition=condition,
                nulls_distinct=nulls_distinct,
            )
        )
    return tuple(broken)


class NullsLetIn:
    """Columns of a copy that let in the NULLs which the live table has in spite of its NOT NULL."""

    def __init__(
        self, source: BaseDatabaseWrapper, scratch: BaseDatabaseWrapper, selection: CopySelection
    ) -> None:
        """Remember both sides; nothing is let in yet."""
        self._source, self._scratch, self._selection = source, scratch, selection
        self._columns: list[tuple[str, str, str, str | None]] = []

    def let_in(self, words: str) -> bool:
        """Let in what the server refused in these words, and empty the copy; say whether it can.

        It names table and column, in whatever language, and the live rows are asked.
        """
        with transaction(self._source, SNAPSHOT) as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [TIMEOUT])
            cursor.execute(NOT_NULL + NAMED, {"words": words})
            named = [each for each in cursor.fetchall() if each not in self._columns]
            found = []
            for schema, table, column, name in named:
                if not self._selection.has_schema(schema):
                    continue
                # Not IS NULL: the server knows the answer, as it believes in NOT NULL.
                cursor.execute(
                    sql.SQL("SELECT EXISTS (SELECT FROM ONLY {} WHERE num_nulls({}) = 1)").format(
                        sql.Identifier(schema, table), sql.Identifier(column)
                    )
                )
                if cursor.fetchone()[0]:
                    found.append((schema, table, column, name))
        if not found:
            return False
        with transaction(self._scratch) as cursor:
            for schema, table, column, _ in found:
                cursor.execute(
                    sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL").format(
                        sql.Identifier(schema, table), sql.Identifier(column)
                    )
                )
            cursor.execute(TABLES)
            tables = [sql.Identifier(*each) for each in cursor.fetchall()]
            cursor.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(tables)))
            cursor.execute(LARGE_OBJECTS)
        self._columns += found
        return True

    def put_back(self) -> tuple[BrokenConstraint, ...]:
        """Make NOT NULL in the copy what is so live, without the rows that contradict it.

        Returns those columns that some do. Of PostgreSQL 18 on, a dump has only what stands in
        pg_constraint.
        """
        with transaction(self._source, SNAPSHOT) as cursor:
            cursor.execute(NOT_NULL)
            live = set(cursor.fetchall())
        set_for_session(self._scratch, **no_time_limits(self._scratch))
        with self._scratch.cursor() as cursor:
            cursor.execute(NOT_NULL)
            there = {row[:3] for row in cursor.fetchall()}
            cursor.execute(COLUMNS)
            nullable = set(cursor.fetchall()) - there
        broken = []
        for schema, table, column, name in sorted(live, key=str):
            if (schema, table, column) in nullable and self._made_not_null(
                sql.Identifier(schema, table), sql.Identifier(column), name
            ):
                broken.append(
                    BrokenConstraint(
                        schema=schema,
                        table=table,
                        name=column,
                        kind="not null",
                        marked_valid=True,
                        columns=(column,),
                    )
                )
        return tuple(broken)

    def _made_not_null(self, table: Composable, column: Composable, name: str | None) -> bool:
        """Make the column NOT NULL; say whether a row had to go for it."""
        delete = sql.SQL("DELETE FROM ONLY {} WHERE {} IS NULL").format(table, column)
        again = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL").format(table, column)
        if name is not None:
            named = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} NOT NULL {}")
            again = named.format(table, sql.Identifier(name), column)
        with transaction(self._scratch) as cursor:
            cursor.execute(delete)
            gone = bool(cursor.rowcount)
            cursor.execute(again)
        return gone
