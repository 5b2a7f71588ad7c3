"""The queries that read a whole schema: each answers for all relations at once.

`{of_users}` stands for the condition that a schema is read (of_users.py).
"""

# pg_table_is_visible() looks each relation up, so that it is asked only where two have the same
# name. What is the same for many of them is asked once.
VISIBLE = """CASE WHEN {c}.relname IN (SELECT relname FROM pg_class GROUP BY relname
                                    HAVING count(*) > 1)
            THEN pg_table_is_visible({c}.oid)
            ELSE n.nspname = ANY ((SELECT current_schemas(true))::name[]) END"""
# In the order of the fields of Relation, but for the first. Indexes are in INDEXES.
RELATIONS = """
SELECT p.partattrs::int2[], c.oid, n.nspname, c.relname, c.relkind, {visible},
       pg_has_role(current_user, c.relowner, 'USAGE'), c.relispartition,
       coalesce(r.rolname, pg_get_userbyid(c.relowner)), c.relpersistence = 'u',
       c.relhastriggers AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid
                                    AND NOT t.tgisinternal AND t.tgenabled <> 'D')
       OR c.relhasrules AND c.relkind IN ('r', 'p'), c.relnatts
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid LEFT JOIN pg_roles r ON r.oid = c.relowner
WHERE c.relkind NOT IN ('i', 'I') AND {of_users}
""".replace("{visible}", VISIBLE.replace("{c}", "c"))
# Table and number, then the fields of Column. Privileges are asked once a table, and of columns
# only where there are any.
# A NOT NULL is a constraint with a name as of PostgreSQL 18; before, `contype = 'n'` finds none.
COLUMNS = """
WITH c AS MATERIALIZED (
    SELECT c.oid, c.relkind IN ('r', 'p') AS is_table,
           c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'REFERENCES') AS may_reference
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND {of_users})
SELECT a.attrelid, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.atthasdef, a.attidentity <> '', a.attgenerated <> '',
       c.may_reference OR c.is_table AND a.attacl IS NOT NULL
           AND has_column_privilege(c.oid, a.attnum, 'REFERENCES'),
       a.attinhcount > 0, a.attgenerated = 'v',
       CASE WHEN a.attcollation <> 0 AND NOT (
                a.attcollation = 'pg_catalog."default"'::regcollation
                AND a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype))
            THEN (SELECT o.collname FROM pg_collation o JOIN pg_type t ON t.oid = a.atttypid
                  WHERE o.oid = a.attcollation AND o.oid <> t.typcollation) END, k.conname
FROM pg_attribute a JOIN c ON c.oid = a.attrelid
LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.conkey[1] = a.attnum
    AND k.contype = 'n' AND k.convalidated AND NOT k.connoinherit
WHERE a.attnum > 0 AND NOT a.attisdropped
"""
# Most of PostgreSQL 18's say no more than that a column is NOT NULL: those are in COLUMNS.
CONSTRAINTS = """
SELECT k.conrelid, k.conname, k.contype, k.conkey, k.confrelid, k.convalidated, k.confkey,
       CASE WHEN k.contype = 'f' THEN (SELECT relname FROM pg_class WHERE oid = k.conindid) END,
       k.confdeltype, pg_get_expr(k.conbin, k.conrelid), k.connoinherit,
       k.conparentid <> 0
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
WHERE k.conrelid <> 0 AND (k.contype <> 'n' OR k.connoinherit OR NOT k.convalidated)
    AND {of_users}
"""
INDEXES = """
SELECT i.indrelid, x.oid, n.nspname, x.relname, x.relkind, {visible}, x.relispartition,
       i.indkey, i.indnkeyatts, i.indoption, i.indclass,
       i.indisunique, i.indisprimary, i.indisvalid, i.indimmediate, x.relam,
       pg_get_expr(i.indpred, i.indrelid), pg_get_expr(i.indexprs, i.indrelid),
       i.indnullsnotdistinct
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = x.relnamespace
WHERE {of_users}
""".replace("{visible}", VISIBLE.replace("{c}", "x"))
# What PostgreSQL lets stand in the way of ALTER COLUMN … TYPE and DROP COLUMN, besides views,
# constraints and plain indexes (documentation of ALTER TABLE; RememberAllDependentForRebuilding).
# Before PostgreSQL 15 a generated column itself depends on others, and not its expression.
DEPENDENTS = """
SELECT d.refobjid, d.refobjsubid, w.type, w.identity
FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef g ON d.classid = 'pg_class'::regclass AND d.objid = d.refobjid
    AND g.adrelid = d.objid AND g.adnum = d.objsubid
CROSS JOIN LATERAL pg_identify_object(
    CASE WHEN g.oid IS NULL THEN d.classid ELSE 'pg_attrdef'::regclass END,
    coalesce(g.oid, d.objid), 0) w
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
  AND {of_users}
  -- What is most of it is left out at once: constraints, and indexes on plain columns.
  AND d.classid <> 'pg_constraint'::regclass
  AND (d.classid <> 'pg_class'::regclass OR d.objid = d.refobjid OR d.objid IN (
           SELECT indexrelid FROM pg_index WHERE indpred IS NOT NULL OR indexprs IS NOT NULL))
  AND (d.classid IN ('pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_proc'::regclass,
                     'pg_publication_rel'::regclass)
       OR d.classid = 'pg_rewrite'::regclass AND EXISTS (
           SELECT FROM pg_rewrite r WHERE r.oid = d.objid AND r.rulename <> '_RETURN')
       OR d.classid = 'pg_statistic_ext'::regclass AND EXISTS (
           SELECT FROM pg_statistic_ext e WHERE e.oid = d.objid AND e.stxexprs IS NOT NULL)
       OR g.oid IS NOT NULL
       OR d.classid = 'pg_attrdef'::regclass AND NOT EXISTS (
           SELECT FROM pg_attrdef a
           WHERE a.oid = d.objid AND a.adrelid = d.refobjid AND a.adnum = d.refobjsubid)
       OR d.classid = 'pg_class'::regclass AND d.objid <> d.refobjid)
"""
# A table makes a type of its name; a type of that name is in its way.
TYPE_NAMES = """
SELECT n.nspname, t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typrelid = 0 AND t.typcategory <> 'A'
  AND {of_users}
"""
# By these an index is meant for more than its columns: the pattern operators of text, for instance.
OPERATOR_CLASSES = "SELECT oid::text, opcname, opcdefault FROM pg_opclass"
METHODS = "SELECT oid, amname FROM pg_am"
VIEWS = """
SELECT DISTINCT d.refobjid, d.refobjsubid, quote_ident(n.nspname) || '.' || quote_ident(v.relname)
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
JOIN pg_namespace n ON n.oid = v.relnamespace
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
  AND r.rulename = '_RETURN' AND d.refobjid <> v.oid
  AND {of_users}
"""
# Of an owner's own privileges, ALTER DEFAULT PRIVILEGES without a schema can take some away; he may
# have them by PUBLIC, by a role of which he is a member, or in a schema. Where nothing at all is
# left, PostgreSQL gives what it gives without (aclmerge() in acl.c).
WITHHELD = """(WITH granted AS (
        SELECT e.grantee, e.privilege_type
        FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) e
        WHERE d.defaclobjtype = 'r' AND pg_get_userbyid(d.defaclrole) = current_user
          AND d.defaclnamespace IN (0, to_regnamespace(quote_ident(current_schema()))))
    SELECT coalesce(array_agg(privilege), '{}')
    FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS privilege
    WHERE EXISTS (SELECT FROM granted)
      AND EXISTS (SELECT FROM pg_default_acl d WHERE d.defaclobjtype = 'r'
          AND d.defaclnamespace = 0 AND pg_get_userbyid(d.defaclrole) = current_user)
      AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
      AND NOT EXISTS (SELECT FROM granted g WHERE g.privilege_type = privilege
          AND CASE g.grantee WHEN 0 THEN true
              ELSE pg_has_role(current_user, g.grantee, 'USAGE') END))"""
