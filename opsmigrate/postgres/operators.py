"""Operators by which values are compared where the project's search_path is in force."""

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.psycopg_any import sql

from opsmigrate.postgres.compose import Composable
from opsmigrate.postgres.search_path import seen_by_project

BUILT_IN = sql.SQL("OPERATOR(pg_catalog.=)")
# Those of PostgreSQL itself, which an enum, an array or a range have too.
PLAIN = frozenset(
    {
        "bigint",
        "boolean",
        "character",
        "character varying",
        "date",
        "double precision",
        "integer",
        "numeric",
        "real",
        "smallint",
        "text",
        "timestamp with time zone",
        "timestamp without time zone",
        "uuid",
    }
)
# The one that a unique index of the type uses, strategy 3 of btree. A domain has its base's; a
# default operator class for a type is a superuser's to create.
EQUALITY = """
SELECT n.nspname, o.oprname
FROM pg_type t JOIN pg_opclass c ON c.opcintype = coalesce(nullif(t.typbasetype, 0), t.oid)
JOIN pg_am m ON m.oid = c.opcmethod AND m.amname = 'btree'
JOIN pg_amop a ON a.amopfamily = c.opcfamily AND a.amopstrategy = 3
    AND a.amoplefttype = c.opcintype AND a.amoprighttype = c.opcintype
JOIN pg_operator o ON o.oid = a.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
WHERE c.opcdefault AND t.oid = to_regtype(%s)
"""


def equality(connection: BaseDatabaseWrapper, type_: str) -> Composable:
    """Return the equality operator of a type, as format_type() writes it, with its schema."""
    if type_ in PLAIN:
        return BUILT_IN
    for schema, name in seen_by_project(connection, EQUALITY, [type_]):
        return sql.SQL("OPERATOR({}.{})").format(sql.Identifier(schema), sql.SQL(name))
    return BUILT_IN
