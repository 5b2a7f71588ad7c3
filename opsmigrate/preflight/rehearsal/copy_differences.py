"""What pg_dump leaves out or renews: made alike on the copy, else named, for SQL that names it."""

from contextlib import suppress
from typing import NamedTuple

from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper

from opsmigrate.postgres.neighbours import NOBODY, Neighbours
from opsmigrate.postgres.transaction import SNAPSHOT, transaction
from opsmigrate.preflight.rehearsal.archive_selection import OBSERVERS, SCHEDULERS
from opsmigrate.preflight.rehearsal.disarm import SCHEMA
from opsmigrate.preflight.rehearsal.dropped_columns import MANY, repeat_dropped_columns
from opsmigrate.preflight.rehearsal.invalid_indexes import repeat_invalid_indexes
from opsmigrate.preflight.rehearsal.key_triggers import repeat_key_triggers
from opsmigrate.preflight.rehearsal.selection import CopySelection

# Everything that has a name, and what of its state no dump repeats. What has an oid below 16384
# (FirstNormalObjectId) was made by initdb, and is alike, but for what can be dropped. Array types,
# the types of tables, and what partitions have of their parent, get names when they are made.
THINGS = """
SELECT kind, schema, name, state, beside FROM (
SELECT 'pg_class'::regclass::oid AS class, c.oid, n.oid AS place, 'relation' AS kind,
       n.nspname::text AS schema, c.relname::text AS name,
       concat_ws(' ', c.relkind, i.indisvalid, i.indisready, i.indisunique,
                 CASE WHEN c.relnatts >= {many} THEN c.relnatts END) AS state,
       CASE WHEN NOT i.indisvalid THEN t.relname::text END AS beside
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.oid = i.indrelid
WHERE c.oid >= 16384 AND c.relkind <> 't' AND c.relpersistence <> 't'
UNION ALL
SELECT 'pg_proc'::regclass, p.oid, n.oid, 'function', n.nspname, p.proname,
       pg_get_function_identity_arguments(p.oid), NULL
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >= 16384
UNION ALL
SELECT 'pg_type'::regclass, t.oid, n.oid, 'type', n.nspname, t.typname, t.typtype::text, NULL
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.oid >= 16384 AND t.typrelid = 0 AND t.typcategory <> 'A'
UNION ALL
SELECT 'pg_constraint'::regclass, k.oid, c.relnamespace, 'constraint', c.relname, k.conname,
       k.contype::text, c.relname
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.oid >= 16384 AND k.conparentid = 0 AND k.coninhcount = 0 AND k.contype <> 'n'
UNION ALL
SELECT 'pg_trigger'::regclass, g.oid, coalesce(k.connamespace, c.relnamespace), 'trigger',
       c.relname, coalesce(k.conname, g.tgname),
       concat_ws(' ', g.tgenabled, CASE WHEN g.tgisinternal THEN g.tgfoid::regproc END), c.relname
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
LEFT JOIN pg_constraint k ON k.oid = g.tgconstraint
WHERE g.tgparentid = 0 AND NOT c.relispartition
UNION ALL
SELECT 'pg_rewrite'::regclass, r.oid, c.relnamespace, 'rule', c.relname, r.rulename,
       r.ev_enabled::text, c.relname
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE r.oid >= 16384
UNION ALL
SELECT 'pg_policy'::regclass, p.oid, c.relnamespace, 'policy', c.relname, p.polname, '', c.relname
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
UNION ALL
SELECT 'pg_extension'::regclass, e.oid, 0, 'extension', '', e.extname, e.extversion, NULL
FROM pg_extension e
UNION ALL
SELECT 'pg_namespace'::regclass, n.oid, n.oid, 'schema', '', n.nspname, '', NULL
FROM pg_namespace n WHERE n.nspname !~ '^pg_(temp|toast_temp)_'
UNION ALL
SELECT 'pg_language'::regclass, l.oid, 0, 'language', '', l.lanname, '', NULL FROM pg_language l
{others}) AS thing
WHERE schema !~ '^pg_(toast|temp|toast_temp)' AND NOT (kind = 'schema' AND name = '{fence}')
  AND schema <> '{fence}'
  AND place NOT IN (SELECT oid FROM pg_namespace WHERE nspname = ANY(%s))
  AND NOT EXISTS (
    SELECT FROM pg_extension e LEFT JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass
        AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = thing.class
        AND d.objid = thing.oid
    WHERE e.extname = ANY(%s)
      AND (d.objid IS NOT NULL OR thing.kind = 'extension' AND thing.oid = e.oid))
"""
OTHERS = {
    "pg_statistic_ext": ("stxname", "stxnamespace"),
    "pg_ts_config": ("cfgname", "cfgnamespace"),
    "pg_ts_dict": ("dictname", "dictnamespace"),
    "pg_ts_parser": ("prsname", "prsnamespace"),
    "pg_ts_template": ("tmplname", "tmplnamespace"),
    "pg_collation": ("collname", "collnamespace"),
    "pg_conversion": ("conname", "connamespace"),
    "pg_operator": ("oprname", "oprnamespace"),
    "pg_opclass": ("opcname", "opcnamespace"),
    "pg_opfamily": ("opfname", "opfnamespace"),
}
OTHER = """UNION ALL
SELECT '{table}'::regclass, o.oid, n.oid, '{table}', n.nspname, o.{name}, '', NULL
FROM {table} o JOIN pg_namespace n ON n.oid = o.{namespace} WHERE o.oid >= 16384
"""


class Thing(NamedTuple):
    """An object of the database; `beside` is the table whose use it changes as well."""

    kind: str
    schema: str
    name: str
    state: str
    beside: str | None


PUBLIC = Thing("schema", "", "public", "", None)


def remove_copy_differences(
    source: BaseDatabaseWrapper, scratch: BaseDatabaseWrapper, selection: CopySelection
) -> frozenset[str]:
    """Repeat on the copy what no dump does, and return the names of what is not alike after that.

    That is what only one of the two has, or has in another state, but for what the selection leaves
    out, and what a copy does without (archive_selection.py), which are known by other ways.
    """
    repeat_invalid_indexes(source, scratch)
    repeat_key_triggers(source, scratch)
    repeat_dropped_columns(source, scratch)
    differing = _things(source, selection.neighbours) ^ _things(scratch, NOBODY)
    if PUBLIC in differing:
        # template0 has it. Where the live database has it instead, there is nothing to drop.
        with suppress(Error), transaction(scratch) as cursor:
            cursor.execute("DROP SCHEMA public")
            differing.remove(PUBLIC)
    absent = {name for _, name in selection.absent}
    keys = {(table, name) for _, table, name in selection.absent_keys}
    return frozenset(
        name
        for thing in differing
        if thing.name not in absent
        and thing.beside not in absent
        and (thing.schema, thing.name) not in keys
        for name in (thing.name, thing.beside)
        if name is not None
    )


def _things(connection: BaseDatabaseWrapper, neighbours: Neighbours) -> set[Thing]:
    others = "".join(
        OTHER.format(table=table, name=name, namespace=namespace)
        for table, (name, namespace) in OTHERS.items()
    )
    with transaction(connection, SNAPSHOT) as cursor:
        cursor.execute(
            THINGS.format(others=others, fence=SCHEMA, many=MANY),
            [sorted(neighbours.schemas), sorted({*SCHEDULERS, *OBSERVERS})],
        )
        return {Thing(*row) for row in cursor.fetchall()}
