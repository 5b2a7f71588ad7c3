"""What rests on what, of what the schema does not tell by itself: asked of pg_depend."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opsmigrate.preflight.interpret.schema import Signature
from opsmigrate.preflight.interpret.thing import AUTO, INTERNAL, NORMAL, Dependency, Thing
from opsmigrate.sql.names import Name

# An object as (kind, schema, name, arguments, part). Rules of views are the views, row types and
# arrays what they are of. Of relations, columns and constraints the schema itself tells what rests
# on them, but for what is here called by another kind.
DEPENDENCIES = """
WITH {namespaces}, object AS (
    SELECT 'pg_class'::regclass AS classid, c.oid AS objid, 'relation' AS kind, n.name AS schema,
           c.relname::text AS name, NULL::text[] AS arguments, ''::text AS part
    FROM pg_class c JOIN n ON n.oid = c.relnamespace WHERE c.relkind NOT IN ('i', 'I', 't')
    UNION ALL
    SELECT 'pg_rewrite'::regclass, r.oid,
           CASE r.rulename WHEN '_RETURN' THEN 'relation' ELSE 'rule' END, n.name, c.relname, NULL,
           CASE r.rulename WHEN '_RETURN' THEN '' ELSE r.rulename END
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'pg_policy'::regclass, p.oid, 'policy', n.name, c.relname, NULL, p.polname
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'pg_trigger'::regclass, t.oid, 'trigger', n.name, c.relname, NULL, t.tgname
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal OR t.tgparentid <> 0
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, 'constraint', n.name, c.relname, NULL, k.conname
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, 'function', n.name, p.proname, ARRAY(
        SELECT format_type(type, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY u (type, number)
        ORDER BY u.number), ''
    FROM pg_proc p JOIN n ON n.oid = p.pronamespace
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, CASE WHEN e.typrelid <> 0 THEN 'relation' ELSE 'type' END,
           n.name, e.typname, NULL, ''
    FROM pg_type e JOIN n ON n.oid = e.typnamespace
    CROSS JOIN LATERAL (VALUES (e.oid), (e.typarray)) t (oid) WHERE t.oid <> 0
    UNION ALL
    SELECT 'pg_statistic_ext'::regclass, s.oid, 'statistics', n.name, c.relname, NULL,
           v.name || '.' || s.stxname
    FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid JOIN n ON n.oid = c.relnamespace
    JOIN n v ON v.oid = s.stxnamespace
    UNION ALL
    SELECT 'pg_collation'::regclass, o.oid, 'collation', n.name, o.collname, NULL, ''
    FROM pg_collation o JOIN n ON n.oid = o.collnamespace
    UNION ALL
    SELECT 'pg_namespace'::regclass, n.oid, 'schema', NULL, n.name, NULL, '' FROM n
    UNION ALL
    SELECT 'pg_extension'::regclass, e.oid, 'extension', NULL, e.extname, NULL, ''
    FROM pg_extension e
)
SELECT r.kind, r.schema, r.name, r.arguments, coalesce(a.attname::text, r.part),
       coalesce(b.kind, 'other'), b.schema,
       coalesce(b.name, w.type || ' ' || w.identity), b.arguments,
       coalesce(b.part, ''), min(d.deptype::text)
FROM pg_depend d
JOIN object r ON r.classid = d.refclassid AND r.objid = d.refobjid
LEFT JOIN object b ON b.classid = d.classid AND b.objid = d.objid
LEFT JOIN pg_attribute a ON d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
    AND a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
LEFT JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) w ON b.kind IS NULL
WHERE (b.kind IS DISTINCT FROM 'relation' OR d.classid = 'pg_rewrite'::regclass
           AND d.refclassid <> 'pg_class'::regclass)
    AND coalesce(b.kind NOT IN ('constraint', 'type', 'collation') AND NOT (
            b.kind IN ('trigger', 'policy', 'rule') AND d.deptype <> 'n'
            OR b.kind = 'function' AND r.kind IN ('schema', 'extension')), true)
    AND (b.kind IS NOT NULL OR d.classid NOT IN (
        'pg_class'::regclass, 'pg_attrdef'::regclass, 'pg_constraint'::regclass,
        'pg_type'::regclass, 'pg_trigger'::regclass, 'pg_rewrite'::regclass))
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
"""
HOW = {"n": NORMAL, "a": AUTO}


def dependencies(rows: Iterable[Sequence[Any]]) -> Mapping[Thing, frozenset[Dependency]]:
    """Return what the query's rows say, by what others rest on."""
    found: dict[Thing, set[Dependency]] = defaultdict(set)
    for row in rows:
        on, by, how = _thing(*row[:5]), _thing(*row[5:10]), HOW.get(row[10], INTERNAL)
        if on != by:
            found[on].add(Dependency(by, how))
    return {thing: frozenset(every) for thing, every in found.items()}


def _thing(kind: str, schema: str | None, name: str, arguments: Any, part: str) -> Thing:
    if schema is None:
        return Thing(kind, name)
    if kind == "function":
        return Thing(kind, Signature(Name(schema, name), tuple(arguments)))
    if kind == "statistics":
        return Thing(kind, Name(schema, name), Name(*part.split(".", 1)))
    if kind == "relation" and part:
        return Thing("column", Name(schema, name), part)
    return Thing(kind, Name(schema, name), part)