SERVER_AND_ROLE = """
SELECT current_setting('server_version_num')::int, current_schema(),
       (SELECT array_agg(nspname::text) FROM pg_namespace),
       (SELECT coalesce(array_agg(nspname::text), '{}') FROM pg_namespace
        WHERE has_schema_privilege(oid, 'CREATE')),
       (SELECT coalesce(array_agg(nspname::text), '{}') FROM pg_namespace
        WHERE pg_has_role(current_user, nspowner, 'USAGE')),
       (SELECT jsonb_object_agg(t.spcname, t.oid = d.dattablespace
            OR has_tablespace_privilege(t.oid, 'CREATE'))::text
        FROM pg_tablespace t, pg_database d WHERE d.datname = current_database()),
       current_setting('default_tablespace'),
       has_database_privilege(current_database(), 'CREATE'),
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       (SELECT coalesce(array_agg(extname::text), '{}') FROM pg_extension),
       (SELECT coalesce(jsonb_object_agg(name, trusted), '{}')::text FROM (
            SELECT v.name, bool_or(v.trusted) AS trusted
            FROM pg_available_extension_versions v GROUP BY v.name) e),
       (SELECT array_agg(DISTINCT collname::text) FROM pg_collation
        WHERE pg_collation_is_visible(oid)),
       (SELECT coalesce(jsonb_agg(jsonb_build_array(e.evtname, e.evtevent, e.evttags)), '[]')::text
        FROM pg_event_trigger e
        WHERE e.evtenabled IN ('O', 'A') AND e.evtevent <> 'login' AND NOT EXISTS (
            SELECT FROM pg_depend d WHERE d.classid = 'pg_event_trigger'::regclass
            AND d.objid = e.oid AND d.deptype = 'e')),
       {withheld},
       current_user::text
""".replace("{withheld}", WITHHELD)
