"""A schema's whole catalog as lines of text, in which its own name does not stand.

Two schemas with the same lines are the same to `migrate` and to the questions of a preflight, but
for their rows, their sizes and who holds them now. Where a name of the schema is written in a way
that is not recognised, the lines differ, and nothing is taken for equal that is not.
"""

# A name is written in full in every definition, as nothing but pg_catalog is in the search_path;
# what can stand before it is replaced along. The sign for it occurs in no name.
OWN = "'\x01.'"


def _own(text: str) -> str:
    """Return the SQL of a text in which the name of the schema `n` is replaced."""
    name = "quote_ident(n.nspname) || '.'"
    for before in (" ", "(", "''", ":", "="):
        text = f"replace({text}, '{before}' || {name}, '{before}' || {OWN})"
    return text


def _acl(column: str) -> str:
    return f"coalesce({column}::text, '-')"


# Each is a query of (schema, line); `wanted` are the rows of pg_namespace of the schemas.
PARTS = {
    "schema": f"""
SELECT n.nspname, 'owner ' || pg_get_userbyid(n.nspowner) || ', ' || {_acl("n.nspacl")}
FROM wanted n
UNION ALL
SELECT n.nspname, concat_ws(' ', 'what', pg_get_userbyid(d.defaclrole), 'makes:',
    d.defaclobjtype, d.defaclacl::text)
FROM pg_default_acl d JOIN wanted n ON n.oid = d.defaclnamespace
UNION ALL
SELECT n.nspname, 'extension ' || e.extname || ' ' || e.extversion
FROM pg_extension e JOIN wanted n ON n.oid = e.extnamespace
UNION ALL
SELECT n.nspname, 'published by ' || p.pubname
FROM pg_publication_namespace b JOIN pg_publication p ON p.oid = b.pnpubid
JOIN wanted n ON n.oid = b.pnnspid
""",  # noqa: S608 - of this module's own parts
    "relations": f"""
SELECT n.nspname, concat_ws(' ',
    CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
        WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence'
        WHEN 'c' THEN 'composite type' ELSE 'relation of kind ' || c.relkind::text END,
    c.relname || ':', 'owner', pg_get_userbyid(c.relowner), {_acl("c.relacl")},
    nullif(c.relpersistence, 'p'), c.relreplident, a.amname, t.spcname, c.reloptions::text,
    CASE WHEN c.relrowsecurity THEN 'row security' END,
    CASE WHEN c.relforcerowsecurity THEN 'forced' END,
    CASE WHEN c.relnatts > 1000 THEN c.relnatts || ' columns, dropped ones too' END,
    {_own("' ' || pg_get_partkeydef(c.oid)")},
    {_own("' ' || pg_get_expr(c.relpartbound, c.oid)")},
    CASE WHEN c.relkind IN ('v', 'm') THEN {_own("pg_get_viewdef(c.oid)")} END)
FROM pg_class c JOIN wanted n ON n.oid = c.relnamespace
LEFT JOIN pg_am a ON a.oid = c.relam LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace
WHERE c.relkind NOT IN ('i', 'I', 't')
UNION ALL
SELECT n.nspname,
    'table ' || c.relname || ': inherits ' || {_own("' ' || h.inhparent::regclass")}
FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
JOIN wanted n ON n.oid = c.relnamespace WHERE c.relkind NOT IN ('i', 'I')
UNION ALL
SELECT n.nspname,
    'table ' || c.relname || ': has a child ' || {_own("' ' || h.inhrelid::regclass")}
FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhparent
JOIN wanted n ON n.oid = c.relnamespace WHERE c.relkind NOT IN ('i', 'I')
UNION ALL
SELECT n.nspname, 'table ' || c.relname || ': published by ' || p.pubname || coalesce(
    {_own("' ' || pg_get_expr(b.prqual, b.prrelid)")}, '') || coalesce(b.prattrs::text, '')
FROM pg_publication_rel b JOIN pg_publication p ON p.oid = b.prpubid
JOIN pg_class c ON c.oid = b.prrelid JOIN wanted n ON n.oid = c.relnamespace
""",  # noqa: S608 - of this module's own parts
    "columns": f"""
SELECT n.nspname, concat_ws(' ', 'column', c.relname || '.' || a.attname || ':',
    CASE WHEN t.typnamespace = c.relnamespace THEN
        {_own("' ' || format_type(a.atttypid, a.atttypmod)")}
        ELSE format_type(a.atttypid, a.atttypmod) END,
    CASE WHEN a.attnotnull THEN 'NOT NULL' END, nullif(a.attidentity, ''),
    nullif(a.attgenerated, ''), 'DEFAULT ' || {_own("pg_get_expr(d.adbin, d.adrelid)")},
    CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END,
    CASE WHEN a.attinhcount > 0 THEN 'inherited' END, a.attacl::text)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN wanted n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
""",  # noqa: S608 - of this module's own parts
    "constraints": f"""
SELECT n.nspname, concat_ws(' ', 'constraint', k.conname, 'of',
    coalesce(c.relname, t.typname) || ':', {_own("pg_get_constraintdef(k.oid)")},
    CASE WHEN NOT k.convalidated THEN 'not validated' END, x.relname,
    CASE WHEN k.conparentid <> 0 THEN 'of a partition' END)
FROM pg_constraint k JOIN wanted n ON n.oid = k.connamespace
LEFT JOIN pg_class c ON c.oid = k.conrelid LEFT JOIN pg_type t ON t.oid = k.contypid
LEFT JOIN pg_class x ON x.oid = k.conindid
UNION ALL
SELECT n.nspname, concat_ws(' ', 'constraint', k.conname, 'of', k.conrelid::regclass,
    'elsewhere:', {_own("pg_get_constraintdef(k.oid)")})
FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid
JOIN wanted n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.connamespace <> n.oid
""",  # noqa: S608 - of this module's own parts
    "indexes": f"""
SELECT n.nspname, concat_ws(' ', {_own("pg_get_indexdef(i.indexrelid)")},
    CASE WHEN NOT i.indisvalid THEN 'INVALID' END, CASE WHEN i.indisprimary THEN 'PRIMARY' END,
    CASE WHEN NOT i.indimmediate THEN 'DEFERRABLE' END, CASE WHEN i.indisreplident THEN 'identity'
    END, t.spcname, x.reloptions::text)
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
JOIN wanted n ON n.oid = x.relnamespace
LEFT JOIN pg_tablespace t ON t.oid = x.reltablespace
UNION ALL
SELECT n.nspname, {_own("pg_get_statisticsobjdef(s.oid)")}
FROM pg_statistic_ext s JOIN wanted n ON n.oid = s.stxnamespace
""",  # noqa: S608 - of this module's own parts
    "triggers": f"""
SELECT n.nspname, CASE WHEN t.tgisinternal THEN 'internal trigger of ' || c.relname
    ELSE {_own("pg_get_triggerdef(t.oid)")} END || ' ' || t.tgenabled::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN wanted n ON n.oid = c.relnamespace
WHERE (NOT t.tgisinternal OR t.tgenabled <> 'O')
UNION ALL
SELECT n.nspname, {_own("pg_get_ruledef(r.oid)")} || ' ' || r.ev_enabled::text
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
JOIN wanted n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT n.nspname, concat_ws(' ', 'policy', p.polname, 'of', c.relname, p.polcmd, p.polpermissive,
    p.polroles::regrole[]::text, {_own("' ' || pg_get_expr(p.polqual, p.polrelid)")}, '/',
    {_own("' ' || pg_get_expr(p.polwithcheck, p.polrelid)")})
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN wanted n ON n.oid = c.relnamespace
UNION ALL
SELECT DISTINCT n.nspname, concat_ws(' ', 'view', v.oid::regclass, 'elsewhere, on', c.relname,
    {_own("pg_get_viewdef(v.oid)")})
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
JOIN pg_class c ON c.oid = d.refobjid JOIN wanted n ON n.oid = c.relnamespace
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    AND v.relnamespace <> c.relnamespace
""",  # noqa: S608 - of this module's own parts
    "functions": f"""
SELECT n.nspname, concat_ws(' ', CASE WHEN p.prokind = 'a' THEN 'aggregate ' || p.proname || '(' ||
    {_own("' ' || pg_get_function_arguments(p.oid)")} || ')'
    ELSE {_own("pg_get_functiondef(p.oid)")} END,
    'owner', pg_get_userbyid(p.proowner), {_acl("p.proacl")})
FROM pg_proc p JOIN wanted n ON n.oid = p.pronamespace
UNION ALL
SELECT n.nspname, 'operator ' || {_own("' ' || o.oid::regoperator")} || ' ' ||
    {_own("' ' || o.oprcode::regprocedure")}
FROM pg_operator o JOIN wanted n ON n.oid = o.oprnamespace
""",  # noqa: S608 - of this module's own parts
    "types": f"""
SELECT n.nspname, concat_ws(' ', 'type', t.typname || ':', t.typtype, 'owner',
    pg_get_userbyid(t.typowner), {_acl("t.typacl")},
    CASE WHEN t.typtype = 'd' THEN {_own("' ' || format_type(t.typbasetype, t.typtypmod)")} END,
    CASE WHEN t.typnotnull THEN 'NOT NULL' END, {_own("' ' || t.typdefault")},
    (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e
     WHERE e.enumtypid = t.oid),
    (SELECT {_own("' ' || format_type(r.rngsubtype, NULL)")} FROM pg_range r
     WHERE r.rngtypid = t.oid))
FROM pg_type t JOIN wanted n ON n.oid = t.typnamespace
WHERE t.typrelid = 0 AND t.typcategory <> 'A'
UNION ALL
SELECT n.nspname, concat_ws(' ', 'collation', o.collname, o.collprovider, o.collisdeterministic,
    o.collcollate, o.collctype)
FROM pg_collation o JOIN wanted n ON n.oid = o.collnamespace
UNION ALL
SELECT n.nspname, 'text search configuration ' || f.cfgname
FROM pg_ts_config f JOIN wanted n ON n.oid = f.cfgnamespace
UNION ALL
SELECT n.nspname, 'operator class ' || f.opcname || ' ' || f.opcdefault
FROM pg_opclass f JOIN wanted n ON n.oid = f.opcnamespace
""",  # noqa: S608 - of this module's own parts
    "sequences": f"""
SELECT n.nspname, concat_ws(' ', 'sequence', c.relname || ':', format_type(s.seqtypid, NULL),
    s.seqincrement, s.seqmin, s.seqmax, s.seqstart, CASE WHEN s.seqcycle THEN 'CYCLE' END,
    (SELECT {_own("' ' || d.refobjid::regclass")} || '.' || a.attname
     FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
         AND d.refclassid = 'pg_class'::regclass LIMIT 1))
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
JOIN wanted n ON n.oid = c.relnamespace
""",  # noqa: S608 - of this module's own parts
}
# What is the same for all schemas of a database and of a role, but not for another one's.
DATABASE = """
SELECT concat_ws(' ', 'role', current_user, r.rolsuper, r.rolcreatedb, r.rolcreaterole,
    r.rolbypassrls, r.rolconnlimit, (SELECT string_agg(m.roleid::regrole::text, ',' ORDER BY 1)
     FROM pg_auth_members m WHERE m.member = r.oid))
FROM pg_roles r WHERE r.rolname = current_user
UNION ALL
SELECT concat_ws(' ', 'database', pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
    pg_get_userbyid(d.datdba), d.datacl::text)
FROM pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT concat_ws(' ', 'setting', name, reset_val) FROM pg_settings
WHERE name NOT IN ('application_name', 'search_path') AND category !~ '^(Query Tuning|Reporting)'
UNION ALL
SELECT concat_ws(' ', 'extension', extname, extversion, extnamespace::regnamespace)
FROM pg_extension
UNION ALL
SELECT concat_ws(' ', 'event trigger', e.evtname, e.evtevent, e.evtenabled, e.evttags::text,
    pg_get_functiondef(e.evtfoid)) FROM pg_event_trigger e
UNION ALL
SELECT concat_ws(' ', 'publication', p.pubname, p.puballtables, p.pubinsert, p.pubupdate,
    p.pubdelete) FROM pg_publication p
UNION ALL
SELECT concat_ws(' ', 'what', pg_get_userbyid(d.defaclrole), 'makes:', d.defaclobjtype,
    d.defaclacl::text) FROM pg_default_acl d WHERE d.defaclnamespace = 0
"""
