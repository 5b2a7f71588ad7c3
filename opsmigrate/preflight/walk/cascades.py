"""What DROP … CASCADE takes along, however far away: asked of pg_depend, as the server would."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.search_path import seen_by_project
from opsmigrate.preflight.walk.simulation import Simulation

# As findDependentObjects() goes (dependency.c): to all that depends on what goes, and from the rule
# of a view to the view. What belongs to a relation that goes as a whole is not said again, nor what
# is part of the relation with which it begins, but for a default that takes its values elsewhere.
TAKEN_ALONG = """
WITH RECURSIVE edge AS MATERIALIZED (
    SELECT refclassid, refobjid, refobjsubid, classid, objid, objsubid FROM pg_depend
    UNION ALL
    SELECT classid, objid, 0, refclassid, refobjid, refobjsubid FROM pg_depend
    WHERE deptype = 'i' AND classid = 'pg_rewrite'::regclass
), start AS (
    SELECT c.oid, coalesce(a.attnum, 0) AS number
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %(column)s AND NOT a.attisdropped
    WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND (%(column)s = '' OR a.attnum > 0)
), gone (classid, objid, objsubid) AS (
    SELECT 'pg_class'::regclass::oid, oid, number::int FROM start
    UNION
    SELECT e.classid, e.objid, e.objsubid FROM gone g
    JOIN edge e ON e.refclassid = g.classid AND e.refobjid = g.objid
        AND (g.objsubid = 0 OR e.refobjsubid = g.objsubid)
), found AS (
    SELECT g.*, coalesce(d.adrelid, k.conrelid, x.indrelid, t.tgrelid, p.polrelid, r.ev_class,
                         u.prrelid, c.oid) AS relation,
           coalesce(d.adnum, nullif(g.objsubid, 0) * (c.oid IS NOT NULL)::int) AS number
    FROM gone g
    LEFT JOIN pg_attrdef d ON g.classid = 'pg_attrdef'::regclass AND d.oid = g.objid
    LEFT JOIN pg_constraint k ON g.classid = 'pg_constraint'::regclass AND k.oid = g.objid
    LEFT JOIN pg_trigger t ON g.classid = 'pg_trigger'::regclass AND t.oid = g.objid
    LEFT JOIN pg_policy p ON g.classid = 'pg_policy'::regclass AND p.oid = g.objid
    LEFT JOIN pg_rewrite r ON g.classid = 'pg_rewrite'::regclass AND r.oid = g.objid
    LEFT JOIN pg_publication_rel u ON g.classid = 'pg_publication_rel'::regclass AND u.oid = g.objid
    LEFT JOIN pg_class c ON g.classid = 'pg_class'::regclass AND c.oid = g.objid
    LEFT JOIN pg_index x ON x.indexrelid = c.oid
    WHERE g.classid <> 'pg_type'::regclass AND coalesce(c.relkind, 'r') NOT IN ('S', 't')
        AND NOT coalesce(t.tgisinternal, false)
        AND NOT EXISTS (SELECT FROM start s WHERE k.confrelid = s.oid)
)
SELECT DISTINCT w.type, w.identity, n.nspname, c.relname, a.attname
FROM found f CROSS JOIN start s
CROSS JOIN LATERAL pg_identify_object(f.classid, f.objid, f.objsubid) w
LEFT JOIN pg_class c ON c.oid = f.relation LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = f.relation AND a.attnum = f.number
WHERE (f.relation IS DISTINCT FROM s.oid OR s.number > 0 AND f.classid = 'pg_attrdef'::regclass
           AND f.number <> s.number AND a.attgenerated = '')
    AND (f.classid = 'pg_class'::regclass AND f.objid = f.relation OR NOT EXISTS (
        SELECT FROM gone g WHERE g.classid = 'pg_class'::regclass AND g.objid = f.relation
            AND g.objsubid = 0))
ORDER BY 1, 2
"""
VIEWS = ("view", "materialized view")
# As pg_identify_object() says it, and in words.
WORDS = {"default value": "default", "table column": "column", "table constraint": "constraint"}


@dataclass(frozen=True)
class Taken:
    """What goes along: the views, as the catalog writes their names, and the rest in words."""

    views: tuple[str, ...]
    others: tuple[str, ...]


def taken_along(
    connection: BaseDatabaseWrapper,
    schema: Simulation,
    relation: tuple[str, str] | None,
    column: str = "",
) -> Taken:
    """Return what dropping a live table, sequence or column with CASCADE drops besides.

    `relation` is its schema and name in the live database, None for what the plan makes. What is
    part of the table itself is left out, and foreign keys that point to it; so is what the plan
    has dropped before, or was said to take along.
    """
    if relation is None:
        return Taken((), ())
    params = {"schema": relation[0], "name": relation[1], "column": column}
    rows = seen_by_project(connection, TAKEN_ALONG, params)
    left = [row for row in rows if row[1] not in schema.gone and schema.still_has(*row[2:])]
    schema.gone.update(row[1] for row in left)
    return Taken(
        tuple(identity for kind, identity, *_ in left if kind in VIEWS),
        tuple(_words(kind, identity) for kind, identity, *_ in left if kind not in VIEWS),
    )


def _words(kind: str, identity: str) -> str:
    if kind == "default value":
        return f"the default of {identity.removeprefix('for ')}"
    return f"the {WORDS.get(kind, kind)} {identity}"
