"""The queries that read_schema() asks: each answers for all relations at once.

They run with the search_path pg_catalog, so that what is a user's carries its schema. Relations
are told by their oids, which reading.py turns into names. `{namespaces}` stands for what finds the
schemas: `n`, with oid and name.
"""

from collections.abc import Sequence

from opsmigrate.postgres.of_users import of_users

# The schemas of users, and the session's own for temporary tables, which is called pg_temp.
NAMESPACES = """n AS MATERIALIZED (
    SELECT oid, CASE WHEN oid = pg_my_temp_schema() THEN 'pg_temp' ELSE nspname::text END AS name,
           nspowner
    FROM pg_namespace n WHERE {of_users} OR oid = pg_my_temp_schema())"""


def of_schemas(query: str, only: Sequence[int]) -> str:
    """Return the query for the schemas of users; `only` those with these oids, if there are any."""
    return query.replace("{namespaces}", of_users(NAMESPACES, only))


SURROUNDINGS = """
WITH {namespaces}
SELECT current_setting('server_version_num')::int, current_user::text,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       ARRAY(SELECT rolname::text FROM pg_roles),
       (SELECT coalesce(json_object_agg(name, pg_get_userbyid(nspowner)), '{}')::text
        FROM n WHERE name <> 'pg_temp'),
       (SELECT coalesce(json_object_agg(extname, nspname), '{}')::text
        FROM pg_extension e JOIN pg_namespace s ON s.oid = e.extnamespace),
       EXISTS (SELECT FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace
               AND oid >= 16384)
"""
# In the order of what reading.py makes of them: a row for each relation but indexes and TOAST.
# Those that inherit are gone through in this order (find_inheritance_children).
RELATIONS = """
WITH {namespaces}
SELECT c.oid, n.name, c.relname::text, c.relkind::text, pg_get_userbyid(c.relowner)::text,
       c.relpersistence::text, c.relnatts, c.relreplident::text,
       CASE WHEN c.relforcerowsecurity AND c.relrowsecurity THEN 'forced'
            WHEN c.relforcerowsecurity THEN 'idle'
            WHEN c.relrowsecurity THEN 'enabled' ELSE '' END,
       coalesce(c.reloptions, '{}')::text[], coalesce(s.spcname, '')::text,
       CASE WHEN m.amname <> 'heap' THEN m.amname::text ELSE '' END,
       pg_get_expr(c.relpartbound, c.oid),
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, e.extname::text,
       c.relispopulated,
       CASE WHEN c.reloftype <> 0 THEN (SELECT ARRAY[s.nspname, t.typname]::text[] FROM pg_type t
            JOIN pg_namespace s ON s.oid = t.typnamespace WHERE t.oid = c.reloftype) END
FROM pg_class c JOIN n ON n.oid = c.relnamespace
LEFT JOIN pg_am m ON m.oid = c.relam LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
    AND d.objsubid = 0 AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
ORDER BY c.oid
"""
COLUMNS = """
WITH {namespaces}
SELECT a.attrelid, a.attname::text, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       CASE WHEN a.atthasdef THEN (SELECT pg_get_expr(g.adbin, g.adrelid) FROM pg_attrdef g
                                   WHERE g.adrelid = a.attrelid AND g.adnum = a.attnum) END,
       a.attidentity::text, a.attgenerated::text,
       CASE WHEN a.attcollation <> t.typcollation THEN
           (SELECT ARRAY[s.nspname, o.collname]::text[] FROM pg_collation o
            JOIN pg_namespace s ON s.oid = o.collnamespace WHERE o.oid = a.attcollation) END,
       a.attislocal, a.attinhcount
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
ORDER BY a.attrelid, a.attnum
"""
# Triggers have theirs too (contype t): they are read as triggers.
CONSTRAINTS = """
WITH {namespaces}
SELECT k.conrelid, k.oid, k.conname::text, k.contype::text, k.conkey, k.confrelid, k.confkey,
       k.confupdtype::text, k.confdeltype::text, k.confmatchtype::text, k.condeferrable,
       k.condeferred, k.convalidated, {enforced}, k.connoinherit, k.conislocal, k.coninhcount,
       x.relname::text, CASE WHEN k.contype = 'c' THEN pg_get_expr(k.conbin, k.conrelid) END,
       CASE WHEN k.contype = 'x' THEN
           ARRAY(SELECT o.oprname::text FROM unnest(k.conexclop) WITH ORDINALITY u (op, number)
                 JOIN pg_operator o ON o.oid = u.op ORDER BY number) END,
       k.conparentid
FROM pg_constraint k JOIN n ON n.oid = k.connamespace
LEFT JOIN pg_class x ON x.oid = k.conindid
WHERE k.conrelid <> 0 AND k.contype <> 't'
"""
INDEXES = """
WITH {namespaces}
SELECT i.indrelid, i.indexrelid, x.relname::text, i.indkey::text, i.indnkeyatts,
       i.indoption::text, i.indclass::text, i.indcollation::text, m.amname::text, i.indisunique,
       i.indisprimary, i.indisexclusion, i.indisvalid, i.indimmediate, {nulls_not_distinct},
       pg_get_expr(i.indpred, i.indrelid), i.indisreplident, i.indisclustered,
       CASE WHEN i.indexprs IS NOT NULL THEN
           ARRAY(SELECT pg_get_indexdef(i.indexrelid, number, false)
                 FROM generate_series(1, i.indnkeyatts) number) END,
       CASE WHEN i.indexprs IS NOT NULL THEN
           ARRAY(SELECT t.typcollation::text FROM pg_attribute a JOIN pg_type t
                 ON t.oid = a.atttypid WHERE a.attrelid = i.indexrelid ORDER BY a.attnum) END,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indexrelid
             ORDER BY a.attnum),
       p.name, p.relname
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
JOIN n ON n.oid = x.relnamespace
LEFT JOIN LATERAL (SELECT n.name, y.relname::text FROM pg_inherits h
    JOIN pg_class y ON y.oid = h.inhparent JOIN n ON n.oid = y.relnamespace
    WHERE h.inhrelid = i.indexrelid) p ON x.relispartition
ORDER BY i.indexrelid
"""
OPERATOR_CLASSES = """
SELECT o.oid::text, s.nspname::text, o.opcname::text, o.opcdefault
FROM pg_opclass o JOIN pg_namespace s ON s.oid = o.opcnamespace
"""
# Those of columns that are not the database's own.
COLUMN_COLLATIONS = """
WITH {namespaces}
SELECT a.attrelid, a.attnum, a.attcollation::text
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN n ON n.oid = c.relnamespace
WHERE a.attcollation NOT IN (0, 100) AND a.attnum > 0 AND c.relkind IN ('r', 'p', 'm')
"""
# Those that a column or an index here can have: of any encoding, or of the database's.
COLLATIONS = """
SELECT o.oid::text, s.nspname::text, o.collname::text
FROM pg_collation o JOIN pg_namespace s ON s.oid = o.collnamespace
WHERE o.collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database()))
"""
# What constraints made for themselves is left out; a trigger of a parent's is one of its own.
TRIGGERS = """
WITH {namespaces}
SELECT t.tgrelid, t.tgname::text, s.nspname::text, p.proname::text, t.tgtype::int,
       ARRAY(SELECT a.attname::text FROM unnest(t.tgattr::int2[]) WITH ORDINALITY u (key, number)
             JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = u.key ORDER BY number),
       t.tgenabled::text, t.tgqual IS NOT NULL, t.tgconstraint <> 0, t.tgdeferrable,
       t.tginitdeferred,
       (SELECT o.tgrelid FROM pg_trigger o WHERE o.oid = t.tgparentid),
       coalesce(nullif(k.conname, t.tgname)::text, '')
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN n ON n.oid = c.relnamespace
JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace s ON s.oid = p.pronamespace
LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint
WHERE t.tgconstraint = 0 OR k.contype = 't'
"""
POLICIES = """
WITH {namespaces}
SELECT polrelid, polname::text, polcmd::text, polpermissive,
       ARRAY(SELECT CASE WHEN role = 0 THEN 'public' ELSE pg_get_userbyid(role)::text END
             FROM unnest(polroles) role),
       pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
FROM pg_policy JOIN pg_class c ON c.oid = polrelid JOIN n ON n.oid = c.relnamespace
"""
RULES = """
WITH {namespaces}
SELECT r.ev_class, r.rulename::text, r.ev_type::text
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN n ON n.oid = c.relnamespace
WHERE r.rulename <> '_RETURN'
"""
# The columns, and the relations as such (0), that a view's query names.
USES = """
WITH {namespaces}
SELECT DISTINCT v.oid, d.refobjid, d.refobjsubid
FROM pg_rewrite r JOIN pg_class v ON v.oid = r.ev_class JOIN n ON n.oid = v.relnamespace
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
WHERE r.rulename = '_RETURN'
"""
STATISTICS = """
WITH {namespaces}
SELECT stxrelid, n.name, stxname::text, stxexprs IS NOT NULL
FROM pg_statistic_ext JOIN n ON n.oid = stxnamespace
"""
PARENTS = "SELECT inhrelid, inhparent FROM pg_inherits ORDER BY inhrelid, inhseqno"
SEQUENCES = """
WITH {namespaces}
SELECT q.seqrelid, format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin, q.seqmax,
       q.seqcache, q.seqcycle, d.refobjid, a.attname::text, coalesce(d.deptype = 'i', false)
FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = q.seqrelid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid <> 0 AND d.deptype IN ('a', 'i')
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
"""
# Neither those that relations made, nor arrays.
TYPES = """
WITH {namespaces}
SELECT t.oid, n.name, t.typname::text, t.typtype::text, pg_get_userbyid(t.typowner)::text,
       CASE WHEN t.typtype = 'e' THEN ARRAY(SELECT l.enumlabel::text FROM pg_enum l
            WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder) END,
       CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
       t.typnotnull, pg_get_expr(t.typdefaultbin, 0),
       CASE WHEN t.typtype = 'd' THEN
           (SELECT json_agg(json_build_array(k.conname, pg_get_expr(k.conbin, 0), k.convalidated))
            FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')::text END,
       e.extname::text
FROM pg_type t JOIN n ON n.oid = t.typnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid
WHERE t.typrelid = 0 AND NOT EXISTS (SELECT FROM pg_type a WHERE a.typarray = t.oid)
"""
FUNCTIONS = """
WITH {namespaces}
SELECT n.name, p.proname::text,
       ARRAY(SELECT format_type(type, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY u (type, n)
             ORDER BY u.n),
       p.prokind::text, format_type(p.prorettype, NULL), l.lanname::text, p.provolatile::text,
       p.proisstrict, pg_get_userbyid(p.proowner)::text, p.prosecdef, e.extname::text,
       NOT (p.proretset OR p.provariadic <> 0 OR p.pronargdefaults > 0), p.proretset,
       p.pronargdefaults, ARRAY(
           SELECT ARRAY[coalesce(p.proargmodes[u.n], 'i')::text, coalesce(p.proargnames[u.n], ''),
                        format_type(type, NULL)]
           FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]))
                WITH ORDINALITY u (type, n) ORDER BY u.n)
FROM pg_proc p JOIN n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid
"""
