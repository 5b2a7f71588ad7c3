"""Which schemas beside a tenant's own are connected with it, by pg_depend: the rest are neighbours.

A schema with a history of its own is a neighbour where nothing that is read rests on anything in
it, and nothing in it on what is read. But for one thing: a foreign key of its may reference a plain
table. Such a table is remembered, with what its rows are reached by, and whoever touches one of
these must read everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.neighbours import NOBODY, Neighbours
from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.postgres.tenant import schema_of

# Whether a schema has a history, and whether the project sees it.
SCHEMAS = """
SELECT n.oid, n.nspname::text,
       n.nspname <> ALL (current_schemas(true)) AND EXISTS (
           SELECT FROM pg_class c WHERE c.relname = 'django_migrations'
           AND c.relnamespace = n.oid AND c.relkind IN ('r', 'p'))
FROM pg_namespace n WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
# The catalogs of what is in a schema, with the column that says in which; and of what belongs to a
# relation. Triggers that a foreign key made go with it.
SCHEMA_OF = {
    "pg_class": "relnamespace",
    "pg_collation": "collnamespace",
    "pg_constraint": "connamespace",
    "pg_conversion": "connamespace",
    "pg_opclass": "opcnamespace",
    "pg_operator": "oprnamespace",
    "pg_opfamily": "opfnamespace",
    "pg_proc": "pronamespace",
    "pg_statistic_ext": "stxnamespace",
    "pg_ts_config": "cfgnamespace",
    "pg_ts_dict": "dictnamespace",
    "pg_ts_parser": "prsnamespace",
    "pg_ts_template": "tmplnamespace",
    "pg_type": "typnamespace",
}
RELATION_OF = {
    "pg_attrdef": "adrelid",
    "pg_policy": "polrelid",
    "pg_rewrite": "ev_class",
    "pg_trigger": "NOT tgisinternal AND tgrelid",
}


def _for_each(columns: Mapping[str, str], words: str, between: str = " ") -> str:
    """Return the words for each catalog and its column."""
    found = columns.items()
    return between.join(
        words.replace("{catalog}", one).replace("{column}", own) for one, own in found
    )


OBJECTS = _for_each(
    SCHEMA_OF,
    "SELECT '{catalog}'::regclass, oid FROM {catalog} WHERE {column} = ANY (%(read)s::oid[])",
    " UNION ALL ",
)
OBJECTS_OF_RELATIONS = _for_each(
    RELATION_OF,
    "SELECT '{catalog}'::regclass, o.oid FROM {catalog} o JOIN relation c ON {column} = c.oid",
    " UNION ALL ",
)
SCHEMAS_OF_OBJECTS = _for_each(
    SCHEMA_OF, "WHEN '{catalog}'::regclass THEN (SELECT {column} FROM {catalog} WHERE oid = objid)"
)
SCHEMAS_OF_RELATIONS = _for_each(
    RELATION_OF,
    "WHEN '{catalog}'::regclass THEN (SELECT relnamespace FROM {catalog} o"
    " JOIN pg_class c ON {column} = c.oid WHERE o.oid = objid)",
)
# For each object that is connected with what is read, and is one of the others, its schema; for a
# foreign key onto a plain table also that and its index. What belongs to an extension is
# everybody's, but for relations and composite types, which ALTER TABLE and ALTER TYPE change.
CONNECTED = """
WITH relation AS MATERIALIZED (SELECT oid FROM pg_class WHERE relnamespace = ANY (%(read)s::oid[])),
object (classid, objid) AS (
    {objects} UNION ALL {of_relations}
    UNION ALL SELECT 'pg_namespace'::regclass, unnest(%(read)s::oid[])
),
connected (classid, objid) AS (
    SELECT d.classid, d.objid FROM object o
    JOIN pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid
    WHERE o.classid = 'pg_class'::regclass
        OR EXISTS (SELECT FROM pg_type y WHERE o.classid = 'pg_type'::regclass AND y.oid = o.objid
                   AND y.typtype = 'c')
        OR NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = o.classid AND e.objid = o.objid
                       AND e.deptype = 'e')
    UNION
    SELECT d.refclassid, d.refobjid FROM object o
    JOIN pg_depend d ON d.classid = o.classid AND d.objid = o.objid
),
placed AS (
    SELECT classid, objid, CASE classid WHEN 'pg_namespace'::regclass THEN objid
        {schemas_of_objects} {schemas_of_relations} END AS schema
    FROM connected)
SELECT DISTINCT p.schema, t.oid, k.conindid
FROM placed p
LEFT JOIN pg_constraint k ON p.classid = 'pg_constraint'::regclass AND k.oid = p.objid
    AND k.contype = 'f'
    AND NOT EXISTS (SELECT FROM pg_inherits WHERE k.confrelid IN (inhrelid, inhparent))
    AND NOT EXISTS (
        SELECT FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
        WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)
            AND y.typnamespace <> 'pg_catalog'::regnamespace)
LEFT JOIN pg_class t ON t.oid = k.confrelid AND t.relkind = 'r'
    AND t.relnamespace = ANY (%(read)s::oid[])
WHERE p.schema = ANY (%(others)s::oid[])
"""
PARTS = {
    "{objects}": OBJECTS,
    "{of_relations}": OBJECTS_OF_RELATIONS,
    "{schemas_of_objects}": SCHEMAS_OF_OBJECTS,
    "{schemas_of_relations}": SCHEMAS_OF_RELATIONS,
}
# And of what DELETE, UPDATE and TRUNCATE get there from: the tables that these reference, parents,
# and whatever has a rule that names them, as a view has.
NAMES = """
WITH RECURSIVE referenced (oid) AS (
    SELECT unnest(%(tables)s::oid[])
    UNION
    SELECT f.oid FROM referenced r CROSS JOIN LATERAL (
        SELECT confrelid FROM pg_constraint WHERE conrelid = r.oid AND contype = 'f'
        UNION ALL SELECT inhparent FROM pg_inherits WHERE inhrelid = r.oid
        UNION ALL SELECT w.ev_class FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
            WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid
            AND d.classid = 'pg_rewrite'::regclass) f (oid))
SELECT c.relname::text FROM pg_class c
WHERE c.oid IN (SELECT oid FROM referenced) OR c.oid = ANY (%(indexes)s::oid[])
"""


def read_neighbours(connection: BaseDatabaseWrapper) -> Neighbours:
    """Return the schemas that are nothing to the tenant of a connection; NOBODY without a tenant.

    Reads the catalog only.
    """
    if schema_of(connection) is None:
        return NOBODY
    found = seen_by_project(connection, SCHEMAS)
    others = {oid for oid, _, apart in found if apart}
    query = reduce(lambda text, part: text.replace(*part), PARTS.items(), CONNECTED)
    while others:
        read = [oid for oid, *_ in found if oid not in others]
        about = {"read": read, "others": sorted(others)}
        connected = seen_by_project(connection, query, about)
        joined = {schema for schema, table, _ in connected if table is None}
        if not joined:
            return Neighbours(
                schemas=frozenset(name for oid, name, _ in found if oid in others),
                referenced=_names(connection, connected),
                read=tuple(read),
            )
        # What belongs to what is read is read too; and that may belong to something else.
        others -= joined
    return NOBODY


def _names(connection: BaseDatabaseWrapper, keys: Sequence[Sequence[int]]) -> frozenset[str]:
    about = {"tables": [table for _, table, _ in keys], "indexes": [index for *_, index in keys]}
    rows = seen_by_project(connection, NAMES, about) if about["tables"] else []
    return frozenset(name for (name,) in rows)
