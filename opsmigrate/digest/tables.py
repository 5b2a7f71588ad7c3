"""Which tables have rows in a dump, which columns of them, and what they are called here."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.names import quoted
from opsmigrate.postgres.of_users import of_users

# What pg_dump writes rows of: tables, and those of an extension that it registered with
# pg_extension_config_dump. Generated columns are not copied (documentation of COPY). Sizes are
# those of the last VACUUM or ANALYZE: pg_table_size() would wait for whoever has a table locked.
# Last, the root of partitions by the hash of an enum: its values get other oids in another
# database, and so the rows go to other partitions. pg_dump loads them through the root.
TABLES = of_users("""
SELECT n.nspname, c.relname,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND a.attgenerated = '' ORDER BY a.attnum),
       coalesce(configuration.condition, ''),
       (c.relpages + coalesce(t.relpages, 0))::bigint * current_setting('block_size')::int,
       e.objid IS NOT NULL,
       (SELECT ARRAY[above.nspname::text, root.relname::text]
        FROM pg_class root JOIN pg_namespace above ON above.oid = root.relnamespace
        WHERE c.relispartition AND root.oid = pg_partition_root(c.oid) AND EXISTS (
            SELECT FROM pg_partition_ancestors(c.oid) a
            JOIN pg_partitioned_table p ON p.partrelid = a.relid
            JOIN pg_opclass o ON o.oid = ANY (p.partclass) JOIN pg_am m ON m.oid = o.opcmethod
            WHERE o.opcname = 'enum_ops' AND m.amname = 'hash'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
LEFT JOIN pg_depend e ON e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'
LEFT JOIN LATERAL (
    SELECT x.extcondition[array_position(x.extconfig, c.oid)] AS condition
    FROM pg_extension x WHERE c.oid = ANY (x.extconfig)) AS configuration ON true
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND {of_users}
  AND (e.objid IS NULL OR configuration.condition IS NOT NULL)
ORDER BY 1, 2
""")


@dataclass(frozen=True, kw_only=True)
class DataTable:
    """A table with rows to dump; `condition` is the WHERE clause of an extension's own table.

    `loaded_through` is the schema and name of the partitioned table that a restore gives its rows
    to, where it may put them into another partition.
    """

    schema: str
    name: str
    columns: tuple[str, ...]
    condition: str = ""
    bytes: int = 0
    of_extension: bool = False
    loaded_through: tuple[str, str] | None = None

    @property
    def label(self) -> str:
        """Return how reports and manifests call it."""
        return label(self.schema, self.name)

    @property
    def counted_as(self) -> str:
        """Return under which table its rows are counted: those of a restore are the same there."""
        return label(*self.loaded_through) if self.loaded_through else self.label

    @property
    def identity(self) -> tuple[object, ...]:
        """Return what must not have changed between two looks; the size may."""
        return (self.schema, self.name, self.columns, self.condition)

    @property
    def identifier(self) -> Composable:
        """Return its name in SQL."""
        return sql.Identifier(self.schema, self.name)

    def copied(self) -> Composable:
        """Return what COPY copies: the same rows and columns as pg_dump."""
        columns = sql.SQL(", ").join(map(sql.Identifier, self.columns))
        if self.condition:
            return sql.SQL("(SELECT {} FROM ONLY {} {})").format(
                columns, self.identifier, sql.SQL(self.condition)
            )
        if not self.columns:
            return self.identifier
        return sql.SQL("{} ({})").format(self.identifier, columns)


def list_tables(connection: BaseDatabaseWrapper) -> tuple[DataTable, ...]:
    """Return the tables that a dump has rows of, sorted by schema and name."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        return tuple(
            DataTable(
                schema=schema,
                name=name,
                columns=tuple(columns),
                condition=condition,
                bytes=int(size or 0),
                of_extension=of_extension,
                loaded_through=tuple(root) if root else None,
            )
            for schema, name, columns, condition, size, of_extension, root in cursor.fetchall()
        )


def count_rows(
    connection: BaseDatabaseWrapper, tables: Iterable[DataTable], *, idle: Callable[[], None]
) -> dict[str, int]:
    """Return the rows of each table by what it is counted as; `idle` is called in between."""
    counts: dict[str, int] = {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('row_security', 'off', false)")
        for table in tables:
            idle()
            cursor.execute(
                sql.SQL("SELECT count(*) FROM ONLY {} {}").format(
                    table.identifier, sql.SQL(table.condition)
                )
            )
            rows = int(cursor.fetchone()[0])
            counts[table.counted_as] = counts.get(table.counted_as, 0) + rows
    return counts


def label(schema: str, name: str) -> str:
    """Return `schema.name`; a part with a dot or a quote is quoted, so that no two are the same."""
    return ".".join(quoted(part) if "." in part or '"' in part else part for part in (schema, name))
